from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric

from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.kinds.linear import LinearModel
from predictor.observability.metrics import ROWS, SECONDS, Metrics, Series

observations = st.tuples(
    st.sampled_from((200, 400, 503)), st.floats(0, 20), st.sampled_from((0, 1, 1, 2, 10, 1_000_001))
)


@given(st.lists(observations))
def test_series_counts_requests_as_plain_histograms_would(
    requests: list[tuple[int, float, int]],
) -> None:
    series = Series()
    for request in requests:
        series.observe(*request)
    series.merge()
    assert sum(series.codes.values()) == len(requests) == sum(series.seconds.counts)
    assert series.rows.total == sum(rows for _, _, rows in requests)
    assert series.seconds.total == pytest.approx(sum(seconds for _, seconds, _ in requests))
    for edge, (_, count) in zip(SECONDS, series.seconds.buckets(), strict=False):
        assert count == sum(seconds <= edge for _, seconds, _ in requests)
    for edge, (_, count) in zip(ROWS, series.rows.buckets(), strict=False):
        assert count == sum(0 < rows <= edge for _, _, rows in requests)


def test_last_bucket_is_infinity_and_counts_everything() -> None:
    series = Series()
    series.observe(200, 1e9, 1)
    assert series.seconds.buckets()[-1] == ("+Inf", 1.0)
    assert series.seconds.buckets()[-2] == ("10.0", 0.0)


def by_name(metrics: Metrics) -> dict[str, Metric]:
    return {family.name: family for family in metrics.collect()}


def test_scrape_reports_the_model_and_every_rejection_reason(one_feature: LinearModel) -> None:
    handle = ModelHandle("linear-regressor", Path("models/7"))
    metrics = Metrics(handle, lambda: 30, None)
    assert by_name(metrics)["model_ready"].samples[0].value == 0
    handle.loaded = LoadedModel(one_feature, "a digest", 0.25)
    metrics.rejected["slow"] += 2
    metrics.series("batch").observe(400, 0.1, 0)
    metrics.series("stream").observe(200, 0.0001, 1)
    found = by_name(metrics)
    assert found["model_info"].samples[0].labels == {
        "model": "linear-regressor",
        "version": "7",
        "digest": "a digest",
    }
    assert found["model_load_seconds"].samples[0].value == 0.25
    assert found["inference_memory_bytes"].samples[0].value == 30
    assert found["inference_invalid_input"].samples[0].value == 1
    refused = {sample.labels["reason"]: sample.value for sample in found["inference_rejected"].samples}
    assert (refused.pop("slow"), set(refused.values())) == (2, {0})
    counted = {
        (sample.labels["endpoint"], sample.labels["code"]): sample.value
        for sample in found["inference_requests"].samples
    }
    assert counted == {("batch", "200"): 0, ("batch", "400"): 1, ("stream", "200"): 1}
