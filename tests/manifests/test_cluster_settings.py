"""What the tests on a cluster install is valid, and the same by Helm and kustomize."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.operations.cli import rollout
from tests.cluster import registry, rollout_install, test_installations, test_retraining
from tests.cluster.installers import Canary, Helm, Kustomize, Settings, render_template
from tests.cluster.pipelines import Pipelines
from tests.cluster.rollout_job import Job
from tests.cluster.service import Service
from tests.manifests.rendering import (
    Installation,
    Object,
    by_identity,
    render_chart,
    render_kustomization,
)
from tests.manifests.schemas import problems

IMAGE = "linear-regressor/predictor:0.1.0"
STORE = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"), "x")
LOOP = test_retraining.FeedbackLoop(
    Pipelines("http://kubeflow", "linear-regressor/pipeline:0.1.0", "s3://models/tests", "http://registry"),
    Service("http://gateway", {}),
)
SETTINGS = {
    "one version": Settings(IMAGE),
    "no version": Settings(IMAGE, version=None),
    "a canary": Settings(IMAGE, canary=Canary("2", 20)),
    "a canary without a weight": Settings(IMAGE, canary=Canary("2", None)),
    "KEDA": Settings(IMAGE, maximum=3, scaling="keda"),
}
VALUES = {
    "the rollout job": rollout_install.job_values(IMAGE, "linear-regressor/pipeline:0.1.0"),
    "a predictor that keeps feedback": test_retraining.predictor_values(LOOP, IMAGE, STORE, 9000),
    "a second release": test_installations.chart_values(IMAGE),
}


def assert_valid(objects: list[Object]) -> None:
    assert objects
    for item in objects:
        assert not problems(item)


def without_version(objects: list[Object]) -> dict[tuple[str, str, str, str], Any]:
    """Return the objects without what kustomize leaves to a patch."""
    index = by_identity(objects)
    for item in index.values():
        if item["kind"] == "InferenceService":
            item["metadata"]["annotations"].pop("linear-regressor/model-version", None)
            item["spec"]["predictor"]["model"].pop("storageUri", None)
    return index


def rendered(template: str, values: Object) -> list[Object]:
    """Render one of the chart's templates, as the tests on a cluster do."""
    if not shutil.which("helm"):
        pytest.skip("LEFT OUT: helm is not on the PATH")
    return [item for item in yaml.safe_load_all(render_template(template, "team", values)) if item]


@pytest.mark.parametrize("name", SETTINGS)
def test_both_ways_install_the_same_objects(name: str, tmp_path: Path) -> None:
    chart = render_chart(Helm().values(SETTINGS[name]), required=False)
    Kustomize(tmp_path).write(SETTINGS[name])
    folders = [file.parent for file in tmp_path.rglob("kustomization.yaml")]
    overlaid = [item for folder in folders for item in render_kustomization(folder)]
    assert_valid(chart)
    assert_valid(overlaid)
    assert without_version(chart) == without_version(overlaid)


@pytest.mark.parametrize("name", VALUES)
def test_chart_accepts_the_values(name: str) -> None:
    assert_valid(render_chart(VALUES[name], required=False))


def test_registry_with_users_is_valid() -> None:
    assert_valid(rendered("mlflow", registry.mlflow_values("linear-regressor/registry:0.1.0", 9000)))


def test_retraining_job_is_valid() -> None:
    assert_valid(rendered("retraining", LOOP.cronjob_values("6h", 9000)))


def test_second_release_by_kustomize_is_that_of_helm(tmp_path: Path) -> None:
    houses = Installation("houses", test_installations.NAMESPACE)
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(test_installations.kustomization(IMAGE, tmp_path))
    )
    overlaid = render_kustomization(tmp_path)
    values = {**test_installations.chart_values(IMAGE), "commonLabels": {}, "podAnnotations": {}}
    chart = render_chart(values, houses, required=False)
    assert_valid(overlaid)
    assert without_version(chart) == without_version(overlaid)


@pytest.mark.parametrize("name", ["promote", "canary", "rollback", "reconcile"])
def test_rollout_command_parses_the_options_of_the_tests(name: str, tmp_path: Path) -> None:
    command = Job(tmp_path, "http://registry", {}).command(name)
    assert command[2] == rollout.__name__
    parser = argparse.ArgumentParser()
    rollout.add(parser.add_subparsers())
    options = parser.parse_args(command[3:])
    assert json.loads(Path(options.policy).read_text())["steps"]
    assert options.namespace == "linear-regressor-rollout"
