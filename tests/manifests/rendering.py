"""Render the chart with helm and the overlays with kubectl, each only once.

A test that renders is skipped if the program is not on the PATH.
"""

import copy
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "linear-regressor"
OVERLAYS = ROOT / "manifests" / "overlays"
NAME = "linear-regressor"

Object = dict[str, Any]


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


def render_chart(values: Object | None = None, *, hooks: bool = False) -> list[Object]:
    """Render the chart with values; raises a ValueError if the chart rejects them."""
    command = ("helm", "template", NAME, str(CHART), "-n", NAME, "-f", "-")
    objects = _render(*command, stdin=json.dumps(values or {}))
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


def render_overlay(name: str) -> list[Object]:
    """Render an overlay and the kustomizations in its subfolders."""
    folders = sorted(file.parent for file in (OVERLAYS / name).rglob("kustomization.yaml"))
    return [item for folder in folders for item in render_kustomization(folder)]


def find(objects: list[Object], kind: str, name: str = NAME) -> Object:
    """Return the only object of a kind and name."""
    (found,) = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found
