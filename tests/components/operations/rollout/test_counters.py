"""The pods' own counts, read from the metrics of the predictor itself."""

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from components.operations.rollout.counters import Counters, parse
from components.operations.rollout.evidence import Block, Counts
from predictor.observability.counting import SECONDS
from tests.support.service import make_service


def test_reads_what_the_predictor_counts() -> None:
    metrics = make_service().metrics
    predicting = [metrics.series(endpoint) for endpoint in ("stream", "batch", "v2_infer")]
    predicting += [metrics.series("v1_predict", "cloudevents"), metrics.series("v2_infer", "grpc")]
    for series in predicting:
        series.observe(200, 0.0001, 1)
        series.observe(500, 0.02, 1)
    for endpoint in ("ping", "metrics", "stream_ndjson", "unknown"):
        metrics.series(endpoint).observe(500, 100.0, 0)
    metrics.series("batch").observe(400, 20.0, 0)
    registry = CollectorRegistry()
    registry.register(metrics)
    counts = parse(generate_latest(registry).decode())
    assert (counts.requests, counts.errors) == (11, 5)
    assert counts.seconds == pytest.approx(5 * 0.0001 + 5 * 0.02 + 20)
    assert counts.edges == SECONDS
    assert dict(zip(SECONDS, counts.slower, strict=True))[0.01] == 6
    assert counts.slower[-1] == 1


def test_text_without_counts_is_no_requests() -> None:
    assert parse("") == Counts()
    assert parse("other_total 3\n") == Counts()


def test_counts_what_was_added_between_readings_by_pods_of_both() -> None:
    counters = Counters(60.0)
    old, new = Counts(10, 1, 1.0, (0.1,), (2,)), Counts(14, 3, 2.0, (0.1,), (3,))
    restarted = Counts(2, 2, 2.0, (0.1,), (2,))
    assert counters.due(0.0)
    counters.add(0.0, {"a": old, "gone": old, "restarted": old}, {"c": old})
    assert not counters.due(1.0)
    assert counters.due(2.0)
    counters.add(2.0, {"a": new, "new": new, "restarted": restarted}, {})
    assert counters.blocks == [Block(Counts(4, 2, 1.0, (0.1,), (1,)), Counts())]
