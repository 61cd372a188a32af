"""What Prometheus is told: counted in a few hundred nanoseconds a request, made into series at the scrape."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import REGISTRY, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from predictor.feedback.recorder import Recorder
from predictor.messages import Request, Response
from predictor.model.handle import ModelHandle

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
REASONS = ("unauthorized", "forbidden", "busy", "memory", "connections", "slow", "deadline")


class Histogram:
    """Counts of values between edges, and their sum."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """The cumulative buckets as Prometheus wants them."""
        count, found = 0, []
        for edge, here in zip((*self.edges, float("inf")), self.counts, strict=True):
            count += here
            found.append(("+Inf" if edge == float("inf") else str(float(edge)), float(count)))
        return found


class Series:
    """What is counted of one endpoint."""

    __slots__ = ("codes", "rows", "seconds", "short", "short_seconds")

    def __init__(self) -> None:
        self.short = 0
        self.short_seconds = 0.0
        self.codes: defaultdict[int, int] = defaultdict(int)
        self.seconds = Histogram(SECONDS)
        self.rows = Histogram(ROWS)

    def observe(self, status: int, seconds: float, rows: int) -> None:
        """Count a request: its status, the time its answer took, and the rows predicted."""
        if rows == 1 and seconds <= SECONDS[0] and status == 200:
            self.short += 1
            self.short_seconds += seconds
            return
        self.codes[status] += 1
        self.seconds.counts[bisect_left(SECONDS, seconds)] += 1
        self.seconds.total += seconds
        if rows:
            self.rows.counts[bisect_left(ROWS, rows)] += 1
            self.rows.total += rows

    def settle(self) -> None:
        """Put what was counted by one number into its buckets: what nearly every request is."""
        self.codes[200] += self.short
        for histogram, total in ((self.seconds, self.short_seconds), (self.rows, self.short)):
            histogram.counts[0] += self.short
            histogram.total += total
        self.short, self.short_seconds = 0, 0.0


class Metrics(Collector):
    """Every series of this server; ``endpoint``, ``code`` and ``reason`` have few values."""

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
        """What is counted of an endpoint."""
        if endpoint not in self.endpoints:
            self.endpoints[endpoint] = Series()
        return self.endpoints[endpoint]

    def collect(self) -> Iterator[Metric]:
        """Make the metrics, at a scrape."""
        model, version = self.handle.name, self.handle.version or ""
        requests = CounterMetricFamily(
            "inference_requests", "Requests answered.", labels=("model", "version", "endpoint", "code")
        )
        seconds = HistogramMetricFamily(
            "inference_request_duration_seconds",
            "From a request's being complete to its answer's being written.",
            labels=("model", "version", "endpoint"),
        )
        rows = HistogramMetricFamily(
            "inference_batch_size", "Rows predicted by a request.", labels=("model", "version", "endpoint")
        )
        for endpoint, series in list(self.endpoints.items()):
            series.settle()
            for code, count in list(series.codes.items()):
                requests.add_metric((model, version, endpoint, str(code)), count)
            seconds.add_metric((model, version, endpoint), series.seconds.buckets(), series.seconds.total)
            rows.add_metric((model, version, endpoint), series.rows.buckets(), series.rows.total)
        yield from (requests, seconds, rows)
        invalid = sum(series.codes.get(400, 0) for series in list(self.endpoints.values()))
        yield CounterMetricFamily("inference_invalid_input", "Requests answered 400.", value=invalid)
        rejected = CounterMetricFamily("inference_rejected", "Requests refused unread.", labels=("reason",))
        for reason, count in list(self.rejected.items()):
            rejected.add_metric((reason,), count)
        yield rejected
        failures = CounterMetricFamily(
            "background_task_failures", "Errors of background tasks, which go on.", labels=("task",)
        )
        for task, failed in list(self.task_failures.items()):
            failures.add_metric((task,), failed)
        yield failures
        yield GaugeMetricFamily("inference_in_progress", "Requests being answered.", value=self.in_progress)
        yield GaugeMetricFamily(
            "inference_memory_bytes", "What bodies under way take.", value=self.memory_used()
        )
        yield from self._model(model, version)
        if self.recorder:
            yield from _kept(self.recorder)

    def _model(self, model: str, version: str) -> Iterator[Metric]:
        loaded = self.handle.loaded
        info = GaugeMetricFamily("model_info", "The model served.", labels=("model", "version", "digest"))
        info.add_metric((model, version, loaded.digest if loaded else ""), 1)
        yield info
        yield GaugeMetricFamily(
            "model_ready", "Whether new requests may come.", value=float(self.handle.ready)
        )
        load = GaugeMetricFamily("model_load_seconds", "How long reading the model took.", labels=("model",))
        load.add_metric((model,), loaded.seconds if loaded else 0)
        yield load


def _kept(recorder: Recorder) -> Iterator[Metric]:
    """What is kept for the next training, and what was lost: requests, each of one row or more."""
    taken = CounterMetricFamily("feedback_kept", "Requests whose rows are kept.", labels=("kind",))
    refused = CounterMetricFamily("feedback_lost", "Requests whose rows found no room.", labels=("kind",))
    failed = CounterMetricFamily(
        "feedback_store_failures", "Attempts to store that failed.", labels=("kind",)
    )
    waiting = GaugeMetricFamily("feedback_waiting_bytes", "What waits for the store.", labels=("kind",))
    for batches in (recorder.predictions, recorder.truths):
        taken.add_metric((batches.name,), batches.taken)
        refused.add_metric((batches.name,), batches.refused)
        failed.add_metric((batches.name,), batches.failures)
        waiting.add_metric((batches.name,), batches.size)
    yield from (taken, refused, failed, waiting)


def scrape(request: Request) -> Response:
    """Answer ``GET /metrics``, as text or as OpenMetrics."""
    accept = b",".join(request.headers.accept).decode("latin-1")
    encoder, content_type = exposition.choose_encoder(accept)
    return Response(encoder(REGISTRY), content_type=content_type.encode())
