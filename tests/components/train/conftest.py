from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_diabetes

from components.data.dataset import Dataset
from tests.support.datasets import write_dataset


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

    return partial(write_dataset, tmp_path / "dataset")
