"""The chart and the overlays render the same deployment."""

import json
import os
from pathlib import Path

from tests.manifests.rendering import (
    CHART,
    OVERLAYS,
    Object,
    chart_values,
    render_chart,
    render_kustomization,
    render_overlay,
)

# Labels and annotations that only Helm sets.
HELM_ONLY = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
    "helm.sh/resource-policy",
}


def by_identity(objects: list[Object]) -> dict[tuple[str, str, str, str], Object]:
    """Index objects by version, kind, namespace and name, without the labels and annotations of Helm."""
    index = {}
    for item in objects:
        meta = item["metadata"]
        common = {
            field: {key: value for key, value in meta.get(field, {}).items() if key not in HELM_ONLY}
            for field in ("labels", "annotations")
        }
        identity = (item["apiVersion"], item["kind"], meta.get("namespace", ""), meta["name"])
        assert identity not in index, f"{identity} is rendered twice"
        index[identity] = {**item, "metadata": {**meta, **common}}
    return index


def test_chart_and_overlay_render_the_same_objects(overlay: str) -> None:
    chart, overlaid = by_identity(render_chart(chart_values(overlay))), by_identity(render_overlay(overlay))
    assert chart.keys() == overlaid.keys()
    for identity, item in chart.items():
        assert item == overlaid[identity], identity


def test_chart_and_component_render_the_same_retraining_token(tmp_path: Path) -> None:
    manifests = os.path.relpath(OVERLAYS.parent, tmp_path.resolve())
    kustomization = {
        "resources": [f"{manifests}/overlays/retraining"],
        "components": [f"{manifests}/components/retraining-token"],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(kustomization))
    values = chart_values("retraining")
    values["retraining"]["token"] = True
    chart = by_identity(render_chart(values))
    assert chart == by_identity(render_kustomization(tmp_path))
    job = chart["batch/v1", "CronJob", "linear-regressor", "linear-regressor-retraining"]
    assert "pipelines.kubeflow.org" in json.dumps(job)


def test_every_overlay_has_chart_values() -> None:
    assert {path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir()} == {
        folder.name for folder in OVERLAYS.iterdir()
    }
