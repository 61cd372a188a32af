"""The chart and the overlays render the same deployment, by any name and in any namespace."""

import json
import os
from pathlib import Path

import pytest
import yaml

from tests.manifests.rendering import (
    CHART,
    MANIFESTS,
    NAME,
    OVERLAYS,
    REGISTRY,
    Installation,
    Object,
    by_identity,
    chart_values,
    merged,
    overlay_folders,
    own_kustomization,
    render_chart,
    render_kustomization,
)

INSTALLATIONS = [Installation(), Installation("prices", "team")]


def render_own(overlay: str, installation: Installation, folder: Path, **more: object) -> list[Object]:
    """Render a user's kustomizations of an overlay and of the folders that are applied separately."""
    objects = []
    for number, resource in enumerate(overlay_folders(overlay)):
        own = folder / str(number)
        own.mkdir()
        content = {**own_kustomization(resource, installation, own), **more}
        (own / "kustomization.yaml").write_text(json.dumps(content))
        objects += render_kustomization(own)
    return objects


@pytest.mark.parametrize(
    "installation", INSTALLATIONS, ids=lambda where: f"{where.release}-in-{where.namespace}"
)
def test_chart_and_overlay_render_the_same_objects(
    overlay: str, installation: Installation, tmp_path: Path
) -> None:
    chart = by_identity(render_chart(chart_values(overlay), installation))
    overlaid = by_identity(render_own(overlay, installation, tmp_path))
    assert chart.keys() == overlaid.keys()
    for identity, item in chart.items():
        assert item == overlaid[identity], identity


def test_chart_and_component_render_the_same_retraining_token(tmp_path: Path) -> None:
    component = os.path.relpath(MANIFESTS / "components" / "retraining-token", (tmp_path / "0").resolve())
    installation = Installation()
    overlaid = by_identity(render_own("retraining", installation, tmp_path, components=[component]))
    values = merged(chart_values("retraining"), {"retraining": {"token": True}})
    chart = by_identity(render_chart(values, installation))
    assert chart == overlaid
    job = chart["batch/v1", "CronJob", NAME, f"{NAME}-retraining"]
    assert "pipelines.kubeflow.org" in json.dumps(job)


@pytest.mark.parametrize("installation", INSTALLATIONS, ids=lambda where: where.namespace)
def test_chart_and_component_render_the_same_policy_of_the_registrys_root(
    installation: Installation, tmp_path: Path
) -> None:
    component = os.path.relpath(MANIFESTS / "components" / "registry-root", (tmp_path / "0").resolve())
    host = f"{installation.name}.{installation.namespace}.example.com"
    literals = ["registryRoot=s3://prices", f"host={host}", f"grpcHost=grpc.{host}"]
    generator = [{"name": NAME, "behavior": "merge", "literals": literals}]
    overlaid = render_own(
        "standard", installation, tmp_path, components=[component], configMapGenerator=generator
    )
    values = merged(chart_values("standard"), {"model": {"registryRoot": "s3://prices"}})
    chart = by_identity(render_chart(values, installation))
    assert chart == by_identity(overlaid)
    policy = f"{installation.name}.{installation.namespace}.registry-root"
    assert ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "", policy) in chart


def test_chart_and_settings_of_an_overlay_name_the_same_stores(tmp_path: Path) -> None:
    installation = Installation("prices", "team")
    stores = {
        "registryRoot": "s3://prices",
        "artifacts": "s3://prices-files/mlflow",
        "feedback": "s3://prices-seen/feedback",
        "data": "s3://prices-data/tables",
    }
    values = {
        "rollout": {"registry": {"root": stores["registryRoot"]}},
        "retraining": {"feedback": stores["feedback"], "data": stores["data"]},
        "mlflow": {"artifacts": {"destination": stores["artifacts"]}},
    }
    host = "prices.team.example.com"
    literals = [
        f"{key}={value}" for key, value in {**stores, "host": host, "grpcHost": f"grpc.{host}"}.items()
    ]
    generator = [{"name": NAME, "behavior": "merge", "literals": literals}]
    overlaid = render_own("retraining", installation, tmp_path, configMapGenerator=generator)
    chart = render_chart(
        merged(merged(chart_values("retraining"), values), {"routing": {"host": host}}), installation
    )
    assert by_identity(chart) == by_identity(overlaid)


def test_example_renders_what_the_chart_does() -> None:
    example = MANIFESTS / "example"
    settings = yaml.safe_load((example / "kustomization.yaml").read_text())
    installation = Installation(settings["namePrefix"].removesuffix("-"), settings["namespace"])
    values = {
        "routing": {"host": "prices.example.com"},
        "storage": {"secretName": f"{NAME}-store"},
        "image": {"registry": REGISTRY},
    }
    assert by_identity(render_kustomization(example)) == by_identity(render_chart(values, installation))


def test_every_overlay_has_chart_values() -> None:
    assert {path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir()} == {
        folder.name for folder in OVERLAYS.iterdir()
    }
