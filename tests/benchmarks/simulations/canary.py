"""Windows of a canary: users' requests and probes, with errors in bursts and latencies of several shapes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from components.data.probes import Probes, record
from components.operations.rollout.counters import BLOCKS
from components.operations.rollout.evidence import Block, Counts
from components.operations.rollout.judge import Answer, Exchange, Outcome, judge, summarise
from components.operations.rollout.policy import Policy
from predictor.model.base import Model
from predictor.observability.counting import SECONDS as EDGES
from tests.benchmarks.simulations.gate import Found
from tests.support.models import linear_model, scaled

POLICY = Policy()
PROBES_SENT = 1200
Latency = Callable[[np.random.Generator, int], NDArray[np.float64]]


def lognormal(mean: float, spread: float = 0.8) -> Latency:
    """Latencies whose logarithm is normal."""
    return lambda random, count: mean * np.exp(random.normal(-(spread**2) / 2, spread, count))


def within(low: float, high: float) -> Latency:
    """Latencies spread evenly."""
    return lambda random, count: random.uniform(low, high, count)


@dataclass(frozen=True, slots=True)
class Version:
    """How a version behaves.

    Attributes:
        errors: share of its requests that fail.
        burst: mean number of successive requests that fail together.
        latency: of its requests.
    """

    errors: float = 0.005
    burst: float = 8.0
    latency: Latency = field(default_factory=lambda: lognormal(0.02))


def simulate(shrink: int) -> Iterator[Found]:
    """Yield the rows of the table."""
    random = np.random.default_rng(19)
    runs = max(500 // shrink, 1)
    sound = Version()
    slower = Version(latency=lognormal(0.021))
    for words, canary, load in (
        ("errors of both in bursts of 8, 5 % slower", slower, 0.5),
        ("errors of both in bursts of 40", replace(sound, burst=40.0), 0.0),
    ):
        found = sum(rolled_back(random, sound, canary, load=load) for _ in range(runs))
        yield f"as sound as the stable one, {words}: rolled back over all steps", found, runs, 0.01, 0.0
    runs = max(200 // shrink, 1)
    for words, answering, least, most in (
        ("as sound as the stable one, ten correlated features", lambda model: model, 0.0, 0.01),
        ("answers the mean", _mean_of, 1.0, 1.0),
        ("one weight changed by 1 %", _one_weight_changed, 1.0, 1.0),
        ("another version's numbers", lambda model: scaled(model, 1.01), 1.0, 1.0),
    ):
        found = sum(answers_roll_back(random, answering) for _ in range(runs))
        yield f"{words}: rolled back in the first window", found, runs, most, least
    failing = Version(errors=0.05, burst=1.0)
    for words, canary, weight, least in (
        ("fails 5 % where the stable one fails 0.5 %", failing, 5, 0.95),
        ("the same", failing, 20, 0.0),
        ("the same", failing, 50, 0.0),
        ("fails 5 % in bursts of 8", Version(errors=0.05), 5, 0.0),
        ("twice the latency, lognormal", Version(latency=lognormal(0.04)), 5, 0.95),
    ):
        found = sum(window_rolls_back(random, sound, canary, weight=weight) for _ in range(runs))
        yield (
            f"{words}, 1,000 users' requests at {weight} %: rolled back at that step",
            found,
            runs,
            1.0,
            least,
        )
    quick, double = Version(latency=within(0.0252, 0.0254)), Version(latency=within(0.0496, 0.0499))
    found = sum(window_rolls_back(random, quick, double) for _ in range(runs))
    yield (
        "twice the latency within one bucket, 1,000 users' requests: rolled back at that step",
        found,
        runs,
        1.0,
        0.95,
    )


def rolled_back(random: np.random.Generator, stable: Version, canary: Version, *, load: float) -> bool:
    """Whether any step of a rollout rolls back, of users who send 5,000 requests in each."""
    return any(
        window_rolls_back(random, stable, canary, weight=step.weight, users=50 * step.weight, load=load)
        for step in POLICY.steps
    )


def window_rolls_back(
    random: np.random.Generator,
    stable: Version,
    canary: Version,
    *,
    weight: int = 5,
    users: int = 1000,
    load: float = 0.0,
) -> bool:
    """Whether one window rolls back.

    Args:
        random: source of chance.
        stable: how the stable version behaves.
        canary: how the canary does.
        weight: percent of the users' requests that the canary is given.
        users: how many these are.
        load: how much slower some blocks are, for both versions.
    """
    others = users * (100 - weight) // weight
    slow = 1 + load * random.exponential(size=BLOCKS) * (random.random(BLOCKS) < 0.3)
    blocks = [
        Block(ours, theirs)
        for ours, theirs in zip(
            _counts(random, stable, others, slow), _counts(random, canary, users, slow), strict=True
        )
    ]
    probes = Probes(rows=((0.0,),), answers=(1.0,), deviation=1.0)
    exchanges = _exchanges(random, stable, canary)
    window = summarise(exchanges, probes, blocks)
    return judge(POLICY, probes, window, PROBES_SENT, over=True).outcome is Outcome.ROLL_BACK


def random_model(random: np.random.Generator) -> Model:
    """A linear model of ten features with weights of any size."""
    weights: list[float] = (random.normal(size=10) * 10 ** random.uniform(-1, 2, 10)).tolist()
    return linear_model(weights, features=[f"x{i}" for i in range(10)])


def answers_roll_back(random: np.random.Generator, answering: Callable[[Model], Model]) -> bool:
    """Whether a window rolls back in which the pods answer with another model than the recorded one."""
    model = random_model(random)
    probes = record(model, deviation=77.0)
    assert probes
    X = np.array(probes.rows, dtype=np.float64)
    values = answering(model).rows(X)
    right = Answer(200, 1.0)
    exchanges = [
        Exchange(row % len(X), right, Answer(200, float(values[row % len(X)]))) for row in range(PROBES_SENT)
    ]
    window = summarise(exchanges, probes, ())
    return judge(POLICY, probes, window, PROBES_SENT, over=False).outcome is Outcome.ROLL_BACK


def _mean_of(model: Model) -> Model:
    mean = float(np.mean(model.rows(np.array([model.typical]))))
    return linear_model([0.0] * model.width, mean, features=model.names)


def _one_weight_changed(model: Model) -> Model:
    weights = [*model.parameters()["weights"]]
    weights[3] *= 1.01
    return linear_model(weights, model.intercept, features=model.names)


def _failures(
    random: np.random.Generator, version: Version, requests: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Draw how many requests of each block fail: bursts of geometric length, each within a block."""
    failed = np.zeros(BLOCKS)
    for _ in range(random.poisson(requests.sum() * version.errors / version.burst)):
        failed[random.integers(BLOCKS)] += random.geometric(1 / version.burst)
    return np.minimum(failed, requests)


