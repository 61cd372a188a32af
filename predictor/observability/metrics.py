"""All metrics of the server, as Prometheus reads them."""

import platform
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata as packages
from pathlib import Path
from typing import NamedTuple

from prometheus_client import REGISTRY, exposition
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from predictor.errors import PredictorError, labels
from predictor.feedback.recorder import Recorder
from predictor.messages import Request, Response
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.observability import decisions, drift_metrics
from predictor.observability.counting import Labels, Series, Transport
from predictor.observability.drift import DriftMonitor, Report
from predictor.observability.metric_families import counter, counters, gauge, gauges, histogram, info

_END = b"# EOF\n"
"""The last line of OpenMetrics."""
_MODEL = ("model", "version")
_REQUEST = (*_MODEL, *Labels._fields)


class Usage(NamedTuple):
    """What the requests in progress use of the limits, and these limits."""

    body_memory_bytes: int
    body_memory_limit_bytes: int
    queue_requests: int
    queue_limit_requests: int
    queue_bytes: int
    queue_limit_bytes: int


_USAGE = {
    "body_memory_bytes": "Memory of the bodies in progress.",
    "body_memory_limit_bytes": "The most memory that the bodies in progress may take.",
    "queue_requests": "Large requests that are computed in a thread, or wait for one.",
    "queue_limit_requests": "The most large requests that are computed or wait.",
    "queue_bytes": "Size of the large requests that are computed or wait.",
    "queue_limit_bytes": "The largest size of all of them, if there is more than one.",
}


