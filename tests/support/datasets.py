"""Dataset folders to train on."""

from pathlib import Path

import numpy as np

from components.data import dataset as datasets
from components.data.dataset import Dataset


def write_dataset(folder: Path, rows: int = 60, noise: float = 0.5) -> Dataset:
    """Write y = 3 * signal + 5 + noise, with an unrelated feature ``other``; ten rows are held out."""
    random = np.random.RandomState(0)
    signal, other = random.normal(10, 2, rows), random.normal(0, 1, rows)
    columns = {
        "other": other,
        "signal": signal,
        "target": 3 * signal + 5 + noise * random.normal(size=rows),
    }
    return datasets.write(
        folder,
        {name: values[:-10] for name, values in columns.items()},
        {name: values[-10:] for name, values in columns.items()},
        source="here",
        settings={"seed": 0},
        units={"signal": "V"},
    )
