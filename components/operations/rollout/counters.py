"""Reads the pods' own counts of requests from their metrics."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from components.operations.rollout.errors import ApiError
from components.operations.rollout.evidence import Block, Counts
from components.operations.rollout.pods import Pod, Reach

REQUESTS = "predictor_requests_total"
SECONDS = "predictor_request_duration_seconds"
# Endpoints that predict. A stream of records is left out: its duration depends on its client.
ENDPOINTS = frozenset(("stream", "batch", "v1_predict", "v1_explain", "v2_infer"))
# Blocks in a window.
BLOCKS = 30
TIMEOUT = 3.0

_LINE = re.compile(r"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text: str) -> Counts:
    """Add up the counts of all endpoints that predict; empty where the text has none."""
    requests = errors = seconds = 0.0
    within: defaultdict[float, float] = defaultdict(float)
    for name, labels, value in _samples(text):
        if labels.get("endpoint") not in ENDPOINTS:
            continue
        if name == REQUESTS:
            requests += value
            errors += value if labels["code"] >= "500" else 0.0
        elif name == f"{SECONDS}_sum":
            seconds += value
        elif name == f"{SECONDS}_bucket":
            within[float(labels["le"])] += value
    edges = tuple(sorted(within))[:-1]  # the last one is infinity
    total = within[max(within)] if within else 0.0
    return Counts(requests, errors, seconds, edges, tuple(total - within[edge] for edge in edges))


def scrape(reach: Reach, pods: Sequence[Pod]) -> dict[str, Counts]:
    """Read the counts of pods, by their names; a pod that does not answer is left out."""
    found = {}
    for pod in pods:
        try:
            status, content = reach.ask(pod, "GET", "/metrics", None, TIMEOUT)
            if status == 200:
                found[pod.name] = parse(content.decode())
        except (ApiError, ValueError, KeyError):
            continue
    return found


class Counters:
    """Readings of the counts of both versions, one after the other.

    Args:
        seconds: how long the window is.

    Attributes:
        blocks: what was counted between successive readings.
    """

    def __init__(self, seconds: float) -> None:
        self.blocks: list[Block] = []
        self._pause = seconds / BLOCKS
        self._last: tuple[float, dict[str, Counts], dict[str, Counts]] | None = None

    def due(self, now: float) -> bool:
        """Return whether it is time for the next reading."""
        return self._last is None or now - self._last[0] >= self._pause

    def add(self, now: float, stable: dict[str, Counts], canary: dict[str, Counts]) -> None:
        """Add a reading: the counts of each pod since it started, and the probes sent to each version."""
        if self._last:
            _, before, canary_before = self._last
            self.blocks.append(Block(_between(before, stable), _between(canary_before, canary)))
        self._last = now, stable, canary


def _between(before: dict[str, Counts], after: dict[str, Counts]) -> Counts:
    """Add up what the pods in both readings counted; a pod that restarted is left out."""
    total = Counts()
    for name, counts in after.items():
        if name in before and counts.requests >= before[name].requests:
            total += counts - before[name]
    return total


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        if line.startswith("predictor_request") and (found := _LINE.match(line)):
            yield found["name"], dict(_LABEL.findall(found["labels"])), float(found["value"])
