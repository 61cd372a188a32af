"""Every block in the documents is run by a test, read by the program it is for, or left out for a reason."""

import argparse
import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import benchmark
import pipeline
from predictor.kserve_compat import flags
from tests.docs.blocks import ROOT, SHELL, Block, Command, blocks, commands

REGISTRY = "--registry-root ROOT"
TARGETS = set(
    re.findall(
        r"^([a-z0-9.-]+):",
        "\n".join(path.read_text() for path in (ROOT / "Makefile", ROOT / "delivery" / "delivery.mk")),
        re.MULTILINE,
    )
)
SCHEMA = json.loads((ROOT / "helm" / "linear-regressor" / "values.schema.json").read_text())

# Why commands of these programs are not run here.
ELSEWHERE = {
    "kubectl": "needs a cluster; tests/cluster runs the like",
    "helm": "needs a cluster; tests/cluster installs the chart, and tests/manifests checks the values",
    "git": "changes a repository",
    "openssl": "makes keys; tests/components/registry signs with such keys",
    "aws": "needs a store",
    "amtool": "needs an Alertmanager",
    "cosign": "needs a published release",
    "uvx": "downloads MLflow's server",
    "curl": "tests/docs/test_api.py runs those of the endpoints",
    "printf": "tests/docs/test_api.py runs those of the endpoints",
    "export": "sets a variable for the commands below it",
    "echo": "prints a key",
    "key=$(python": "makes a key",
}


def words(command: Command) -> list[str]:
    """Return the words of a command up to a pipe, without variables before it; placeholders are filled in."""
    text = re.sub(r"(?<=\s)…(?=\s)", REGISTRY, command.text).replace("\\\n", " ").replace(" ...", "")
    if match := re.search(r"export RUN='([^']*)'", command.block.text):
        text = text.replace("$RUN", match[1])
    found = shlex.split(text, comments=True)
    end = min(
        (found.index(mark) for mark in ("|", "||", "&", "&&", ">") if mark in found), default=len(found)
    )
    found = found[:end]
    while found and re.match(r"[A-Z_]+=", found[0]):
        found = found[1:]
    return found


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    """Parse arguments as the program does."""
    try:
        parser.parse_args(arguments)
    except SystemExit as error:
        raise AssertionError(f"refused: {arguments}") from error


@pytest.mark.parametrize("command", list(commands()), ids=str)
def test_command_is_read_by_its_program_or_says_why_not(command: Command) -> None:
    found = words(command)
    program = found[0]
    if program.endswith("python") and "=" not in program:
        script = " ".join(found[1:3]) if found[1] == "-m" else found[1]
        arguments = found[3:] if found[1] == "-m" else found[2:]
        if script == "pipeline.py":
            # A cluster's address is needed, which examples of parameters leave out.
            given = (
                arguments
                if "--host" in arguments or arguments[0] != "submit"
                else [*arguments, "--host", "H"]
            )
            parse(pipeline.make_parser(), given)
        elif script == "-m predictor":
            parse(flags.make_parser(), arguments)
        else:
            assert script == "benchmark.py"
            assert arguments[0] in benchmark.BENCHMARKS
    elif program == "make":
        targets = {word for word in found[1:] if "=" not in word}
        assert targets
        assert targets <= TARGETS, targets - TARGETS
    else:
        assert program in ELSEWHERE


@pytest.mark.parametrize(
    "block", [one for one in blocks() if one.language == "python"], ids=lambda one: one.document
)
def test_python_is_valid(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize(
    "block", [one for one in blocks() if one.language in ("yaml", "json")], ids=lambda one: one.document
)
def test_values_in_a_guide_are_values_of_the_chart(block: Block) -> None:
    document = json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)
    assert isinstance(document, dict)
    if set(document) <= set(SCHEMA["properties"]):
        jsonschema.validate(document, {**SCHEMA, "required": []})
    else:
        assert set(document) & {"apiVersion", "patches", "spec", "lr"}, (
            f"neither values nor a known object: {list(document)}"
        )


def test_no_block_is_of_a_language_that_nothing_checks() -> None:
    known = {*SHELL, "python", "yaml", "json", "mermaid"}
    unknown = {(block.document, block.language) for block in blocks()} - {
        (block.document, block.language) for block in blocks() if block.language in known
    }
    # Pictures made of characters.
    assert unknown <= {("docs/architecture.md", "")}


def test_example_of_training_runs(tmp_path: Path) -> None:
    """The first lines of Python in the guide to training."""
    block = next(one for one in blocks() if one.document == "docs/training.md" and one.language == "python")
    names: dict[str, object] = {"X": [[0.0], [1.0], [2.0]], "y": [1.0, 3.0, 5.0]}
    exec(block.text, names)
    model: Any = names["model"]
    assert model.W.tolist() == [[pytest.approx(2.0)]]
