import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from predictor.errors import InvalidInput, MissingValue, ReadTimeout
from predictor.model.evaluation import Evaluation
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.kinds.linear import LinearModel
from predictor.observability.metrics import Metrics, Usage

USAGE = Usage(30, 100, 1, 17, 2_000, 8_000)


def by_name(metrics: Metrics) -> dict[str, Metric]:
    return {family.name.removeprefix("predictor_"): family for family in metrics.collect()}


def values(metric: Metric, label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in metric.samples}


@pytest.fixture
def metrics(one_feature: LinearModel) -> Metrics:
    handle = ModelHandle("linear-regressor", Path("models/7"))
    created = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    numbers = np.arange(4.0)
    evaluation = Evaluation.of(numbers, numbers, mean=1.5, digest="a digest", source="", created=created)
    handle.loaded = LoadedModel(one_feature, "a digest", 0.25, evaluation, loaded_at=1.8e9)
    return Metrics(handle, lambda: USAGE, None)


def test_scrape_reports_the_model(metrics: Metrics) -> None:
    found = by_name(metrics)
    assert found["model_info"].samples[0].labels == {
        "model": "linear-regressor",
        "version": "7",
        "digest": "a digest",
        "kind": "linear",
    }
    assert found["ready"].samples[0].value == 1
    assert found["model_load_duration_seconds"].samples[0].value == 0.25
    assert found["model_loaded_timestamp_seconds"].samples[0].value == 1.8e9
    evaluated = found["model_evaluated_timestamp_seconds"].samples[0].value
    assert evaluated == datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def test_scrape_without_a_model_says_that_none_is_ready() -> None:
    found = by_name(Metrics(ModelHandle("linear-regressor", Path("models/7")), lambda: USAGE, None))
    assert found["ready"].samples[0].value == 0
    assert "model_info" not in found


def test_rejections_and_invalid_input_are_counted_from_zero_by_reason_and_kind(metrics: Metrics) -> None:
    for error in (ReadTimeout("late"), ReadTimeout("late"), MissingValue("none"), InvalidInput("bad")):
        metrics.count_error(error)
    found = by_name(metrics)
    rejected = values(found["rejections"], "reason")
    assert (rejected.pop("slow"), set(rejected.values())) == (2, {0})
    assert {"busy", "memory", "connections", "unauthorized"} <= set(rejected)
    invalid = values(found["invalid_input"], "kind")
    assert (invalid.pop("missing"), invalid.pop("malformed"), set(invalid.values())) == (1, 1, {0})


def test_requests_are_counted_by_endpoint_transport_traffic_and_status(metrics: Metrics) -> None:
    metrics.series("batch").observe(400, 0.1, 0)
    metrics.series("v2_infer", "grpc").observe(200, 0.0001, 1)
    metrics.series("health").observe(200, 0.0001, 0)
    found = by_name(metrics)
    counted = {
        tuple(sample.labels[name] for name in ("endpoint", "transport", "traffic", "code")): sample.value
        for sample in found["requests"].samples
        if sample.value
    }
    assert counted == {
        ("batch", "http", "user", "400"): 1,
        ("v2_infer", "grpc", "user", "200"): 1,
        ("health", "http", "probe", "200"): 1,
    }
    faults = {sample.labels["code"]: sample.value for sample in found["requests"].samples}
    assert faults["500"] == faults["503"] == 0
    assert {sample.labels["endpoint"] for sample in found["request_rows"].samples} == {"batch", "v2_infer"}


def test_scrape_reports_what_requests_in_progress_use(metrics: Metrics) -> None:
    metrics.in_progress = 2
    found = by_name(metrics)
    assert found["requests_in_progress"].samples[0].value == 2
    assert {name: found[name].samples[0].value for name in Usage._fields} == USAGE._asdict()
    assert set(found["build_info"].samples[0].labels) == {"version", "python"}


def exposition(metrics: Metrics) -> bytes:
    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry)


def test_all_names_have_one_prefix(metrics: Metrics) -> None:
    metrics.series("batch").observe(200, 0.1, 2)
    names = re.findall(r"^# TYPE (\S+)", exposition(metrics).decode(), re.MULTILINE)
    assert len(names) > 15
    assert [name for name in names if not name.startswith("predictor_")] == []


@pytest.mark.skipif(not shutil.which("promtool"), reason="LEFT OUT: promtool is not on the PATH")
def test_promtool_finds_nothing_to_change(metrics: Metrics) -> None:
    metrics.series("batch").observe(200, 0.1, 2)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=exposition(metrics), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
