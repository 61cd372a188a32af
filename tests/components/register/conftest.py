"""A registry per test, and models to register in it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.register.index import Index
from components.register.registry import Registry, open_registry
from predictor.model import artifact
from predictor.model.artifact import Column, Distribution, LinearModel, Reference

MakeModel = Callable[..., Path]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty index, made once: MLflow takes seconds for it."""
    path = tmp_path_factory.mktemp("index") / "mlflow.db"
    with Index("linear-regressor", database=path).exclusive():
        return path


@pytest.fixture
def root(tmp_path: Path, database: Path) -> Path:
    """Where a registry stands, with an empty index."""
    root = tmp_path / "registry"
    root.mkdir()
    shutil.copy(database, root)
    return root


@pytest.fixture
def registry(root: Path) -> Registry:
    return open_registry(root)


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write y = slope * x + intercept as a model folder."""

    def make(slope: float, *, intercept: float = 0.0, feature: str = "x", target: str = "y") -> Path:
        seen = Distribution.of(np.linspace(-1, 1, 50))
        model = LinearModel(
            weights=(slope,),
            intercept=intercept,
            features=(Column(feature, -1.0, 1.0),),
            target=Column(target, -1.0, 1.0),
            reference=Reference(rows=50, features={feature: seen}, prediction=seen),
        )
        folder = tmp_path / f"{feature}-{target}-{slope}-{intercept}"
        if not folder.exists():
            artifact.write(model, folder)
        return folder

    return make
