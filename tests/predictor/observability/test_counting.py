import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.endpoints.routing import Routes
from predictor.grpc.methods import methods
from predictor.observability.counting import OBJECTIVE_SECONDS, ROWS, SECONDS, Labels, Series
from predictor.web.site import Site
from tests.support.service import make_service

STREAM = Labels.of("stream", "http")

observations = st.tuples(
    st.sampled_from((200, 400, 503)), st.floats(0, 20), st.sampled_from((0, 1, 1, 2, 10, 1_000_001))
)


@given(st.lists(observations))
def test_series_counts_requests_as_plain_histograms_would(
    requests: list[tuple[int, float, int]],
) -> None:
    series = Series(STREAM)
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
    series = Series(STREAM)
    series.observe(200, 1e9, 1)
    assert series.seconds.buckets()[-1] == ("+Inf", 1.0)
    assert series.seconds.buckets()[-2] == ("10.0", 0.0)


def test_objective_of_latency_is_the_edge_of_a_bucket() -> None:
    assert OBJECTIVE_SECONDS in SECONDS


def test_traffic_of_every_endpoint_is_as_its_credentials_and_probes_have_a_value_of_their_own() -> None:
    service = make_service()
    routes = Routes(service, Site(service.handle))
    found = [*routes.exact.values(), *routes.v1.values(), *routes.v2.values(), *routes.repository.values()]
    rpc = [method for group in methods(service).values() for method in group.values()]
    scopes = {one.endpoint: one.scope for one in found} | {one.endpoint: one.scope for one in rpc}
    for endpoint, scope in scopes.items():
        traffic = Labels.of(endpoint, "http").traffic
        assert (traffic == "user") == (scope in ("predict", "explain", "feedback")), endpoint
        assert (traffic == "admin") == (scope == "admin"), endpoint
    assert {Labels.of(endpoint, "grpc").traffic for endpoint in ("health", "ping", "watch")} == {"probe"}
    assert Labels.of("metrics", "http").traffic == "scrape"


def test_streams_of_records_have_rows_and_no_duration() -> None:
    series = Series(Labels.of("stream_ndjson", "http"))
    assert (series.has_rows, series.has_duration) == (True, False)
