"""The examples for Argo CD and Flux are objects of theirs, and install the chart with values that it accepts."""

import re
from typing import Any

import pytest
import yaml

from tests.manifests.rendering import (
    MANIFESTS,
    NAME,
    REGISTRY,
    ROOT,
    Object,
    chart_values,
    find,
    merged,
    render_chart,
)
from tests.manifests.schemas import problems

GITOPS = MANIFESTS / "gitops"


def example(name: str, kind: str) -> Object:
    """Return the only object of a kind in an example."""
    (found,) = [
        item for item in yaml.safe_load_all((GITOPS / f"{name}.yaml").read_text()) if item["kind"] == kind
    ]
    assert isinstance(found, dict)
    return found


def values(name: str) -> Object:
    """Return the chart's values in an example."""
    found: Object = (
        example("argocd", "Application")["spec"]["source"]["helm"]["valuesObject"]
        if name == "argocd"
        else example("flux", "HelmRelease")["spec"]["values"]
    )
    return found


@pytest.mark.parametrize("name", ["argocd", "flux"])
def test_each_object_matches_the_schema_of_its_definition(name: str) -> None:
    documents = list(yaml.safe_load_all((GITOPS / f"{name}.yaml").read_text()))
    assert [problem for document in documents for problem in problems(document)] == []


def test_a_misspelt_field_does_not_match() -> None:
    release = example("flux", "HelmRelease")
    release["spec"]["upgrade"]["remediation"]["strategies"] = "rollback"
    application = example("argocd", "Application")
    application["spec"]["source"]["helm"]["valueObject"] = {}
    assert "'strategies' was unexpected" in problems(release)[0]
    assert "'valueObject' was unexpected" in problems(application)[0]


@pytest.mark.parametrize("name", ["argocd", "flux"])
def test_the_chart_accepts_the_values_and_nothing_else_is_needed(name: str) -> None:
    """The released chart has the registry of its images; this one is told it."""
    objects = render_chart(merged({"image": {"registry": REGISTRY}}, values(name)), required=False)
    model = find(objects, "InferenceService")["spec"]["predictor"]["model"]
    assert model["storageUri"] == values(name)["model"]["storageUri"]


def test_both_install_the_chart_that_a_release_publishes() -> None:
    published = re.search(
        r"^CHARTS \??= (?:\S+/)?linear-regressor/charts$",
        (ROOT / "delivery" / "delivery.mk").read_text(),
        re.MULTILINE,
    )
    assert published
    source = example("argocd", "Application")["spec"]["source"]
    repository = example("flux", "OCIRepository")["spec"]["url"]
    assert repository == f"oci://{source['repoURL']}/{source['chart']}"
    assert repository.endswith(f"/linear-regressor/charts/{NAME}")


def test_the_sources_of_flux_are_named_as_the_release_names_them() -> None:
    release, repository = example("flux", "HelmRelease"), example("flux", "OCIRepository")
    assert release["spec"]["chartRef"] == {"kind": "OCIRepository", "name": repository["metadata"]["name"]}
    assert release["metadata"]["namespace"] == repository["metadata"]["namespace"]


def at(item: Any, path: str) -> list[Any]:
    """Return the values at a jq path of names and ``[]``."""
    found = [item]
    for part in path.strip(".").split("."):
        name = part.removesuffix("[]")
        found = [one[name] for one in found if name in one]
        if part.endswith("[]"):
            found = [inner for one in found for inner in one]
    return found


def test_argo_cd_ignores_fields_that_are_there() -> None:
    """What the rollout job changes: a misspelt path would ignore nothing, and Argo CD would undo a rollout."""
    objects = render_chart(merged(chart_values("rollout"), values("argocd")))
    for ignored in example("argocd", "Application")["spec"]["ignoreDifferences"]:
        items = [
            item
            for item in objects
            if item["kind"] == ignored["kind"] and item["apiVersion"].startswith(f"{ignored['group']}/")
        ]
        assert items
        for path in ignored["jqPathExpressions"]:
            assert [found for item in items for found in at(item, path)], path
