"""When a retraining is due, as a table of cases."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.operations.monitor.due import Answered, Error, Observations, Policy, decide
from predictor.model.drift import Drift

STILL = Drift(index=0.01, chi_square=9.0, degrees=9, rows=500.0)
MOVED = Drift(index=0.3, chi_square=80.0, degrees=9, rows=500.0)
HELD_OUT = Error(4.0, 0.3, 300)
LIVE = Error(4.0, 0.2, 500)
LOST = Error(9.0, 0.5, 500)
QUIET = Observations(news=100, age=10.0, rows=500, drift={"bmi": STILL}, live=LIVE, held_out=HELD_OUT)
DRIFTED = replace(QUIET, drift={"bmi": MOVED})
DAYS = "2026-01-25/2026-01-31"


@pytest.mark.parametrize(
    ("observed", "due", "reason"),
    [
        pytest.param(QUIET, False, "no drift: the largest stability index is 0.010", id="nothing"),
        pytest.param(replace(QUIET, news=10**6, age=1e4), False, "not beyond chance", id="no schedule"),
        pytest.param(Observations(), False, "too few predictions", id="nothing recorded"),
        pytest.param(DRIFTED, True, "drift: bmi has a stability index of 0.300, above 0.05", id="drift"),
        pytest.param(
            replace(QUIET, drift={"bmi": replace(MOVED, index=0.04)}), False, "no drift", id="small drift"
        ),
        pytest.param(
            replace(QUIET, drift={"bmi": replace(MOVED, chi_square=29.0)}), False, "no drift", id="by chance"
        ),
        pytest.param(
            replace(QUIET, drift={f"x{number}": replace(MOVED, chi_square=36.0) for number in range(40)}),
            False,
            "no drift",
            id="by chance among many columns",
        ),
        pytest.param(
            replace(QUIET, drift={"bmi": replace(MOVED, rows=199.0)}),
            False,
            "too few independent predictions to judge drift of bmi: fewer than 200",
            id="alike",
        ),
        pytest.param(replace(DRIFTED, rows=199), False, "too few predictions", id="few predictions"),
        pytest.param(
            replace(DRIFTED, answered=Answered(DAYS, {"bmi": STILL})),
            False,
            f"a retraining answered the drift of bmi on {DAYS}; its index since then is 0.010",
            id="answered",
        ),
        pytest.param(
            replace(DRIFTED, answered=Answered(DAYS, {"bmi": MOVED})), True, "drift: bmi", id="moved on"
        ),
        pytest.param(
            replace(QUIET, drift={"age": MOVED, "bmi": MOVED}, answered=Answered(DAYS, {"bmi": STILL})),
            True,
            "drift: age",
            id="another column",
        ),
        pytest.param(replace(QUIET, live=LOST), True, "beyond chance above 1.25 times", id="quality"),
        pytest.param(
            replace(QUIET, live=replace(LIVE, mse=5.5)), False, "not beyond chance", id="error by chance"
        ),
        pytest.param(
            replace(QUIET, live=replace(LOST, standard_error=3.0)), False, "not beyond", id="uncertain error"
        ),
        pytest.param(replace(QUIET, live=replace(LIVE, mse=math.nan)), True, "quality", id="NaN error"),
        pytest.param(replace(QUIET, live=replace(LOST, mse=math.inf)), True, "quality", id="infinite error"),
        pytest.param(
            replace(QUIET, live=replace(LOST, rows=199)),
            False,
            "too few labels to judge quality: 199 of 200",
            id="few labels",
        ),
        pytest.param(
            replace(QUIET, live=LOST, held_out=replace(HELD_OUT, rows=87)),
            False,
            "too few held-out rows to judge quality: 87 of 88",
            id="few held-out rows",
        ),
        pytest.param(
            replace(QUIET, live=LOST, held_out=Error(4.0, math.nan, 300)), False, "is not known", id="unknown"
        ),
        pytest.param(
            replace(QUIET, live=LOST, answered=Answered(DAYS, live=LOST)),
            False,
            "which a retraining answered",
            id="answered quality",
        ),
        pytest.param(
            replace(QUIET, live=LOST, answered=Answered(DAYS, live=LIVE)),
            True,
            "quality",
            id="lost since then",
        ),
    ],
)
def test_decides_whether_a_retraining_is_due(observed: Observations, due: bool, reason: str) -> None:
    decision = decide(observed, Policy())
    assert decision.due is due
    assert reason in "; ".join(decision.reasons)


def test_new_data_or_age_alone_can_make_a_retraining_due() -> None:
    policy = Policy(news=100, age=10)
    new, old = decide(QUIET, policy).reasons
    assert new == "new data: 100 labels since the champion was registered, 100 are enough"
    assert old == "age: the champion was registered 10.0 days ago, 10 are allowed"
    neither = decide(replace(QUIET, news=99, age=9.9), policy)
    assert not neither.due
    assert neither.reasons[:2] == (
        "too little new data: 99 labels since the champion was registered, 100 are enough",
        "not old enough: the champion was registered 9.9 days ago, 10 are allowed",
    )


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 200), st.floats(0, 200))
def test_more_drift_never_makes_a_retraining_less_due(
    index: float, more: float, chi_square: float, further: float
) -> None:
    calm = replace(MOVED, index=index, chi_square=chi_square)
    worse = replace(MOVED, index=index + more, chi_square=chi_square + further)
    before, after = (decide(replace(QUIET, drift={"bmi": drift}), Policy()) for drift in (calm, worse))
    assert after.due >= before.due


@pytest.mark.parametrize(
    "changes",
    [{"drift": 0}, {"quality": 0.9}, {"rows": 0}, {"news": -1}, {"drift": math.nan}, {"age": -1.0}],
)
def test_refuses_an_invalid_policy(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Policy(**changes)  # type: ignore[arg-type]
