"""Reading the policy of a rollout."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.operations.rollout import policy
from components.operations.rollout.policy import Policy, Step

ROOT = Path(__file__).parents[4]


def test_missing_fields_have_their_defaults() -> None:
    read = policy.parse({"errorRatio": 0.05, "steps": [{"weight": 1, "seconds": 10}]})
    assert read == Policy(error_ratio=0.05, steps=(Step(1, 10),))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"errors": 1}, "unknown in a policy: errors; known are attempts, errorRatio"),
        ({"error_ratio": 0.1}, "unknown in a policy: error_ratio"),
        ({"steps": []}, "at least one step"),
        ({"steps": [{"weight": 100, "seconds": 1}]}, "from 1 to 99, not 100"),
        ({"steps": [{"weight": 2.5, "seconds": 1}]}, "whole number"),
        ({"steps": [{"weight": 5, "seconds": 0}]}, "seconds must be above 0"),
        ({"steps": [{"weight": 5}]}, "has the wrong type"),
        ({"requests": 0}, "requests must be above 0"),
        ({"requests": "many"}, "has the wrong type"),
        ({"errorRatio": 1}, "error_ratio is a share from 0 to below 1"),
        ({"unrecorded": "pass"}, "unrecorded is one of refuse, accept"),
        ({"requests": 1201}, "1201 requests do not fit into a step of 60 s at 20 a second"),
        ({"latencyRatio": float("inf")}, "latency_ratio must be above 0"),
    ],
)
def test_refuses_an_invalid_policy(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        policy.parse(document)


@pytest.mark.parametrize("content", ["[]", "{", '{"weight": 1}'])
def test_names_a_file_without_a_valid_policy(content: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"policy\.json: "):
        policy.read(file)


def test_the_manifests_have_the_defaults() -> None:
    manifest = ROOT / "manifests" / "components" / "rollout" / "policy.yaml"
    said = yaml.safe_load(manifest.read_text())["data"]["policy.json"]
    assert policy.parse(json.loads(said)) == Policy()
