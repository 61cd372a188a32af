"""The rows of what it costs to observe: counting, a scrape, the sample for drift, log lines and spans."""

import numpy as np
import orjson

from tests.benchmarks.bench import Bench
from tests.benchmarks.rest import JSON, ONE, ROWS
from tests.benchmarks.servers import UNCOUNTED
from tests.support.collector import collecting
from tests.support.http import Connection, head

_SCRAPES = 500
_SCRAPE_MS = 5
_FEWEST_SPANS = 100


def counting(bench: Bench) -> None:
    """One row a request, counted and not counted, and the processor time of a scrape."""
    counted = bench.rate(bench.ours, "/stream", ONE, JSON)
    bench.pair(
        "/stream, counted | not counted",
        counted,
        bench.rate(bench.start(UNCOUNTED), "/stream", ONE, JSON),
        least=0.97,
    )
    before = bench.ours.processor_seconds()
    with Connection(bench.ours.port) as connection:
        for _ in range(_SCRAPES):
            connection.send(head("/metrics", method="GET"))
            connection.read_response()
    seconds = (bench.ours.processor_seconds() - before) / _SCRAPES
    bench.limit("processor ms of a scrape", seconds * 1e3, _SCRAPE_MS)


def drift(bench: Bench) -> None:
    """One row a request and a hundred thousand, with the sample by which drift is measured and without it."""
    without = bench.start("predictor, no drift")
    values = np.random.default_rng(0).normal(0, 0.05, (ROWS, 1))
    many = orjson.dumps({"instances": values}, option=orjson.OPT_SERIALIZE_NUMPY)
    for work, path, body, least in (
        ("/stream", "/stream", ONE, 0.92),
        ("/batch, 100,000 rows of JSON", "/batch", many, 0.98),
    ):
        bench.pair(
            f"{work}, drift measured | not measured",
            bench.rate(bench.ours, path, body, JSON),
            bench.rate(without, path, body, JSON),
            least=least,
        )


def spans(bench: Bench) -> None:
    """One row a request, with a span for one request in a hundred and without tracing.

    Raises:
        RuntimeError: the collector received hardly any span.
    """
    collector = bench.stack.enter_context(collecting())
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    traced = bench.start("predictor, traced", environment)
    bench.pair(
        "/stream, 1 % of the requests traced | not traced",
        bench.rate(traced, "/stream", ONE, JSON),
        bench.rate(bench.ours, "/stream", ONE, JSON),
        least=0.9,
    )
    if len(collector.spans()) < _FEWEST_SPANS:
        raise RuntimeError(f"{len(collector.spans())} spans were received")
