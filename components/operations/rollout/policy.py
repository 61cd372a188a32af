"""The canary's policy: its steps, and the limits within which it must stay."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

UNRECORDED = ("refuse", "accept")


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be above 0, not {value}")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a share of the requests, for one window.

    Attributes:
        weight: percent of the requests, from 1 to 99.
        seconds: length of the window.
    """

    weight: int
    seconds: float

    def __post_init__(self) -> None:
        if self.weight != int(self.weight) or not 1 <= self.weight <= 99:
            raise ValueError(f"a step's weight is a whole number of percent from 1 to 99, not {self.weight}")
        _positive("a step's seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits for a canary in the window of each step, compared with the stable version.

    Attributes:
        steps: its shares of the requests, one after the other.
        requests: fewest answered probes, and fewest requests counted by the pods of each version; with fewer
            the step starts again.
        error_ratio: the share of requests that may fail beyond the share that fails with the stable version.
        latency_ratio: largest ratio of the canary's latency to the stable version's.
        latency_floor: in seconds; the stable version's latency counts as at least this, because a ratio of
            two imperceptible latencies means nothing.
        unrecorded: what to do with a version without recorded probes, whose answers can't be checked:
            ``refuse`` to send it requests, or ``accept`` any finite answer.
        rate: probes per second.
        attempts: how often a step may start. A killed job, lost pods and too little data each cost one.
        ready_seconds: within how many seconds all pods of a new version must be ready and say that they serve
            it.
    """

    steps: tuple[Step, ...] = (Step(5, 60), Step(20, 60), Step(50, 60))
    requests: int = 200
    error_ratio: float = 0.01
    latency_ratio: float = 1.5
    latency_floor: float = 0.01
    unrecorded: str = "refuse"
    rate: float = 20.0
    attempts: int = 3
    ready_seconds: float = 180.0

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("steps must hold at least one step")
        for name in ("requests", "latency_ratio", "latency_floor", "rate", "attempts", "ready_seconds"):
            _positive(name, getattr(self, name))
        if not 0 <= self.error_ratio < 1:
            raise ValueError(f"error_ratio is a share from 0 to below 1, not {self.error_ratio}")
        shortest = min(step.seconds for step in self.steps)
        if self.requests > self.rate * shortest:
            raise ValueError(
                f"{self.requests} requests do not fit into a step of {shortest:g} s at {self.rate:g} a second"
            )
        if self.unrecorded not in UNRECORDED:
            raise ValueError(f"unrecorded is one of {', '.join(UNRECORDED)}, not {self.unrecorded!r}")


def parse(document: Mapping[str, Any]) -> Policy:
    """Read a policy from its JSON object, ``{"errorRatio": 0.01}``; missing names keep their defaults.

    Raises:
        ValueError: an unknown name, or an invalid value.
    """
    known = {_written(field.name): field.name for field in fields(Policy)}
    if unknown := sorted(set(document) - set(known)):
        raise ValueError(f"unknown in a policy: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        given = {known[name]: value for name, value in document.items()}
        if "steps" in given:
            given["steps"] = tuple(Step(**step) for step in given["steps"])
        return Policy(**given)
    except TypeError as error:
        raise ValueError(f"a value of the policy has the wrong type: {error}") from error


def read(path: str | Path) -> Policy:
    """Read a policy from a JSON file.

    Raises:
        ValueError: it is not a policy; the message names the file.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("a policy is a JSON object")
        return parse(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _written(name: str) -> str:
    """Return a name in camel case, as in Kubernetes."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
