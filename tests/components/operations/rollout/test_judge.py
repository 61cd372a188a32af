"""The canary's decision: cases in a table, and what holds for all of them."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.operations.rollout.judge import Answer, Exchange, Outcome, Window, judge, summarise
from components.operations.rollout.policy import Policy

POLICY = Policy(
    requests=100, error_ratio=0.02, latency_ratio=1.5, latency_floor=0.01, quantile=0.9, shift=0.5
)
GOOD = Window(
    requests=200,
    errors=0,
    not_finite=0,
    compared=200,
    stable_latency=0.02,
    canary_latency=0.02,
    shift=0.1,
)
RANK = {Outcome.PASS: 0, Outcome.WAIT: 0, Outcome.AGAIN: 1, Outcome.ROLL_BACK: 2}

CASES = {
    "a sound canary passes": ({}, Outcome.PASS, "200 requests compared"),
    "errors up to the allowed share pass": ({"errors": 4, "compared": 196}, Outcome.PASS, "4 failed"),
    "one error more rolls back": (
        {"errors": 5, "compared": 195},
        Outcome.ROLL_BACK,
        "5 of 200 requests failed",
    ),
    "few requests may have as many errors as the required number": (
        {"requests": 10, "errors": 2, "compared": 8},
        Outcome.AGAIN,
        "8 requests could be compared, and 100 are needed",
    ),
    "one non-finite prediction rolls back": (
        {"not_finite": 1},
        Outcome.ROLL_BACK,
        "no finite number",
    ),
    "no requests repeat the step": (
        {"requests": 0, "compared": 0, "stable_latency": math.nan, "canary_latency": math.nan},
        Outcome.AGAIN,
        "0 requests could be compared",
    ),
    "too few compared requests repeat the step": (
        {"compared": 99},
        Outcome.AGAIN,
        "99 requests could be compared",
    ),
    "just enough compared requests pass": ({"compared": 100}, Outcome.PASS, "100 requests compared"),
    "latency at the bound passes": ({"canary_latency": 0.03}, Outcome.PASS, "30.0 ms"),
    "latency above the bound rolls back": (
        {"canary_latency": 0.0301},
        Outcome.ROLL_BACK,
        "30.0 ms are allowed",
    ),
    "latency below the floor passes": (
        {"stable_latency": 0.001, "canary_latency": 0.015},
        Outcome.PASS,
        "15.0 ms",
    ),
    "an unknown latency rolls back": (
        {"canary_latency": math.nan},
        Outcome.ROLL_BACK,
        "nan ms against",
    ),
    "a shift at the bound passes": ({"shift": 0.5}, Outcome.PASS, "0.5 standard deviations"),
    "a shift above the bound rolls back": ({"shift": 0.51}, Outcome.ROLL_BACK, "shifted by 0.51"),
    "an unknown shift rolls back": ({"shift": math.nan}, Outcome.ROLL_BACK, "shifted by nan"),
    "an infinite shift rolls back": ({"shift": math.inf}, Outcome.ROLL_BACK, "shifted by inf"),
}


@pytest.mark.parametrize("name", CASES)
def test_judges_a_complete_window(name: str) -> None:
    changes, outcome, reason = CASES[name]
    verdict = judge(POLICY, replace(GOOD, **changes), over=True)  # type: ignore[arg-type]
    assert verdict.outcome is outcome
    assert reason in "; ".join(verdict.reasons)


@pytest.mark.parametrize("change", [{"canary_latency": 9.0}, {"shift": 9.0}, {"compared": 3}])
def test_waits_for_the_whole_window_before_judging_latency_shift_and_count(change: dict[str, float]) -> None:
    assert judge(POLICY, replace(GOOD, **change), over=False).outcome is Outcome.WAIT  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"errors": 5}, {"not_finite": 1}])
def test_rolls_back_at_once_on_errors_and_non_finite_predictions(change: dict[str, int]) -> None:
    assert judge(POLICY, replace(GOOD, **change), over=False).outcome is Outcome.ROLL_BACK


def test_gives_all_reasons() -> None:
    verdict = judge(POLICY, replace(GOOD, canary_latency=1.0, shift=2.0), over=True)
    assert len(verdict.reasons) == 2


NUMBERS = st.floats(-1e6, 1e6)
VALUES = st.none() | NUMBERS | st.sampled_from([math.nan, math.inf, -math.inf])
ANSWERS = st.builds(Answer, st.floats(0, 5), VALUES)
EXCHANGES = st.lists(st.builds(Exchange, ANSWERS, ANSWERS), max_size=40)
FEW = replace(POLICY, requests=3)
WINDOWS = st.builds(
    Window,
    requests=st.integers(0, 400),
    errors=st.integers(0, 20),
    not_finite=st.integers(0, 3),
    compared=st.integers(0, 400),
    stable_latency=st.floats(0, 5) | st.just(math.nan),
    canary_latency=st.floats(0, 5) | st.just(math.nan),
    shift=st.floats(0, 5) | st.sampled_from([math.nan, math.inf]),
)


@given(EXCHANGES)
def test_a_non_finite_prediction_always_rolls_back(exchanges: list[Exchange]) -> None:
    odd = Exchange(Answer(0.01, 1.0), Answer(0.01, math.nan))
    for over in (False, True):
        verdict = judge(FEW, summarise([*exchanges, odd], 0.9), over=over)
        assert verdict.outcome is Outcome.ROLL_BACK


@given(EXCHANGES, st.randoms(use_true_random=False))
def test_the_order_of_exchanges_does_not_matter(exchanges: list[Exchange], chance: object) -> None:
    shuffled = list(exchanges)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = summarise(exchanges, 0.9), summarise(shuffled, 0.9)
    assert repr(one) == repr(other)


@given(WINDOWS, st.booleans(), st.data())
def test_a_worse_window_is_never_judged_better(window: Window, over: bool, data: st.DataObject) -> None:
    metric = data.draw(st.sampled_from(["errors", "not_finite", "canary_latency", "shift"]))
    value = getattr(window, metric)
    more = data.draw(st.integers(1, 50)) if metric in ("errors", "not_finite") else data.draw(st.floats(0, 9))
    worse = replace(window, **{metric: value + more})
    assert RANK[judge(POLICY, worse, over=over).outcome] >= RANK[judge(POLICY, window, over=over).outcome]


@given(WINDOWS)
def test_a_pass_needs_enough_requests_and_finite_figures(window: Window) -> None:
    if judge(POLICY, window, over=True).outcome is Outcome.PASS:
        assert window.compared >= POLICY.requests
        assert math.isfinite(window.canary_latency)
        assert math.isfinite(window.shift)
        assert not window.not_finite


@given(WINDOWS)
def test_nothing_passes_before_the_window_is_over(window: Window) -> None:
    assert judge(POLICY, window, over=False).outcome in (Outcome.WAIT, Outcome.ROLL_BACK)


@given(EXCHANGES)
def test_failed_requests_are_counted_and_not_compared(exchanges: list[Exchange]) -> None:
    window = summarise(exchanges, 0.9)
    assert window.requests == len(exchanges)
    assert window.errors == sum(exchange.canary.value is None for exchange in exchanges)
    assert window.compared + window.errors + window.not_finite <= window.requests


def test_the_shift_is_in_standard_deviations_of_the_stable_version() -> None:
    pairs = [(0.0, 1.0), (4.0, 5.0)]
    seen = [Exchange(Answer(0.01, ours), Answer(0.01, theirs)) for ours, theirs in pairs]
    assert summarise(seen, 0.9).shift == pytest.approx(0.5)


@pytest.mark.parametrize(("theirs", "shift"), [(3.0, 0.0), (3.1, math.inf)])
def test_the_shift_from_a_constant_stable_version_is_zero_or_infinite(theirs: float, shift: float) -> None:
    seen = [Exchange(Answer(0.01, 3.0), Answer(0.01, theirs))] * 5
    assert summarise(seen, 0.9).shift == shift


def test_the_shift_from_a_stable_version_with_a_tiny_deviation_is_infinite() -> None:
    seen = [Exchange(Answer(0.01, ours), Answer(0.01, 1.0)) for ours in (0.0, 1e-223)]
    assert summarise(seen, 0.9).shift == math.inf


def test_the_quantile_is_a_measured_latency() -> None:
    seen = [Exchange(Answer(i / 100, 1.0), Answer(i / 50, 1.0)) for i in range(1, 11)]
    window = summarise(seen, 0.9)
    assert (window.stable_latency, window.canary_latency) == (0.09, 0.18)
