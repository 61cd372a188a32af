"""The chart and the overlays, rendered by helm and kubectl, where these are on the PATH."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "linear-regressor"
OVERLAYS = ROOT / "manifests" / "overlays"
NAME = "linear-regressor"

Object = dict[str, Any]
Render = Callable[..., list[Object]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for an overlay once for each there is."""
    if "overlay" in metafunc.fixturenames:
        metafunc.parametrize("overlay", sorted(folder.name for folder in OVERLAYS.iterdir()))


def _run(*command: str, stdin: str | None = None) -> str:
    if not shutil.which(command[0]):
        pytest.skip(f"LEFT OUT: {command[0]} is not on the PATH, so nothing was rendered")
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout


def _objects(text: str) -> list[Object]:
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="session")
def helm() -> Render:
    """Render the chart with values, a mapping or a file; raise a ValueError for what it refuses."""

    def render(values: Object | Path, *, hooks: bool = False) -> list[Object]:
        given = values.read_text() if isinstance(values, Path) else json.dumps(values)
        text = _run("helm", "template", NAME, str(CHART), "-n", NAME, "-f", "-", stdin=given)
        return [
            o for o in _objects(text) if hooks or "helm.sh/hook" not in o["metadata"].get("annotations", {})
        ]

    return render


@pytest.fixture(scope="session")
def build() -> Callable[[Path], list[Object]]:
    """Render the kustomization of a folder."""
    return lambda folder: _objects(_run("kubectl", "kustomize", str(folder)))


@pytest.fixture(scope="session")
def kustomize(build: Callable[[Path], list[Object]]) -> Render:
    """Render an overlay by its name, with what is applied beside it."""

    def render(overlay: str) -> list[Object]:
        folders = sorted(file.parent for file in (OVERLAYS / overlay).rglob("kustomization.yaml"))
        return [item for folder in folders for item in build(folder)]

    return render


@pytest.fixture(scope="session")
def values_of() -> Callable[[str], Path]:
    """The chart's values that say the same as an overlay."""
    return lambda overlay: CHART / "ci" / f"{overlay}-values.yaml"


@pytest.fixture(scope="session")
def one() -> Callable[[list[Object], str, str], Object]:
    """Find the one object of a kind and name."""

    def find(objects: list[Object], kind: str, name: str = NAME) -> Object:
        (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
        return found

    return find