def _counts(
    random: np.random.Generator, version: Version, users: int, slow: NDArray[np.float64]
) -> Sequence[Counts]:
    parts = [
        np.bincount(random.integers(0, BLOCKS, count), minlength=BLOCKS) for count in (users, PROBES_SENT)
    ]
    failed = [_failures(random, version, requests) for requests in parts]
    counts = []
    for block in range(BLOCKS):
        requests = int(parts[0][block] + parts[1][block])
        seconds = slow[block] * version.latency(random, requests)
        slower = tuple(float(count) for count in (seconds[:, None] > np.array(EDGES)).sum(axis=0))
        counts.append(
            Counts(
                requests=requests,
                errors=failed[0][block] + failed[1][block],
                seconds=float(seconds.sum()),
                edges=EDGES,
                slower=slower,
                probes=float(parts[1][block]),
                probe_errors=failed[1][block],
            )
        )
    return counts


def _exchanges(random: np.random.Generator, stable: Version, canary: Version) -> list[Exchange]:
    """Probes of which some fail, in bursts."""
    failing = [_runs_of_failures(random, version) for version in (stable, canary)]
    right, failed = Answer(200, 1.0), Answer(500)
    return [
        Exchange(0, failed if ours else right, failed if theirs else right)
        for ours, theirs in zip(*failing, strict=True)
    ]


def _runs_of_failures(random: np.random.Generator, version: Version) -> NDArray[np.bool_]:
    failed = np.zeros(PROBES_SENT, dtype=bool)
    for _ in range(random.poisson(PROBES_SENT * version.errors / version.burst)):
        start = random.integers(PROBES_SENT)
        failed[start : start + random.geometric(1 / version.burst)] = True
    return failed
