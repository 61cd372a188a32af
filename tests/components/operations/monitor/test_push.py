"""What is pushed when a retraining was judged."""

import math
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.operations.monitor.due import Error, Policy, Seen, decide
from components.operations.monitor.push import exposition, push
from predictor.model.drift import Drift

SEEN = Seen(
    rows=1000,
    drift={"bmi": Drift(0.3, 100.0, 9, 1000.0), 'a "quoted\\" name': Drift(0.01, 9.0, 9, 1000.0)},
    live=Error(9.0, 0.4, 400),
    held_out=Error(4.0, 0.2, 300),
)


def samples(seen: Seen) -> dict[tuple[str, str], float]:
    """Return what is pushed, by name and by the value of the only label."""
    text = exposition(seen, Policy(), decide(seen, Policy()), now=1.8e9)
    return {
        (sample.name.removeprefix("retraining_"), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_pushes_what_was_seen_and_decided() -> None:
    found = samples(SEEN)
    assert found[("due", "")] == found[("quality_lost", "")] == 1
    assert found[("mean_squared_error", "live")] == 9
    assert found[("mean_squared_error", "held_out")] == 4
    assert found[("mean_squared_error_deviation", "live")] == 0.4
    assert found[("rows", "held_out")] == 300
    assert found[("drift_index", "bmi")] == 0.3
    assert found[("drift_index", 'a "quoted\\" name')] == 0.01
    assert found[("judged_timestamp_seconds", "")] == 1.8e9


def test_what_is_not_known_is_left_out() -> None:
    found = samples(replace(SEEN, live=Error(), drift={}))
    assert found[("quality_lost", "")] == 0
    assert ("mean_squared_error", "live") not in found
    assert all(math.isfinite(value) for value in found.values())


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """The URL of a server, and what it was sent: method, path and body."""
    got: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.command, self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_replaces_the_metrics_of_the_job(gateway: tuple[str, list[tuple[str, str, bytes]]]) -> None:
    url, got = gateway
    push(f"{url}/metrics/job/retraining", "retraining_due 1\n")
    assert got == [("PUT", "/metrics/job/retraining", b"retraining_due 1\n")]


def test_a_gateway_that_is_not_there_is_only_said(capsys: pytest.CaptureFixture[str]) -> None:
    push("http://127.0.0.1:1/metrics/job/retraining", "")
    assert "the metrics were not pushed: http://127.0.0.1:1/" in capsys.readouterr().err


def test_refuses_what_is_no_url_of_http() -> None:
    with pytest.raises(ValueError, match="expected a URL such as"):
        push("file:///etc/passwd", "")
