"""All that is rendered matches strict schemas: no unknown field and no wrong type."""

from pathlib import Path

import pytest
import yaml

from tests.manifests.rendering import Installation, Object, chart_values, render_chart, render_overlay
from tests.manifests.schemas import problems
from tests.manifests.test_unusual_values import INSTALLATIONS

UNUSUAL = sorted((Path(__file__).parent / "values").glob("*.yaml"))


def all_problems(objects: list[Object]) -> list[str]:
    """Return what is wrong with objects."""
    return [problem for item in objects for problem in problems(item)]


def test_overlay_matches_the_schemas(overlay: str) -> None:
    assert all_problems(render_overlay(overlay)) == []


def test_chart_matches_the_schemas(overlay: str) -> None:
    assert all_problems(render_chart(chart_values(overlay), hooks=True)) == []


@pytest.mark.parametrize("file", UNUSUAL, ids=lambda file: file.stem)
def test_unusual_values_match_the_schemas(file: Path) -> None:
    installation = INSTALLATIONS.get(file.stem, Installation("prices", "team"))
    objects = render_chart(yaml.safe_load(file.read_text()), installation, hooks=True)
    assert all_problems(objects) == []


@pytest.mark.parametrize(
    "item",
    [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}, "secret": []},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "labels": {"a": 1}}},
        {"apiVersion": "v2", "kind": "ServiceAccount", "metadata": {"name": "a"}},
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "a"},
            "spec": {"predictor": {"nodeSelectors": {}}},
        },
    ],
)
def test_schemas_reject_unknown_fields_and_types(item: Object) -> None:
    assert problems(item)
