"""Drift, quality, and when a retraining is due."""

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.operations.monitor.drift import PREDICTION, Drift, drift, stability_index
from components.operations.monitor.due import Policy, Seen, decide
from components.operations.monitor.watch import look
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


def test_the_training_rows_have_no_drift() -> None:
    assert stability_index(Distribution.of(TRAINED), TRAINED) == pytest.approx(0, abs=1e-12)


def test_the_stability_index_follows_its_formula() -> None:
    half = Distribution(0.0, 1.0, edges=(0.0,), proportions=(0.5, 0.5))
    values = np.array([-1.0, 1.0, 1.0, 1.0])
    expected = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert stability_index(half, values) == pytest.approx(expected, rel=1e-12)


def test_the_stability_index_of_no_rows_is_nan() -> None:
    assert math.isnan(stability_index(Distribution.of(TRAINED), np.empty(0)))


@pytest.mark.parametrize("seed", range(20))
def test_the_same_distribution_stays_below_chance(seed: int) -> None:
    seen = np.random.default_rng(seed + 1).normal(size=300)
    found = drift(MODEL, {"bmi": seen}, 2 * seen + 1)
    assert set(found) == {"bmi", PREDICTION}
    assert all(one.index < one.chance for one in found.values())


def test_a_shifted_distribution_exceeds_chance() -> None:
    seen = np.random.default_rng(1).normal(loc=1.0, size=300)
    found = drift(MODEL, {"bmi": seen}, 2 * seen + 1)
    assert all(one.index > max(0.2, one.chance) for one in found.values())


def test_an_unchanged_constant_feature_has_no_drift() -> None:
    constant = Distribution.of(np.zeros(10))
    model = linear_model((2.0,), 1.0, features=["bmi"], reference=Reference(10, {"bmi": constant}, constant))
    assert drift(model, {"bmi": np.zeros(5)}, np.zeros(5))["bmi"].index == pytest.approx(0, abs=1e-6)


def test_reads_the_last_days(tmp_path: Path) -> None:
    record_predictions(tmp_path, "2026-01-01", TRAINED[:100] + 50)
    record_predictions(tmp_path, "2026-01-09", TRAINED[:300])
    record_predictions(tmp_path, "2026-01-10", TRAINED[300:600], version="2")
    truths: dict[str, Iterable[object]] = {
        "_id": [f"2026-01-09-{number}" for number in range(100)],
        "_row": [0] * 100,
    }
    record(tmp_path, "truths", "2026-01-10", {**truths, "_target": 2 * TRAINED[:100] + 1 + 3})
    seen = look(str(tmp_path), MODEL, "3", days=7, held_out_mse=4.0, now=now("2026-01-10"))
    assert (seen.rows, seen.truths, seen.news) == (600, 100, 0)
    before = look(str(tmp_path), MODEL, "3", registered=-1.0, now=now("2026-01-10"))
    assert before.news == 100
    assert seen.live_mse == pytest.approx(9)
    assert all(one.index < one.chance for one in seen.drift.values())


def test_sees_nothing_without_feedback(tmp_path: Path) -> None:
    assert look(str(tmp_path), MODEL, "3", held_out_mse=4.0) == Seen(held_out_mse=4.0, live_mse=ANY)


def test_names_a_feature_of_the_champion_that_was_not_recorded(tmp_path: Path) -> None:
    record_predictions(tmp_path, "2026-01-10", TRAINED[:10])
    other = linear_model((2.0,), 1.0, features=["s5"])
    with pytest.raises(ValueError, match="s5: no such feature was kept"):
        look(str(tmp_path), other, "3", now=now("2026-01-10"))


QUIET = Seen(news=100, rows=500, drift={"bmi": Drift(0.01, 0.1)}, truths=500, live_mse=4.0, held_out_mse=4.0)


@pytest.mark.parametrize(
    ("seen", "due", "reason"),
    [
        (QUIET, False, "no drift"),
        (replace(QUIET, news=10**6), False, "quality holds"),
        (replace(QUIET, drift={"bmi": Drift(0.3, 0.1)}), True, "drift: bmi"),
        (replace(QUIET, drift={"bmi": Drift(0.3, 0.4)}), False, "no drift"),
        (replace(QUIET, drift={"bmi": Drift(0.3, 0.1)}, rows=199), False, "too few predictions"),
        (replace(QUIET, live_mse=5.0), False, "quality holds"),
        (replace(QUIET, live_mse=5.01), True, "quality: "),
        (replace(QUIET, live_mse=math.nan), True, "quality: "),
        (replace(QUIET, live_mse=math.inf), True, "quality: "),
        (replace(QUIET, live_mse=9.0, truths=199), False, "too few truths"),
        (replace(QUIET, live_mse=9.0, held_out_mse=math.nan), False, "own error is not known"),
        (Seen(), False, "too few predictions"),
    ],
)
def test_decides_whether_a_retraining_is_due(seen: Seen, due: bool, reason: str) -> None:
    decision = decide(seen, Policy())
    assert decision.due is due
    assert reason in "; ".join(decision.reasons)


def test_new_data_alone_can_make_a_retraining_due() -> None:
    policy = Policy(news=100)
    assert decide(QUIET, policy).reasons == (
        "new data: 100 truths were told since the champion was registered",
    )
    few = decide(replace(QUIET, news=99), policy)
    assert (few.due, few.reasons[0]) == (False, "too little new data: 99 truths of 100")


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 10))
def test_more_drift_never_makes_a_retraining_less_due(index: float, more: float, chance: float) -> None:
    calm = decide(replace(QUIET, drift={"bmi": Drift(index, chance)}), Policy())
    worse = decide(replace(QUIET, drift={"bmi": Drift(index + more, chance)}), Policy())
    assert worse.due >= calm.due


@pytest.mark.parametrize(
    "changes", [{"drift": 0}, {"quality": 0.9}, {"rows": 0}, {"news": -1}, {"drift": math.nan}]
)
def test_refuses_an_invalid_policy(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Policy(**changes)  # type: ignore[arg-type]
