"""Every block in the documents is executed or checked by a test, or `classes.py` says why not."""

import json
import re
import shlex
from typing import Any

import jsonschema
import pytest
import yaml

import benchmark
import pipeline
from tests.docs.blocks import ROOT, SHELL, Block, Command, blocks
from tests.docs.classes import ELSEWHERE, NOT_EXECUTED, STAND_INS, distinct, entries, meant
from tests.docs.test_commands import SCENARIOS
from tests.manifests import schemas

TARGETS = set(
    re.findall(
        r"^([a-z0-9.-]+):",
        "\n".join(path.read_text() for path in (ROOT / "Makefile", ROOT / "delivery" / "delivery.mk")),
        re.MULTILINE,
    )
)
SCHEMA = json.loads((ROOT / "helm" / "linear-regressor" / "values.schema.json").read_text())
# Kinds that the project does not install, and what kubectl alone reads.
WITHOUT_SCHEMA = {"PodDefault", "Kustomization"}


@pytest.mark.parametrize("command", list(distinct()), ids=str)
def test_command_is_executed_by_one_test_or_there_is_a_reason_why_not(command: Command) -> None:
    found = entries(command)
    if not found and not STAND_INS.search(command.text):
        assert command.block.document in SCENARIOS, "nothing executes it, and no reason is given"
    assert len(found) <= 1, found


@pytest.mark.parametrize("entry", [*ELSEWHERE, *NOT_EXECUTED], ids=" ".join)
def test_entry_of_a_table_means_a_command(entry: tuple[str, str]) -> None:
    assert any(meant(command, *entry) for command in distinct())


def test_tests_that_execute_commands_exist() -> None:
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize(
    "command",
    [one for one in distinct() if re.match(r"make|(\w+=\S+ )?(python benchmark)", one.text)],
    ids=str,
)
def test_targets_and_benchmarks_exist(command: Command) -> None:
    found = shlex.split(command.text.partition("||")[0].replace("\\\n", " "), comments=True)
    if "make" in found:
        assert {word for word in found if "=" not in word} - {"make"} <= TARGETS
    else:
        assert found[found.index("benchmark.py") + 1] in benchmark.BENCHMARKS


@pytest.mark.parametrize(
    "block", [one for one in blocks() if one.language in ("yaml", "json")], ids=lambda one: one.document
)
def test_yaml_and_json_are_values_of_the_chart_valid_objects_or_a_search(block: Block) -> None:
    document = json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)
    assert isinstance(document, dict)
    if block.language == "json":
        pipeline.check({"registry_root": ".local", "features": ["bmi", "bp"], "search": document})
    elif "kind" in document:
        check_object(document)
    elif set(document) <= set(SCHEMA["properties"]):
        jsonschema.validate(document, {**SCHEMA, "required": []})
        for item in document.get("extraObjects", []):
            check_object(item)
    else:
        assert list(document) == ["patches"], "neither values of the chart nor a part of a Kustomization"


def check_object(item: dict[str, Any]) -> None:
    """Check an object of Kubernetes against the schema of its kind."""
    if item["kind"] not in WITHOUT_SCHEMA:
        assert schemas.problems(item) == []


def test_no_block_is_of_a_language_that_nothing_checks() -> None:
    # What test_python.py runs, and what the browser draws in test_site.py.
    known = {*SHELL, "yaml", "json", "python", "mermaid"}
    unknown = {(block.document, block.language) for block in blocks() if block.language not in known}
    # A picture made of characters.
    assert unknown == {("docs/architecture.md", "")}
