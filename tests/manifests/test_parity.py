"""The chart and the overlays are the same deployment, written twice."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
Render = Callable[..., list[Object]]

# What tells of Helm itself, and nothing of the deployment.
HELMS_OWN = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
    "helm.sh/resource-policy",
}
CHARTS = Path(__file__).parents[2] / "helm" / "linear-regressor" / "ci"


def by_identity(objects: list[Object]) -> dict[tuple[str, str, str, str], Object]:
    """Index objects by what Kubernetes knows them by, without Helm's own labels and annotations."""
    index = {}
    for item in objects:
        meta = item["metadata"]
        marks = {
            kind: {key: value for key, value in meta.get(kind, {}).items() if key not in HELMS_OWN}
            for kind in ("labels", "annotations")
        }
        identity = (item["apiVersion"], item["kind"], meta.get("namespace", ""), meta["name"])
        assert identity not in index, f"{identity} is there twice"
        index[identity] = {**item, "metadata": {**meta, **marks}}
    return index


def test_the_chart_renders_what_the_overlay_does(
    overlay: str, helm: Render, kustomize: Render, values_of: Callable[[str], Path]
) -> None:
    chart, overlaid = by_identity(helm(values_of(overlay))), by_identity(kustomize(overlay))
    assert chart.keys() == overlaid.keys()
    for identity, item in chart.items():
        assert item == overlaid[identity], identity


def test_the_token_of_the_retraining_is_the_same_in_both(
    tmp_path: Path, helm: Render, build: Render, values_of: Callable[[str], Path]
) -> None:
    manifests = os.path.relpath(CHARTS.parents[2] / "manifests", tmp_path.resolve())
    kustomization = {
        "resources": [f"{manifests}/overlays/retraining"],
        "components": [f"{manifests}/components/retraining-token"],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(kustomization))
    values = yaml.safe_load(values_of("retraining").read_text())
    values["retraining"]["token"] = True
    chart = by_identity(helm(values))
    assert chart == by_identity(build(tmp_path))
    job = chart["batch/v1", "CronJob", "linear-regressor", "linear-regressor-retraining"]
    assert "pipelines.kubeflow.org" in json.dumps(job)


def test_every_set_of_values_has_its_overlay() -> None:
    overlays = Path(__file__).parents[2] / "manifests" / "overlays"
    assert {path.name.removesuffix("-values.yaml") for path in CHARTS.iterdir()} == {
        folder.name for folder in overlays.iterdir()
    }
