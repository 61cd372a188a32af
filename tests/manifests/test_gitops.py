"""The examples for Argo CD and Flux match the schemas of both, and the chart accepts their values."""

import copy
import re
from collections.abc import Iterator
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


def entries(item: Any, parts: list[str]) -> Iterator[tuple[Any, str]]:
    """Yield where a path of names leads to, as maps and their last names; ``[]`` is each entry of a list."""
    first, *rest = parts
    if first == "[]":
        for inner in item:
            yield from entries(inner, rest)
    elif first in item:
        if rest:
            yield from entries(item[first], rest)
        else:
            yield item, first


def ignored(item: Object) -> list[tuple[Any, str]]:
    """Return the fields of an object that Argo CD ignores."""
    found: list[tuple[Any, str]] = []
    for rule in example("argocd", "Application")["spec"]["ignoreDifferences"]:
        if (item["kind"], item["apiVersion"].partition("/")[0]) == (rule["kind"], rule["group"]):
            for pointer in rule.get("jsonPointers", []):
                found += entries(item, [part.replace("~1", "/") for part in pointer.split("/")[1:]])
            for path in rule.get("jqPathExpressions", []):
                found += entries(item, path.replace("[]", ".[]").split(".")[1:])
    return found


@pytest.mark.parametrize("weight", [10, 100])
def test_what_the_rollout_job_writes_is_no_difference_to_argo_cd(weight: int) -> None:
    """Otherwise Argo CD would undo a rollout, or half of it."""
    chart = {"canary": {"enabled": True, "storageUri": "s3://prices/models/linear-regressor/1/", "weight": 0}}
    objects = render_chart(merged(merged(chart_values("rollout"), values("argocd")), chart))
    changed = copy.deepcopy(objects)
    for item in changed:
        if item["kind"] == "InferenceService":
            item["spec"]["predictor"]["model"]["storageUri"] = "s3://prices/models/linear-regressor/4/"
            item["metadata"]["annotations"]["linear-regressor/model-version"] = "4"
        elif item["kind"] == "HTTPRoute":
            for rule in item["spec"]["rules"]:
                for backend in rule["backendRefs"]:
                    backend["weight"] = weight
    assert changed != objects
    for item in objects + changed:
        for place, name in ignored(item):
            place[name] = None
    assert changed == objects
