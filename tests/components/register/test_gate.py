"""The gate's decisions as a table of cases, and what holds for any case."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.contamination import Contamination
from components.data.scores import PairedErrors, Scores
from components.register.gate import Comparison, GateError, Policy, Unscored, decide
from components.registry.decision import Decision

CHAMPION = Scores(mse=100.0, mae=8.0, r2=0.5)
scores = st.builds(
    Scores,
    mse=st.floats(min_value=0, allow_infinity=False),
    mae=st.floats(min_value=0, allow_infinity=False),
    r2=st.floats(max_value=1, allow_infinity=False, allow_nan=False),
)
champions = st.none() | scores | st.builds(Unscored, problem=st.text())
policies = st.builds(
    Policy,
    floor_r2=st.floats(min_value=-2, max_value=1),
    minimum_improvement=st.floats(min_value=0, max_value=0.99),
    incomparable=st.sampled_from(["keep", "replace"]),
    evidence=st.sampled_from(["interval", "point"]),
    reused_rows=st.sampled_from(["count", "refuse"]),
)
POINT = Policy(evidence="point")


def judge(
    candidate: Scores,
    champion: Scores | Unscored | None,
    policy: Policy,
    *,
    rows: int = 88,
    deviation: float = 20.0,
    looks: float = 0.0,
    unknown: int = 0,
    contamination: Contamination | None = None,
) -> Decision:
    """Decide on errors with these scores, whose improvement has a deviation and is independent of them."""
    comparison = None
    if isinstance(champion, Scores):
        improvement = champion.mse - candidate.mse
        errors = PairedErrors(rows, rows, improvement, deviation, champion.mse, 140.0, covariance=0.0)
        comparison = Comparison(errors, looks, unknown, contamination)
    return decide(candidate, champion, policy, comparison)


@pytest.mark.parametrize(
    ("candidate", "champion", "policy", "promote", "reason"),
    [
        pytest.param(
            Scores(90, 7, 0.6),
            CHAMPION,
            Policy(),
            True,
            "better by 10.000%; the lower bound at 97.5 % is 5.762%, above",
            id="better",
        ),
        pytest.param(Scores(110, 9, 0.4), CHAMPION, Policy(), False, "is worse", id="worse"),
        pytest.param(CHAMPION, CHAMPION, Policy(), False, "is a tie", id="tie"),
        pytest.param(replace(CHAMPION, mse=100 - 1e-9), CHAMPION, Policy(), False, "is a tie", id="rounding"),
        pytest.param(
            replace(CHAMPION, mse=99.999), CHAMPION, Policy(), False, "more than chance", id="a little better"
        ),
        pytest.param(
            replace(CHAMPION, mse=99.999),
            CHAMPION,
            POINT,
            True,
            "not ruled out",
            id="a little better, by point",
        ),
        pytest.param(Scores(90, 7, 0.6), None, Policy(), True, "no champion yet", id="first"),
        pytest.param(
            Scores(90, 7, 0.0), None, Policy(), False, "not above the floor 0", id="first at the floor"
        ),
        pytest.param(Scores(90, 7, -1.0), None, Policy(), False, "not above the floor", id="first below"),
        pytest.param(Scores(90, 7, 0.41), CHAMPION, Policy(0.42), False, "floor 0.42", id="better but low"),
        pytest.param(
            Scores(95, 7, 0.6),
            CHAMPION,
            replace(POINT, minimum_improvement=0.05),
            True,
            "at least",
            id="just enough",
        ),
        pytest.param(
            Scores(96, 7, 0.6),
            CHAMPION,
            replace(POINT, minimum_improvement=0.05),
            False,
            "less than",
            id="not enough",
        ),
        pytest.param(Scores(math.nan, 7, 0.6), None, Policy(), False, "mse is nan", id="mse NaN"),
        pytest.param(Scores(90, math.nan, 0.6), None, Policy(), False, "mae is nan", id="mae NaN"),
        pytest.param(Scores(90, 7, math.nan), None, Policy(), False, "r2 is nan", id="r2 NaN"),
        pytest.param(Scores(math.inf, 7, -math.inf), None, Policy(), False, "mse is inf", id="infinite"),
        pytest.param(
            Scores(90, 7, 0.6), Scores(math.nan, 1, 1), Policy(), True, "mse is nan", id="champion NaN"
        ),
        pytest.param(Scores(0, 0, 1), Scores(0, 0, 1), Policy(), False, "tie", id="both perfect"),
        pytest.param(
            Scores(90, 7, 0.6), Unscored("it needs s5"), Policy(incomparable="keep"), False, "s5", id="kept"
        ),
        pytest.param(
            Scores(90, 7, 0.6),
            Unscored("it needs s5"),
            Policy(incomparable="replace"),
            True,
            "s5",
            id="replaced",
        ),
    ],
)
def test_decides_by_scores_and_policy(
    candidate: Scores, champion: Scores | Unscored | None, policy: Policy, promote: bool, reason: str
) -> None:
    decision = judge(candidate, champion, policy)
    assert decision.promote is promote
    assert any(reason in given for given in decision.reasons), decision.reasons


@pytest.mark.parametrize(
    ("case", "policy", "promote", "reason"),
    [
        pytest.param({"rows": 20}, Policy(), True, "bound at 97.5 % is 0.640%", id="20 rows"),
        pytest.param({"rows": 15}, Policy(), False, "15 held-out rows do not show", id="15 rows"),
        pytest.param({"rows": 1}, Policy(), False, "there is no interval", id="one row"),
        pytest.param({"deviation": math.nan}, Policy(), False, "there is no interval", id="no deviation"),
        pytest.param({"deviation": 0.0}, Policy(), True, "bound at 97.5 % is 10.000%", id="no chance"),
        pytest.param({}, Policy(minimum_improvement=0.05), True, "above the 5.000%", id="enough"),
        pytest.param({}, Policy(minimum_improvement=0.06), False, "not above the 6.000%", id="hardly enough"),
        pytest.param(
            {"looks": 0.2},
            Policy(),
            True,
            "this counts as look 2 at these 88 rows: earlier comparisons have used 20% of them",
            id="a part of the rows",
        ),
        pytest.param({"looks": 1}, Policy(), True, "they have decided 1 comparison before", id="one look"),
        pytest.param(
            {"looks": 1, "unknown": 1},
            Policy(),
            True,
            "this counts as look 3 at these 88 rows: they have decided 1 comparison before, and 1 comparison "
            "before can't be told apart, because the columns differ",
            id="one look and one that is not known",
        ),
        pytest.param({"looks": 3}, Policy(), True, "lower bound at 99.75 %", id="the fourth look"),
        pytest.param(
            {"looks": 400}, Policy(), False, "they have decided 400 comparisons before", id="the 401st look"
        ),
        pytest.param({"looks": 400}, POINT, True, "chance is not ruled out", id="the 401st look, by point"),
        pytest.param(
            {"looks": 1}, Policy(reused_rows="refuse"), False, "asks for fresh rows", id="rows used before"
        ),
        pytest.param({}, Policy(reused_rows="refuse"), True, "above the 0.000%", id="fresh rows"),
    ],
)
def test_an_improvement_of_ten_percent_is_judged_by_its_interval(
    case: dict[str, float], policy: Policy, promote: bool, reason: str
) -> None:
    decision = judge(Scores(90, 7, 0.6), CHAMPION, policy, **case)  # type: ignore[arg-type]
    assert decision.promote is promote
    assert any(reason in given for given in decision.reasons), decision.reasons


@pytest.mark.parametrize(
    ("mse", "policy", "promote", "reason"),
    [
        pytest.param(120, Policy(), False, "so its error on them is too low", id="worse"),
        pytest.param(99.9, Policy(), False, "so its error on them is too low", id="not beyond chance"),
        pytest.param(120, Policy(incomparable="keep"), False, "too low", id="kept"),
        pytest.param(120, Policy(incomparable="replace"), True, "it is replaced by policy", id="replaced"),
        pytest.param(80, Policy(), True, "the candidate's is lower still", id="better all the same"),
    ],
)
def test_a_champion_that_was_trained_on_held_out_rows_does_not_decide_unnoticed(
    mse: float, policy: Policy, promote: bool, reason: str
) -> None:
    decision = judge(
        Scores(mse, 7, 0.6), CHAMPION, policy, contamination=Contamination(0.8, "test_share=0.2, seed=3")
    )
    assert decision.promote is promote
    assert "the champion was trained on about 80% of these held-out rows" in decision.reasons[-1]
    assert reason in decision.reasons[-1]
    assert (decision.warning is None) is promote
    assert promote or "Hold out the same rows (test_share=0.2, seed=3), or" in str(decision.warning)
    assert Decision.from_json(decision.to_json()) == decision


def test_the_levels_of_all_looks_add_up_to_five_percent() -> None:
    errors = PairedErrors(88, 88, 10.0, 20.0, 100.0, 140.0, 0.0)
    levels = [Comparison(errors, looks).level for looks in range(10_000)]
    assert levels[0] == 0.025
    assert sum(levels) == pytest.approx(0.05, rel=1e-3)
    assert sum(levels) < 0.05


def test_refuses_to_guess_without_a_comparison() -> None:
    with pytest.raises(ValueError, match="need a comparison"):
        decide(Scores(90, 7, 0.6), CHAMPION, Policy())


def test_by_default_an_incomparable_champion_is_an_error() -> None:
    with pytest.raises(GateError, match=r"it needs s5.*incomparable=keep"):
        decide(CHAMPION, Unscored("it needs s5"), Policy())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"floor_r2": math.nan}, "floor_r2"),
        ({"minimum_improvement": 1.0}, "share from 0"),
        ({"minimum_improvement": -0.1}, "share from 0"),
        ({"minimum_improvement": math.nan}, "share from 0"),
        ({"incomparable": "ignore"}, "one of fail, keep, replace"),
        ({"evidence": "some"}, "one of interval, point"),
        ({"reused_rows": "ignore"}, "one of count, refuse"),
    ],
)
def test_refuses_an_invalid_policy(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Policy(**settings)  # type: ignore[arg-type]


@given(
    scores, champions, policies, st.sampled_from(["mse", "mae", "r2"]), st.sampled_from([math.nan, math.inf])
)
def test_never_promotes_a_score_that_is_not_finite(
    candidate: Scores, champion: Scores | Unscored | None, policy: Policy, name: str, odd: float
) -> None:
    assert not judge(replace(candidate, **{name: odd}), champion, policy).promote


@given(scores, champions, policies, st.floats(0, 1), st.floats(0, 10))
def test_a_better_candidate_than_a_promoted_one_is_promoted(
    candidate: Scores, champion: Scores | Unscored | None, policy: Policy, share: float, gain: float
) -> None:
    """With the same deviation."""
    better = replace(candidate, mse=candidate.mse * share, r2=candidate.r2 + gain)
    if judge(candidate, champion, policy).promote:
        assert judge(better, champion, policy).promote


@given(scores, scores, policies)
def test_a_replaced_champion_would_not_replace_its_successor(
    one: Scores, other: Scores, policy: Policy
) -> None:
    if judge(one, other, policy).promote:
        assert not judge(other, one, policy).promote


@given(scores, policies)
def test_never_promotes_a_candidate_over_itself(candidate: Scores, policy: Policy) -> None:
    assert not judge(candidate, candidate, policy).promote


@given(scores, champions, policies)
def test_every_decision_has_reasons(
    candidate: Scores, champion: Scores | Unscored | None, policy: Policy
) -> None:
    assert judge(candidate, champion, policy).reasons


def test_groups_that_do_not_suffice_are_named() -> None:
    errors = PairedErrors(84, 12, 10.0, 60.0, 100.0, 140.0, 0.0)
    decision = decide(Scores(90, 7, 0.6), CHAMPION, Policy(), Comparison(errors))
    assert not decision.promote
    assert "84 held-out rows of 12 groups do not show that this is more than chance" in decision.reasons[1]
