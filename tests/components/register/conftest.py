"""A registry per test, and models to register in it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.register.registry import Registry, open_registry
from predictor.model.inputs import Column, Input
from tests.components.register.decisions import accept
from tests.support.models import linear_model, write_model
from tests.support.registry import empty_registry

MakeModel = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty registry."""
    return empty_registry(tmp_path_factory, tmp_path / "registry")


@pytest.fixture
def registry(root: Path) -> Registry:
    return open_registry(root)


@pytest.fixture(scope="session")
def registry_with_champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry whose champion is version 1, y = x; it is to be copied."""
    place = tmp_path_factory.mktemp("with-champion")
    root = empty_registry(tmp_path_factory, place / "registry")
    open_registry(root).register(write_line(place, 1.0), "run-1", {"slope": "1"}, accept)
    return root


@pytest.fixture
def champion_root(registry_with_champion: Path, tmp_path: Path) -> Path:
    """The folder of a registry whose champion is version 1, y = x."""
    return Path(shutil.copytree(registry_with_champion, tmp_path / "registry"))


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write y = slope * x + intercept as a model folder, or return the one written before."""

    def make(slope: float, *, intercept: float = 0.0, feature: str = "x", target: str = "y") -> Path:
        return write_line(tmp_path, slope, intercept, feature, target)

    return make


def write_line(
    place: Path, slope: float, intercept: float = 0.0, feature: str = "x", target: str = "y"
) -> Path:
    folder = place / f"{feature}-{target}-{slope}-{intercept}"
    if folder.exists():
        return folder
    feature_column, target_column = Input(feature, -1.0, 1.0), Column(target, -1.0, 1.0)
    return write_model(
        folder, linear_model([slope], intercept, features=[feature_column], target=target_column)
    )
