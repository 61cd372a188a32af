"""Metrics for Prometheus: counted in a few hundred nanoseconds a request, and formatted at a scrape."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from predictor.feedback.recorder import Recorder
from predictor.messages import Request, Response
from predictor.model.handle import ModelHandle

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
REASONS = ("unauthorized", "forbidden", "busy", "memory", "connections", "slow", "deadline", "gone")


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
    """Counts of one endpoint's requests, by status, duration and rows."""

    __slots__ = ("codes", "fast", "fast_seconds", "rows", "seconds")

    def __init__(self) -> None:
        self.fast = 0
        self.fast_seconds = 0.0
        self.codes: defaultdict[int, int] = defaultdict(int)
        self.seconds = Histogram(SECONDS)
        self.rows = Histogram(ROWS)

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


class Metrics(Collector):
    """All metrics of this server. The labels have few values each."""

    def __init__(
        self, handle: ModelHandle, memory_used: Callable[[], int], recorder: Recorder | None
    ) -> None:
        self.handle = handle
        self.memory_used = memory_used
        self.recorder = recorder
        self.endpoints: dict[str, Series] = {}
        self.rejected: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self.task_failures: Counter[str] = Counter()
        self.in_progress = 0

    def series(self, endpoint: str) -> Series:
        """Return the counts of an endpoint."""
        if endpoint not in self.endpoints:
            self.endpoints[endpoint] = Series()
        return self.endpoints[endpoint]

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, at a scrape."""
        model, version = self.handle.name, self.handle.version or ""
        requests = CounterMetricFamily(
            "inference_requests", "Requests answered.", labels=("model", "version", "endpoint", "code")
        )
        seconds = HistogramMetricFamily(
            "inference_request_duration_seconds",
            "Seconds from the complete request to the written response.",
            labels=("model", "version", "endpoint"),
        )
        rows = HistogramMetricFamily(
            "inference_batch_size", "Rows predicted by a request.", labels=("model", "version", "endpoint")
        )
        for endpoint, series in list(self.endpoints.items()):
            series.merge()
            for code, count in list(series.codes.items()):
                requests.add_metric((model, version, endpoint, str(code)), count)
            seconds.add_metric((model, version, endpoint), series.seconds.buckets(), series.seconds.total)
            rows.add_metric((model, version, endpoint), series.rows.buckets(), series.rows.total)
        yield from (requests, seconds, rows)
        invalid = sum(series.codes.get(400, 0) for series in list(self.endpoints.values()))
        yield CounterMetricFamily("inference_invalid_input", "Requests answered 400.", value=invalid)
        rejected = CounterMetricFamily(
            "inference_rejected", "Requests that were not answered.", labels=("reason",)
        )
        for reason, count in list(self.rejected.items()):
            rejected.add_metric((reason,), count)
        yield rejected
        failures = CounterMetricFamily(
            "background_task_failures", "Errors in background tasks. The tasks continue.", labels=("task",)
        )
        for task, failed in list(self.task_failures.items()):
            failures.add_metric((task,), failed)
        yield failures
        yield GaugeMetricFamily("inference_in_progress", "Requests in progress.", value=self.in_progress)
        yield GaugeMetricFamily(
            "inference_memory_bytes", "Memory of bodies in progress.", value=self.memory_used()
        )
        yield from self._model(model, version)
        if self.recorder:
            yield from _feedback(self.recorder)

    def _model(self, model: str, version: str) -> Iterator[Metric]:
        loaded = self.handle.loaded
        info = GaugeMetricFamily("model_info", "The served model.", labels=("model", "version", "digest"))
        info.add_metric((model, version, loaded.digest if loaded else ""), 1)
        yield info
        yield GaugeMetricFamily(
            "model_ready", "1 if new requests should be sent here.", value=float(self.handle.ready)
        )
        load = GaugeMetricFamily(
            "model_load_seconds", "Seconds it took to load the model.", labels=("model",)
        )
        load.add_metric((model,), loaded.seconds if loaded else 0)
        yield load


def _feedback(recorder: Recorder) -> Iterator[Metric]:
    accepted = CounterMetricFamily("feedback_kept", "Requests that were recorded.", labels=("kind",))
    lost = CounterMetricFamily("feedback_lost", "Requests that were not recorded.", labels=("kind",))
    failed = CounterMetricFamily(
        "feedback_store_failures", "Failed attempts to write to the store.", labels=("kind",)
    )
    waiting = GaugeMetricFamily(
        "feedback_waiting_bytes", "Bytes that wait to be written to the store.", labels=("kind",)
    )
    for writer in (recorder.predictions, recorder.ground_truth):
        accepted.add_metric((writer.name,), writer.accepted)
        lost.add_metric((writer.name,), writer.rejected)
        failed.add_metric((writer.name,), writer.failures)
        waiting.add_metric((writer.name,), writer.size)
    yield from (accepted, lost, failed, waiting)


def scrape(request: Request) -> Response:
    """Answer ``GET /metrics``, in the text format or as OpenMetrics."""
    accept = b",".join(request.headers.accept).decode("latin-1")
    encoder, content_type = exposition.choose_encoder(accept)
    return Response(encoder(REGISTRY), content_type=content_type.encode())
