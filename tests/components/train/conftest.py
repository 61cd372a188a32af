from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components import dataset as datasets
from components.dataset import Dataset


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Dataset]:
    """Write a dataset y = 3 * signal + 5 + noise, with a feature ``other`` that says nothing."""

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
