"""Each call is counted once, however its client ends it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from tests.contract import slow_predictor
from tests.contract.observations import observe, scrape
from tests.contract.rule_servers import waiting
from tests.contract.streams import RecordStream
from tests.contract.test_grpc import CANCEL, INFER, infer_request
from tests.support.http import PATIENCE, head, post
from tests.support.http2 import RESET, Http2Connection
from tests.support.processes import wait_until
from tests.support.server import Server, start_predictor

LARGE = b'{"instances": [0.5]}'.ljust(10_000)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose thread waits as long as the file ``thread`` exists."""
    place = tmp_path_factory.mktemp("slow")
    launcher = (sys.executable, slow_predictor.__file__, str(place / "thread"))
    with start_predictor(place=place, launcher=launcher, inline_bytes=1000) as running:
        yield running


@pytest.fixture
def thread(slow: Server) -> Iterator[Path]:
    """The file whose removal lets the thread go on; ``thread.waits`` is there while it waits."""
    with waiting(slow) as file:
        yield file


def wait_for(thread: Path) -> None:
    wait_until(thread.with_suffix(".waits").exists, what="the thread to wait")


@pytest.mark.parametrize(
    "request_",
    [post("/batch", LARGE)[:-1], head("/batch", {"transfer-encoding": "chunked"}) + b"5\r\n12345\r\n"],
    ids=["length", "chunked"],
)
def test_an_http_client_that_goes_away_before_its_body_is_complete_is_gone(
    slow: Server, request_: bytes
) -> None:
    with observe(slow) as observed, slow.connect() as connection:
        connection.send(request_)
        wait_until(lambda: slow.metric("predictor_requests_in_progress") == 2, what="the request to begin")
        connection.close()
        wait_until(lambda: slow.metric("predictor_requests_in_progress") == 1, what="the request to end")
    assert (observed.requests, observed.rejected) == ({("batch", "499"): 1}, {"gone": 1})
    assert observed.errors == []


def test_an_http_client_that_goes_away_while_its_response_is_computed_is_counted_once(
    slow: Server, thread: Path
) -> None:
    with observe(slow) as observed:
        with slow.connect() as connection:
            connection.send(post("/batch", LARGE))
            wait_for(thread)
        thread.unlink()
        wait_until(lambda: slow.metric("predictor_requests_in_progress") == 1, what="the request to end")
    assert observed.requests == {("batch", "200"): 1}


@pytest.mark.parametrize("closes", [True, False])
def test_a_grpc_client_that_goes_away_while_its_response_is_computed_is_gone(
    slow: Server, thread: Path, *, closes: bool
) -> None:
    message = infer_request(1000).SerializeToString()
    with observe(slow) as observed, Http2Connection(slow.grpc_port) as connection:
        stream = connection.call(INFER, message)
        wait_for(thread)
        if closes:
            connection.close()
        else:
            connection.send(RESET, CANCEL, stream=stream)
        wait_until(lambda: slow.metric("predictor_requests_in_progress") == 1, what="the call to end")
        thread.unlink()
    assert (observed.requests, observed.rejected) == ({("v2_infer", "499"): 1}, {"gone": 1})
    assert observed.errors == []


def test_a_stream_of_records_that_its_client_ends_is_counted_once_with_its_rows(slow: Server) -> None:
    with observe(slow) as observed:
        with RecordStream(slow.port) as stream:
            stream.send(b'{"instance": 0.5}\n' * 3)
            stream.receive()
        wait_until(lambda: slow.metric("predictor_requests_in_progress") == 1, what="the stream to end")
    assert observed.requests == {("stream_ndjson", "200"): 1}
    assert (observed.rows, observed.rejected) == ({"stream_ndjson": 3}, {})


def test_a_request_that_is_not_http_is_counted_as_unparsed_and_as_malformed(slow: Server) -> None:
    before = scrape(slow)["predictor_invalid_input_total"][(("kind", "malformed"),)]
    with observe(slow) as observed:
        assert b" 400 " in slow.exchange(b"this is not HTTP\r\n\r\n")
    assert observed.requests == {("unparsed", "400"): 1}
    assert scrape(slow)["predictor_invalid_input_total"][(("kind", "malformed"),)] == before + 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"instances": ["a"]}', "type"),
        (b'{"instances": [1e999]}', "not_finite"),
        (b'{"instances": [1, 2}', "malformed"),
        (b'{"instances": [[1, 2]]}', "malformed"),
    ],
)
def test_invalid_input_is_counted_by_its_kind(slow: Server, body: bytes, kind: str) -> None:
    before = scrape(slow)["predictor_invalid_input_total"]
    with slow.connect() as connection:
        connection.send(post("/batch", body))
        assert connection.read_response().status == 400
    after = scrape(slow)["predictor_invalid_input_total"]
    changed = {dict(labels)["kind"]: value - before[labels] for labels, value in after.items()}
    assert {name: count for name, count in changed.items() if count} == {kind: 1}


def test_watches_and_reflection_are_counted_when_they_end(slow: Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{slow.grpc_port}") as channel:
        watched = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        next(watched)
        watches, reflections = ended(slow, "watch"), ended(slow, "reflection")
        watched.cancel()
        wait_until(lambda: ended(slow, "watch") == watches + 1, what="the watch to end")
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        list(ServerReflectionStub(channel).ServerReflectionInfo(iter((request,)), timeout=PATIENCE))
        wait_until(lambda: ended(slow, "reflection") == reflections + 1, what="the reflection to end")


def ended(server: Server, endpoint: str) -> float:
    counted = scrape(server).get("predictor_requests_total", {})  # none before the first request
    return sum(value for labels, value in counted.items() if ("endpoint", endpoint) in labels)
