"""What a workflow does is a target of the Makefile, and every job is bounded."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from delivery.version import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
TARGETS = {
    name
    for file in ("Makefile", "delivery/delivery.mk")
    for name in re.findall(r"^([a-z0-9-]+):(?!=)", (ROOT / file).read_text(), re.MULTILINE)
}
SETUP = re.compile(r"(?:go install|pip install|sudo apt-get|printf|echo|umask|rm -f|chart=)")
ASSIGNMENT = re.compile(r"--|\w+=")


def steps() -> Iterator[dict[str, Any]]:
    """Yield every step that runs commands."""
    for file in (*WORKFLOWS, *ACTIONS):
        document = yaml.safe_load(file.read_text())
        jobs = document.get("jobs", {}).values()
        for part in (*jobs, document.get("runs", {})):
            yield from (step for step in part.get("steps", ()) if "run" in step)


def test_every_step_calls_a_target_that_exists_or_installs_a_program() -> None:
    called = set()
    for step in steps():
        for line in step["run"].replace("\\\n", " ").splitlines():
            words = line.split()
            if words[0] == "make":
                called |= {word.strip('"') for word in words[1:] if not ASSIGNMENT.match(word)}
            else:
                assert SETUP.match(line.strip()), line
    chosen_by_the_caller = {"$TARGET", "--seed", "$GITHUB_RUN_NUMBER"}
    assert called - chosen_by_the_caller <= TARGETS
    assert {"lint", "test", "scan", "release-images", "sign", "publish", "deploy", "train", "audit"} <= called


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_job_is_bounded_in_time_and_rights(file: Any) -> None:
    document = yaml.safe_load(file.read_text())
    assert document["permissions"] == {}
    for name, job in document["jobs"].items():
        assert "permissions" in job, name
        assert "uses" in job or "timeout-minutes" in job, name
    called = True in document and set(document[True]) == {"workflow_call"}
    assert called or "concurrency" in document


def test_the_targets_that_a_called_workflow_is_given_exist() -> None:
    given = {
        job["with"]["target"]
        for file in WORKFLOWS
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        if "target" in job.get("with", {})
    }
    assert given == {"e2e", "e2e-lifecycle"}
    assert given <= TARGETS


def test_the_paths_that_have_owners_exist() -> None:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text().splitlines()
    paths = [match[1] for line in lines if (match := re.match(r"(?:# )?/(\S+/) ", line))]
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).is_dir()] == []
