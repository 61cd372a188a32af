"""A data set on which y = 2 x exactly, and models to score on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components import dataset as datasets
from components.dataset import Dataset
from components.evaluate.compare import Entry
from predictor.model import artifact
from tests.support.models import linear_model, write_model


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = np.linspace(-1, 1, 60)
    columns = {"x": rows, "z": rows**2, "y": 2 * rows}
    train = {name: values[:40] for name, values in columns.items()}
    test = {name: values[40:] for name, values in columns.items()}
    return datasets.write(tmp_path / "dataset", train, test, source="made up", settings={})


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Write y = slope * x as a model folder."""

    def make(slope: float, *, feature: str = "x", target: str = "y") -> Path:
        model = linear_model((slope,), intercept=0.0, features=[feature], target=target)
        return write_model(tmp_path / f"{feature}-{target}-{slope}", model)

    return make


@pytest.fixture
def make_entry(make_model: Callable[..., Path]) -> Callable[..., Entry]:
    def make(slope: float, *, version: int | None = None, **names: str) -> Entry:
        return Entry(*artifact.read(make_model(slope, **names)), version)

    return make
