"""Render the chart with helm and the overlays with kubectl, each only once.

A test that renders is skipped if the program is not on the PATH.
"""

import copy
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "linear-regressor"
MANIFESTS = ROOT / "manifests"
OVERLAYS = MANIFESTS / "overlays"
NAME = "linear-regressor"
REGISTRY = "registry.example.com/team"
KUBERNETES = "1.34.0"

Object = dict[str, Any]

# Labels and annotations that only Helm sets.
HELM_ONLY = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
    "helm.sh/resource-policy",
}

# What the chart refuses to be without.
REQUIRED: Object = {
    "image": {"registry": REGISTRY},
    "storage": {"withoutSecret": True},
    "model": {"promoted": True},
}


@dataclass(frozen=True)
class Installation:
    """A name and a namespace to install in; kustomize's prefix is the chart's release."""

    release: str = NAME
    namespace: str = NAME

    @property
    def name(self) -> str:
        """The name of the objects."""
        return self.release if NAME in self.release else f"{self.release}-{NAME}"

    @property
    def prefix(self) -> str:
        """The prefix of all names."""
        return self.name.removesuffix(NAME)


DEFAULT = Installation()


@cache
def _rendered(*command: str, stdin: str | None = None) -> list[Object]:
    if not shutil.which(command[0]):
        pytest.skip(f"LEFT OUT: {command[0]} is not on the PATH, so nothing was rendered")
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)
    return [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]


def _render(*command: str, stdin: str | None = None) -> list[Object]:
    """Return the objects that a command renders, as a copy that a test may change."""
    return copy.deepcopy(_rendered(*command, stdin=stdin))


def merged(values: Object, changes: Object) -> Object:
    """Return values with changes, as helm merges them."""
    result = dict(values)
    for key, change in changes.items():
        inner = result.get(key)
        result[key] = (
            merged(inner, change) if isinstance(inner, dict) and isinstance(change, dict) else change
        )
    return result


def render_chart(
    values: Object | None = None,
    installation: Installation = DEFAULT,
    *,
    hooks: bool = False,
    required: bool = True,
    options: tuple[str, ...] = ("--kube-version", KUBERNETES),
) -> list[Object]:
    """Render the chart with values beside the required ones; raises a ValueError if it refuses them."""
    command = ("helm", "template", installation.release, str(CHART), "-n", installation.namespace, "-f", "-")
    content = merged(REQUIRED, values or {}) if required else values or {}
    objects = _render(*command, *options, stdin=json.dumps(content))
    return [
        item for item in objects if hooks or "helm.sh/hook" not in item["metadata"].get("annotations", {})
    ]


def chart_values(overlay: str) -> Object:
    """Return the chart's values that render the same objects as an overlay."""
    values: Object = yaml.safe_load((CHART / "ci" / f"{overlay}-values.yaml").read_text())
    return values


def render_kustomization(folder: Path) -> list[Object]:
    """Render the kustomization in a folder."""
    return _render("kubectl", "kustomize", str(folder))


def overlay_folders(name: str) -> list[Path]:
    """Return the folders of an overlay: its own, and those that are applied separately."""
    return sorted(file.parent for file in (OVERLAYS / name).rglob("kustomization.yaml"))


def render_overlay(name: str) -> list[Object]:
    """Render an overlay and the kustomizations in its subfolders."""
    return [item for folder in overlay_folders(name) for item in render_kustomization(folder)]


def own_kustomization(resource: Path, installation: Installation, folder: Path) -> Object:
    """Return the kustomization of a user in a folder, who installs an overlay by another name."""
    images = [
        {"name": f"{NAME}/{image}", "newName": f"{REGISTRY}/{NAME}/{image}"}
        for image in ("predictor", "pipeline", "registry")
    ]
    host = f"{installation.name}.{installation.namespace}.example.com"
    return {
        "namespace": installation.namespace,
        "namePrefix": installation.prefix,
        "resources": [os.path.relpath(resource, folder.resolve())],
        "transformers": [os.path.relpath(MANIFESTS / "follow", folder.resolve())],
        "images": images,
        "configMapGenerator": [
            {"name": NAME, "behavior": "merge", "literals": [f"host={host}", f"grpcHost=grpc.{host}"]}
        ],
    }


def find(objects: list[Object], kind: str, name: str = NAME) -> Object:
    """Return the only object of a kind and name."""
    (found,) = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


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
        if item["kind"] == "ConfigMap" and meta["name"].endswith("-dashboard"):
            # kustomize can't change a key: there the files are named as in the default installation.
            topics = {name.rpartition("-")[2]: text for name, text in item["data"].items()}
            index[identity]["data"] = topics
    return index
