"""Counts of requests: a few hundred nanoseconds a request, in the form in which Prometheus reads them."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

OBJECTIVE_SECONDS = 0.1
"""The objective of latency: so many seconds for nearly all requests. It is the edge of a bucket."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, OBJECTIVE_SECONDS, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)

Transport = Literal["http", "cloudevents", "grpc"]
Traffic = Literal["user", "probe", "scrape", "admin", "other"]

_TRAFFIC: dict[str, Traffic] = {
    **dict.fromkeys(("stream", "stream_ndjson", "batch", "v1_predict", "v1_explain", "v2_infer"), "user"),
    "feedback": "user",
    **dict.fromkeys(("ping", "health", "watch"), "probe"),
    **dict.fromkeys(("metrics", "drift"), "scrape"),
    **dict.fromkeys(("log", "repository", "telemetry"), "admin"),
}
_ENDLESS = frozenset({"stream_ndjson", "watch", "reflection"})
"""Endpoints whose requests last as long as their clients want, so that their duration says nothing."""


class Labels(NamedTuple):
    """What tells the requests of one series from others.

    Attributes:
        endpoint: the endpoint, by its name in the logs.
        transport: how its requests come.
        traffic: ``user`` for predictions, explanations and feedback, ``probe`` for health checks, ``scrape``
            for monitoring, ``admin`` for administration, ``other`` for pages, metadata and unknown paths.
    """

    endpoint: str
    transport: Transport
    traffic: Traffic

    @classmethod
    def of(cls, endpoint: str, transport: Transport) -> "Labels":
        """Return the labels of an endpoint's requests that come by a transport."""
        return cls(endpoint, transport, _TRAFFIC.get(endpoint, "other"))


class Histogram:
    """Counts of values between edges, and their sum."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative buckets, in the form that ``prometheus_client`` expects."""
        names = (*(str(float(edge)) for edge in self.edges), "+Inf")
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class Series:
    """Counts of one endpoint's requests, by status, duration and rows.

    The statuses of our own faults are counted from 0 on, so that a rate sees the first of them.
    """

    __slots__ = ("codes", "fast", "fast_seconds", "labels", "rows", "seconds")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.fast = 0
        self.fast_seconds = 0.0
        self.codes: defaultdict[int, int] = defaultdict(int, {200: 0, 500: 0, 503: 0})
        self.seconds = Histogram(SECONDS)
        self.rows = Histogram(ROWS)

    @property
    def has_duration(self) -> bool:
        """Whether the server decides how long a request takes."""
        return self.labels.endpoint not in _ENDLESS

    @property
    def has_rows(self) -> bool:
        """Whether the requests predict rows."""
        return self.labels.traffic == "user" and self.labels.endpoint != "feedback"

    def observe(self, status: int, seconds: float, rows: int) -> None:
        """Count a request: its status, how many seconds the response took, and how many rows it predicts.

        Nearly all requests predict one row within the first bucket, and so are counted by one number.
        """
        if rows == 1 and seconds <= SECONDS[0] and status == 200:
            self.fast += 1
            self.fast_seconds += seconds
            return
        self.codes[status] += 1
        self.seconds.counts[bisect_left(SECONDS, seconds)] += 1
        self.seconds.total += seconds
        if rows:
            self.rows.counts[bisect_left(ROWS, rows)] += 1
            self.rows.total += rows

    def merge(self) -> None:
        """Move the requests that were counted by one number into the histograms."""
        self.codes[200] += self.fast
        for histogram, total in ((self.seconds, self.fast_seconds), (self.rows, self.fast)):
            histogram.counts[0] += self.fast
            histogram.total += total
        self.fast, self.fast_seconds = 0, 0.0
