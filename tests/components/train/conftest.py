from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from components.data import dataset as datasets
from components.data.dataset import Dataset


@pytest.fixture(scope="session")
def diabetes() -> Any:
    """scikit-learn's diabetes data as read-only X of shape (442, 10) and y of shape (442,)."""
    arrays = load_diabetes(return_X_y=True)
    for array in arrays:
        array.flags.writeable = False
    return arrays


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Dataset]:
    """Write a dataset y = 3 * signal + 5 + noise, with an unrelated feature ``other``."""

    def make_dataset(rows: int = 60, noise: float = 0.5) -> Dataset:
        random = np.random.RandomState(0)
        signal, other = random.normal(10, 2, rows), random.normal(0, 1, rows)
        columns = {
            "other": other,
            "signal": signal,
            "target": 3 * signal + 5 + noise * random.normal(size=rows),
        }
        return datasets.write(
            tmp_path / "dataset",
            {name: values[:-10] for name, values in columns.items()},
            {name: values[-10:] for name, values in columns.items()},
            source="here",
            settings={"seed": 0},
            units={"signal": "V"},
        )

    return make_dataset
