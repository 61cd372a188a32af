"""The canary's decision: cases in a table, and what holds for all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.probes import Probes
from components.operations.rollout.evidence import Block, Counts
from components.operations.rollout.judge import Answer, Exchange, Outcome, Verdict, Window, judge, summarise
from components.operations.rollout.policy import Policy

POLICY = Policy(requests=100, error_ratio=0.01, latency_ratio=1.5, latency_floor=0.01)
PROBES = Probes(rows=((0.0,), (1.0,)), answers=(1.0, 1000.0), deviation=10.0)
EDGES = (0.01, 0.1, 1.0)
PLANNED = 200


def counts(requests: float = 20, errors: float = 0, milliseconds: float = 20) -> Counts:
    seconds = milliseconds / 1000
    slower = tuple(requests if seconds > edge else 0.0 for edge in EDGES)
    return Counts(requests, errors, requests * seconds, EDGES, slower)


def blocks(canary: Counts, stable: Counts | None = None, count: int = 10) -> tuple[Block, ...]:
    return (Block(stable or counts(), canary),) * count


SOUND = Window(compared=200, rows=2, blocks=blocks(counts()))


def case(name: str, outcome: Outcome, reason: str, **changes: object) -> object:
    return pytest.param(changes, outcome, reason, id=name)


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        case("sound", Outcome.PASS, "200 answers equal the recorded ones; 0 of 200"),
        case("wrong", Outcome.ROLL_BACK, "1 answers differ", wrong_count=1, wrong=("probe 0",)),
        case("a short outage", Outcome.PASS, "200 answers", failed=42),
        case("an outage", Outcome.ROLL_BACK, "43 probes failed that the stable", failed=43),
        case("two lost", Outcome.PASS, "200 answers", unreached=2),
        case("unreached", Outcome.AGAIN, "3 probes were not answered", unreached=3),
        case("too few answered", Outcome.AGAIN, "2 were not answered", compared=99, unreached=2),
        case("both failed", Outcome.AGAIN, "101 by neither version", compared=99, shared=101),
        case("not all asked", Outcome.AGAIN, "1 of 2 recorded probes were asked", rows=1),
        case("no counts", Outcome.AGAIN, "in 0 blocks, 8 are needed", blocks=()),
        case("few blocks", Outcome.AGAIN, "in 7 blocks, 8 are needed", blocks=blocks(counts(), count=7)),
        case("few requests", Outcome.AGAIN, "canary pods counted 50 requests", blocks=blocks(counts(5))),
        case("no stable counts", Outcome.AGAIN, "in 0 blocks", blocks=blocks(counts(), counts(0, 0, 0))),
        case("errors", Outcome.ROLL_BACK, "10 of 200 failed, and 0", blocks=blocks(counts(errors=1))),
        case(
            "one burst of errors",
            Outcome.PASS,
            "20 of 200 requests failed",
            blocks=(*blocks(counts(), count=9), Block(counts(), counts(errors=20))),
        ),
        case("shared errors", Outcome.PASS, "failed", blocks=blocks(counts(errors=10), counts(errors=10))),
        case("slow", Outcome.ROLL_BACK, "31.00 ms against 20", blocks=blocks(counts(milliseconds=31))),
        case("a little slow", Outcome.PASS, "29.00 ms", blocks=blocks(counts(milliseconds=29))),
        case(
            "below the floor",
            Outcome.PASS,
            "8.00 ms",
            blocks=blocks(counts(milliseconds=8), counts(milliseconds=1)),
        ),
    ],
)
def test_judges_a_complete_window(changes: dict[str, object], outcome: Outcome, reason: str) -> None:
    verdict = decide(replace(SOUND, **changes), over=True)  # type: ignore[arg-type]
    assert verdict.outcome is outcome
    assert reason in "; ".join(verdict.reasons)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"wrong_count": 1}, Outcome.ROLL_BACK),
        ({"failed": 100}, Outcome.ROLL_BACK),
        ({"blocks": blocks(counts(errors=20))}, Outcome.WAIT),
        ({"compared": 0}, Outcome.WAIT),
        ({"unreached": 3}, Outcome.AGAIN),
    ],
)
def test_only_probes_end_a_window_early(changes: dict[str, object], outcome: Outcome) -> None:
    assert decide(replace(SOUND, **changes), over=False).outcome is outcome  # type: ignore[arg-type]


def decide(window: Window, *, over: bool) -> Verdict:
    return judge(POLICY, PROBES, window, PLANNED, over=over)


RIGHT = Answer(200, 1.0)


@pytest.mark.parametrize(
    ("stable", "canary", "counted"),
    [
        pytest.param(RIGHT, RIGHT, "compared", id="right"),
        pytest.param(RIGHT, Answer(200, 1.0 + 0.9e-8), "compared", id="rounding of the deviation"),
        pytest.param(RIGHT, Answer(200, 1.0 + 1.1e-8), "wrong_count", id="wrong"),
        pytest.param(RIGHT, Answer(200), "wrong_count", id="no prediction"),
        pytest.param(RIGHT, Answer(500), "failed", id="failed"),
        pytest.param(RIGHT, Answer(400), "failed", id="refused"),
        pytest.param(RIGHT, Answer(0), "unreached", id="no answer"),
        pytest.param(Answer(500), Answer(500), "shared", id="both failed"),
        pytest.param(Answer(0), Answer(0), "shared", id="neither answered"),
        pytest.param(Answer(0), RIGHT, "compared", id="stable version did not answer"),
    ],
)
def test_counts_an_exchange_once(stable: Answer, canary: Answer, counted: str) -> None:
    window = summarise([Exchange(0, stable, canary)] * 3, PROBES, ())
    names = ("compared", "wrong_count", "failed", "unreached", "shared")
    assert {name: getattr(window, name) for name in names} == {name: 3 * (name == counted) for name in names}


def test_the_tolerance_follows_the_size_of_the_answer() -> None:
    assert PROBES.agrees(1, 1000.0 + 0.9e-6)
    assert not PROBES.agrees(1, 1000.0 + 1.1e-6)


ANSWERS = st.builds(Answer, st.sampled_from([0, 200, 400, 503]), st.sampled_from([None, 1.0, 2.0]))
EXCHANGES = st.lists(st.builds(Exchange, st.integers(0, 1), ANSWERS, ANSWERS), max_size=40)


@given(EXCHANGES, st.randoms(use_true_random=False))
def test_the_order_of_exchanges_does_not_matter(exchanges: list[Exchange], chance: object) -> None:
    shuffled = list(exchanges)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert summarise(exchanges, PROBES, ()) == summarise(shuffled, PROBES, ())


@given(EXCHANGES, st.lists(st.builds(Block, st.builds(counts), st.builds(counts)), max_size=20))
def test_a_wrong_answer_always_rolls_back(exchanges: list[Exchange], seen: list[Block]) -> None:
    window = summarise([*exchanges, Exchange(0, RIGHT, Answer(200, 2.0))], PROBES, seen)
    for over in (False, True):
        assert decide(window, over=over).outcome is Outcome.ROLL_BACK


@given(
    st.builds(
        Window,
        compared=st.integers(0, 300),
        rows=st.integers(0, 2),
        failed=st.integers(0, 50),
        blocks=st.lists(
            st.builds(
                Block,
                st.builds(counts, st.integers(0, 30), st.integers(0, 3)),
                st.builds(counts, st.integers(0, 30), st.integers(0, 3)),
            ),
            max_size=20,
        ).map(tuple),
    )
)
def test_a_pass_needs_enough_of_everything(window: Window) -> None:
    if decide(window, over=True).outcome is Outcome.PASS:
        assert window.compared >= POLICY.requests
        assert window.rows == 2
        assert sum(block.canary.requests for block in window.blocks) >= POLICY.requests
        assert sum(block.stable.requests for block in window.blocks) >= POLICY.requests
