"""What was recorded, measured against the champion."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.operations.monitor.due import Error, Observations, Policy, decide
from components.operations.monitor.watch import PREDICTION, observe, window
from predictor.model.base import Distribution, Reference
from predictor.model.inputs import Column, Input
from tests.support.models import linear_model

ROWS = 5000
TRAINED = np.random.default_rng(0).normal(size=ROWS)
MODEL = linear_model(
    (2.0,),
    1.0,
    features=[Input("bmi", float(TRAINED.min()), float(TRAINED.max()))],
    target=Column("target", 0.0, 1.0),
    reference=Reference(ROWS, {"bmi": Distribution.of(TRAINED)}, Distribution.of(2 * TRAINED + 1)),
)


def record(folder: Path, kind: str, day: str, columns: dict[str, Iterable[object]]) -> None:
    place = folder / kind / day
    place.mkdir(parents=True)
    rows = pa.table({name: list(values) for name, values in columns.items()})
    times = pa.array([0] * len(rows), pa.timestamp("us", tz="UTC"))
    pq.write_table(rows.append_column("_time", times), place / "rows.parquet")


def record_predictions(folder: Path, day: str, bmi: np.ndarray, version: str = "3") -> None:
    numbers = range(len(bmi))
    record(
        folder,
        "predictions",
        day,
        {
            "_id": [f"{day}-{number}" for number in numbers],
            "_row": [0 for _ in numbers],
            "_version": [version for _ in numbers],
            "bmi": bmi,
            "_prediction": 2 * bmi + 1,
        },
    )


def now(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


HELD_OUT = Error(4.0, 0.2, 300)


def test_reads_the_last_days(tmp_path: Path) -> None:
    record_predictions(tmp_path, "2026-01-01", TRAINED[:100] + 50)
    record_predictions(tmp_path, "2026-01-09", TRAINED[:300])
    record_predictions(tmp_path, "2026-01-10", TRAINED[300:600], version="2")
    truths: dict[str, Iterable[object]] = {
        "_id": [f"2026-01-09-{number}" for number in range(100)],
        "_row": [0] * 100,
    }
    record(tmp_path, "truths", "2026-01-10", {**truths, "_target": 2 * TRAINED[:100] + 1 + 3})
    observed = observe(str(tmp_path), MODEL, "3", days=7, held_out=HELD_OUT, now=now("2026-01-10"))
    assert (observed.rows, observed.live.rows, observed.news) == (600, 100, 0)
    before = observe(str(tmp_path), MODEL, "3", registered=-1.0, now=now("2026-01-10"))
    assert before.news == 100
    assert observed.live.mse == pytest.approx(9)
    assert observed.live.standard_error == pytest.approx(0, abs=1e-12)
    assert set(observed.drift) == {"bmi", PREDICTION}
    assert not any(one.beyond_chance(1e-3) for one in observed.drift.values())


def test_sees_nothing_without_feedback(tmp_path: Path) -> None:
    assert observe(str(tmp_path), MODEL, "3", held_out=HELD_OUT) == Observations(held_out=HELD_OUT)


def test_names_a_feature_of_the_champion_that_was_not_recorded(tmp_path: Path) -> None:
    record_predictions(tmp_path, "2026-01-10", TRAINED[:10])
    other = linear_model((2.0,), 1.0, features=["s5"])
    with pytest.raises(ValueError, match="s5: not recorded below"):
        observe(str(tmp_path), other, "3", now=now("2026-01-10"))


def test_a_drift_that_a_retraining_answered_is_due_again_only_when_the_data_move_on(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for day, shift in (("2026-01-05", 1.0), ("2026-01-15", 1.0), ("2026-01-25", 2.0)):
        record_predictions(tmp_path, day, random.normal(shift, 1, 400))

    def due(day: str, answered: str) -> bool:
        observed = observe(str(tmp_path), MODEL, "3", answered=answered, now=now(day))
        return decide(observed, Policy()).due

    first = window(7, now("2026-01-05"))
    assert first == "2025-12-30/2026-01-05"
    assert due("2026-01-05", "")
    assert not due("2026-01-15", first)
    assert due("2026-01-15", "2025-01-01/2025-01-07")
    assert due("2026-01-25", first)


def test_rows_of_one_request_that_are_alike_are_no_evidence_of_drift(tmp_path: Path) -> None:
    centres = np.random.default_rng(1).normal(size=20)
    day = "2026-01-10"
    bmi = centres.repeat(10)
    columns: dict[str, Iterable[object]] = {
        "_id": [f"{row // 10}" for row in range(200)],
        "_row": [row % 10 for row in range(200)],
        "_version": ["3"] * 200,
        "bmi": bmi,
        "_prediction": 2 * bmi + 1,
    }
    record(tmp_path, "predictions", day, columns)
    observed = observe(str(tmp_path), MODEL, "3", now=now(day))
    assert observed.drift["bmi"].rows == pytest.approx(20, abs=5)
    decision = decide(observed, Policy())
    assert not decision.due
    assert "too few independent predictions to judge drift of (prediction), bmi" in "; ".join(
        decision.reasons
    )


def test_drift_within_the_window_is_found_in_a_few_large_requests(tmp_path: Path) -> None:
    day = "2026-01-10"
    bmi = np.concatenate([TRAINED[:400], TRAINED[400:1000] + 4])
    columns: dict[str, Iterable[object]] = {
        "_id": ["usual"] * 400 + ["moved"] * 600,
        "_row": [*range(400), *range(600)],
        "_version": ["3"] * 1000,
        "bmi": bmi,
        "_prediction": 2 * bmi + 1,
    }
    record(tmp_path, "predictions", day, columns)
    assert decide(observe(str(tmp_path), MODEL, "3", now=now(day)), Policy()).due


def test_the_standard_error_of_the_live_error_is_that_of_requests(tmp_path: Path) -> None:
    day = "2026-01-10"
    errors = np.array([1.0, 3.0]).repeat(50)
    keys: dict[str, Iterable[object]] = {
        "_id": [f"{row // 10}" for row in range(100)],
        "_row": [row % 10 for row in range(100)],
    }
    bmi = np.zeros(100)
    record(tmp_path, "predictions", day, {**keys, "_version": ["3"] * 100, "bmi": bmi, "_prediction": bmi})
    record(tmp_path, "truths", day, {**keys, "_target": errors})
    live = observe(str(tmp_path), MODEL, "3", now=now(day)).live
    assert (live.mse, live.rows) == (5.0, 100)
    assert live.standard_error == pytest.approx(4 / 3)
