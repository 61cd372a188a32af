"""Held-out rows that a champion was trained on, found by fingerprints."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.data import dataset as datasets
from components.data.contamination import LEVEL, TrainingRows, find
from components.data.dataset import Dataset
from components.data.rows import SKETCH_SIZE

ROWS = 500
Columns = Mapping[str, np.ndarray]


def split(
    folder: Path,
    table: Columns,
    held_out: np.ndarray,
    *,
    features: str = "x",
    kept: np.ndarray | None = None,
    **settings: object,
) -> Dataset:
    """Write a dataset whose features are named by letters; the other columns stay with the held-out rows."""
    names = [*features, "y"]
    others = {name: table[name][held_out] for name in table if name not in names}
    return datasets.write(
        folder,
        {name: table[name][~held_out] for name in names},
        {name: table[name][held_out] for name in names},
        source="made up",
        settings=settings,
        others=pa.table(others),
        kept=kept,
    )


def chosen(seed: int, rows: int = ROWS, share: float = 0.2) -> np.ndarray:
    return np.random.default_rng(seed).random(rows) < share


@pytest.fixture(scope="module")
def table() -> Columns:
    random = np.random.default_rng(7)
    return {name: random.normal(size=ROWS) for name in "xyz"}


def test_another_seed_is_found_with_the_share(table: Columns, tmp_path: Path) -> None:
    held_out, now = chosen(0), chosen(1)
    settings: dict[str, Any] = {
        "test_rows": 20,
        "test_share": 0.2,
        "order": "",
        "group": "",
        "missing": "fail",
    }
    before = TrainingRows.of(split(tmp_path / "before", table, held_out, seed=0, **settings))
    again = TrainingRows.of_document(json.loads(json.dumps(before.document())))
    found = find(split(tmp_path / "now", table, now, seed=1, **settings), again)
    assert found is not None
    assert found.share == pytest.approx((~held_out)[now].mean(), abs=0.15)
    assert found.split == "seed=0"
    ordered = settings | {"test_share": 0.0, "order": "day"}
    found = find(split(tmp_path / "ordered", table, now, seed=0, **ordered), again)
    assert found is not None
    assert found.split == "test_share=0.2, order="
    moved = find(split(tmp_path / "moved", table, now, seed=0, **settings), again)
    assert moved is not None
    assert moved.split == ""


def test_other_features_do_not_hide_it(table: Columns, tmp_path: Path) -> None:
    before = TrainingRows.of(split(tmp_path / "before", table, chosen(0)))
    assert find(split(tmp_path / "more", table, chosen(1), features="xz"), before) is not None
    assert find(split(tmp_path / "other", table, chosen(1), features="z"), before) is not None


@pytest.mark.parametrize("features", ["x", "z", "xz"])
def test_the_same_split_is_clean_whatever_the_features(table: Columns, tmp_path: Path, features: str) -> None:
    before = TrainingRows.of(split(tmp_path / "before", table, chosen(0)))
    assert find(split(tmp_path / "now", table, chosen(0), features=features), before) is None


def test_new_rows_are_clean(table: Columns, tmp_path: Path) -> None:
    last = np.arange(ROWS) >= ROWS - 20
    before = TrainingRows.of(split(tmp_path / "before", {n: v[:-20] for n, v in table.items()}, last[20:]))
    assert find(split(tmp_path / "now", table, last), before) is None


def test_a_training_set_is_sampled(table: Columns, tmp_path: Path) -> None:
    training = TrainingRows.of(split(tmp_path / "before", table, chosen(0)))
    assert len(training.sketch.fingerprints) == SKETCH_SIZE < (~chosen(0)).sum()


def test_the_share_allows_for_training_rows_that_were_not_kept(table: Columns, tmp_path: Path) -> None:
    held_out, now = chosen(0), chosen(1)
    kept = np.arange((~held_out).sum()) % 2 == 0
    before = TrainingRows.of(split(tmp_path / "before", table, held_out, kept=kept))
    found = find(split(tmp_path / "now", table, now), before)
    assert found is not None
    assert found.share == pytest.approx((~held_out)[now].mean(), abs=0.25)


def test_nothing_is_said_of_columns_that_are_missing_or_of_another_type(
    table: Columns, tmp_path: Path
) -> None:
    before = TrainingRows.of(split(tmp_path / "before", table, chosen(0), features="z"))
    without = {name: table[name] for name in "xy"}
    assert find(split(tmp_path / "without", without, chosen(1)), before) is None
    as_text = {**table, "z": np.array([f"about {value}" for value in table["z"]])}
    assert find(split(tmp_path / "text", as_text, chosen(1)), before) is None


def test_false_alarms_are_rare_among_rows_that_equal_each_other_by_coincidence(tmp_path: Path) -> None:
    random, alarms, missed, runs = np.random.default_rng(0), 0, 0, 150
    for run in range(runs):
        # Twelve ratings in five years of sixty different rows: nearly every row has an equal one.
        rows = {
            "x": random.integers(0, 12, ROWS).astype(float),
            "y": random.integers(1, 6, ROWS).astype(float),
        }
        older = TrainingRows.of(split(tmp_path / f"{run}", rows, chosen(run)))
        fresh = {name: random.permutation(values) for name, values in rows.items()}
        alarms += find(split(tmp_path / f"{run} fresh", fresh, chosen(run)), older) is not None
        precise = {name: values + random.normal(0, 1e-3, ROWS) for name, values in rows.items()}
        older = TrainingRows.of(split(tmp_path / f"{run} precise", precise, chosen(run)))
        missed += find(split(tmp_path / f"{run} now", precise, chosen(run + runs)), older) is None
    # With this level, more than 5 of 150 have a probability below 0.3 %.
    assert alarms <= runs * LEVEL + 4
    assert missed == 0