class Metrics(Collector):
    """All metrics of this server. The labels have few values each.

    Args:
        handle: the model.
        usage: returns what is in use.
        recorder: of predictions and ground truth, if there is one.
        drift: the sample by which drift is measured, if there is one.
        decided: the folder of the last decisions, if there is one.

    Attributes:
        in_progress: requests that were begun and not counted yet.
        rejected: requests that were not answered, by the reason.
        invalid: requests and records that could not be understood, by the kind of fault.
        task_failures: errors in background tasks.
        lost_log_lines: returns how many lines of requests could not be written to the log.
        certificate_expires: returns when the server's certificate does, in seconds since 1970; None without
            one.
    """

    def __init__(
        self,
        handle: ModelHandle,
        usage: Callable[[], Usage],
        recorder: Recorder | None = None,
        drift: DriftMonitor | None = None,
        decided: Path | None = None,
    ) -> None:
        self.handle = handle
        self.usage = usage
        self.recorder = recorder
        self.drift = drift
        self.decided = decided
        self.rejected: Counter[str] = Counter(dict.fromkeys(labels("reason"), 0))
        self.invalid: Counter[str] = Counter(dict.fromkeys(labels("kind"), 0))
        self.task_failures: Counter[str] = Counter()
        self.lost_log_lines: Callable[[], int] = lambda: 0
        self.certificate_expires: Callable[[], float] | None = None
        self.in_progress = 0
        self._drift: tuple[Report | None, bytes] = (None, b"")
        self._series: dict[tuple[str, Transport], Series] = {}
        self._build = {"version": packages.version("linear-regressor"), "python": platform.python_version()}

    def series(self, endpoint: str, transport: Transport = "http") -> Series:
        """Return the counts of an endpoint's requests that come by a transport."""
        found = self._series.get((endpoint, transport))
        if found is None:
            found = self._series[endpoint, transport] = Series(Labels.of(endpoint, transport))
        return found

    def count_error(self, error: PredictorError) -> None:
        """Count a rejection by its reason, and invalid input by its kind."""
        if error.reason:
            self.rejected[error.reason] += 1
        if error.kind:
            self.invalid[error.kind] += 1

    def scrape(self, request: Request) -> Response:
        """Answer ``GET /metrics``, in the text format or as OpenMetrics."""
        accept = b",".join(request.headers.accept).decode("latin-1")
        encoder, content_type = exposition.choose_encoder(accept)
        text: bytes = encoder(REGISTRY)
        lines = text.removesuffix(_END)
        body = lines + self._drift_lines() + (_END if len(lines) < len(text) else b"")
        return Response(body, content_type=content_type.encode())

    def _drift_lines(self) -> bytes:
        """Return the metrics of drift, written once for each report."""
        report = self.drift.report if self.drift else None
        if report is not self._drift[0]:
            lines = drift_metrics.render(report, self.handle.version or "") if report else b""
            self._drift = report, lines
        return self._drift[1]

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics but those of drift, at a scrape."""
        yield from self._requests()
        yield counter("rejections", "Requests that were not answered.", "reason", self.rejected)
        yield counter(
            "invalid_input", "Requests and records that could not be understood.", "kind", self.invalid
        )
        yield gauge("requests_in_progress", "Requests in progress.", self.in_progress)
        for name, value in self.usage()._asdict().items():
            yield gauge(name, _USAGE[name], value)
        yield counter(
            "background_task_failures",
            "Errors in background tasks. The tasks continue.",
            "task",
            self.task_failures,
        )
        lost = counters("log_lines_lost", "Lines of requests that were not written to the log.", ())
        lost.add_metric((), self.lost_log_lines())
        yield lost
        if self.certificate_expires:
            yield gauge(
                "certificate_expiry_timestamp_seconds",
                "When the server's certificate expires.",
                self.certificate_expires(),
            )
        yield info("build_info", "The versions of this server.", self._build)
        yield from self._model()
        if self.recorder:
            yield from _feedback(self.recorder)
        yield from decisions.collect(self.decided)

    def _requests(self) -> Iterator[Metric]:
        requests = counters("requests", "Requests answered.", (*_REQUEST, "code"))
        seconds = histogram(
            "request_duration_seconds",
            "Seconds from the complete request to the written response.",
            _REQUEST,
        )
        rows = histogram("request_rows", "Rows predicted by a request.", _REQUEST)
        model = (self.handle.name, self.handle.version or "")
        for series in list(self._series.values()):
            series.merge()
            values = (*model, *series.labels)
            for code, count in list(series.codes.items()):
                requests.add_metric((*values, str(code)), count)
            if series.has_duration:
                seconds.add_metric(values, series.seconds.buckets(), series.seconds.total)
            if series.has_rows:
                rows.add_metric(values, series.rows.buckets(), series.rows.total)
        yield from (requests, seconds, rows)

    def _model(self) -> Iterator[Metric]:
        handle, loaded = self.handle, self.handle.loaded
        yield gauge("ready", "1 if new requests should be sent here.", float(handle.ready))
        if loaded is None:
            return
        yield info(
            "model_info",
            "The served model.",
            {
                "model": handle.name,
                "version": handle.version or "",
                "digest": loaded.digest,
                "kind": loaded.model.kind,
            },
        )
        yield gauge("model_load_duration_seconds", "Seconds it took to load the model.", loaded.seconds)
        yield gauge("model_loaded_timestamp_seconds", "When the model was loaded.", loaded.loaded_at)
        if (evaluated := _evaluated(loaded)) is not None:
            yield gauge(
                "model_evaluated_timestamp_seconds",
                "When the model was evaluated on held-out rows, before it was registered.",
                evaluated,
            )


def _evaluated(loaded: LoadedModel) -> float | None:
    """Return when a model was evaluated, in seconds since 1970; None if its folder does not say."""
    if loaded.evaluation is None:
        return None
    try:
        created = datetime.fromisoformat(loaded.evaluation.created)
    except ValueError:
        return None
    return created.replace(tzinfo=created.tzinfo or UTC).timestamp()


def _feedback(recorder: Recorder) -> Iterator[Metric]:
    writers = {writer.name: writer for writer in (recorder.predictions, recorder.ground_truth)}
    accepted = {name: writer.accepted for name, writer in writers.items()}
    rejected = {name: writer.rejected for name, writer in writers.items()}
    failures = {name: writer.failures for name, writer in writers.items()}
    yield counter("feedback_recorded", "Requests that were recorded.", "kind", accepted)
    yield counter("feedback_lost", "Requests that were not recorded.", "kind", rejected)
    yield counter("feedback_store_failures", "Failed attempts to write to the store.", "kind", failures)
    waiting = gauges("feedback_waiting_bytes", "Bytes that wait to be written to the store.", ("kind",))
    for name, writer in writers.items():
        waiting.add_metric((name,), writer.size)
    yield waiting
