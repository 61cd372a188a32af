"""The smoke test passes a good predictor, and names what is wrong with a broken one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery import version
from delivery.__main__ import main
from delivery.smoke.checks import REQUESTS, await_served
from delivery.smoke.target import SmokeError, Target
from tests.delivery.proxy import Change, Proxy, closed, failing, replaced, start_proxy
from tests.support.models import linear_model, mixed_model
from tests.support.server import VERSION, Server, start_predictor

PATIENT = ("--latency", "60000")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start_predictor(linear_model((938.25, 3.0))) as running:
        yield running


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A gateway that closes /metrics."""
    with start_proxy(server.port) as running:
        running.change = closed
        yield running


def smoke(url: str, *options: str) -> None:
    """Run the smoke test."""
    main(["smoke", "--url", url, *PATIENT, *options])


def test_a_good_predictor_passes_every_check(
    server: Server, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    release = version.current(version.ROOT)
    grpc = f"http://127.0.0.1:{server.grpc_port}"
    smoke(proxy.url, "--version", VERSION, "--release", release, "--grpc", grpc)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines[:-1]] == ["ok  "] * 13
    assert any(line.split() == ["ok", "gRPC", "3", "rows"] for line in lines)
    assert lines[-1] == f"13 checks passed at {proxy.url}"


def test_a_predictor_of_typed_inputs_passes() -> None:
    with start_predictor(mixed_model()) as running:
        smoke(running.url, "--direct", "--grpc", f"http://127.0.0.1:{running.grpc_port}")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (failing("/batch", 500), "/batch status 500"),
        (failing("/v2/health/ready", 503), "health status 503"),
        (failing("/docs", 404), "page and documents status 404"),
        (replaced("/v1/models", b'"predictions":[', b'"predictions":[1'), "V1 it predicts ["),
        (replaced("/stream", b'{"prediction"', b'{"value"'), "/stream the answer is malformed"),
        (replaced("/batch", b"}", b""), "/batch expected JSON"),
        (lambda _path, answer: answer, "closed paths /metrics answers with the status 200"),
    ],
)
def test_a_broken_endpoint_is_named(
    change: Change, problem: str, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.change = change
    with pytest.raises(SystemExit) as ended:
        smoke(proxy.url)
    shown = capsys.readouterr()
    failures = [" ".join(line.split()) for line in shown.out.splitlines() if line.startswith("FAIL")]
    assert any(line.startswith(f"FAIL {problem}") for line in failures), failures
    assert ended.value.code == 1
    assert f"checks failed at {proxy.url}" in shown.err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--version", "8"), f"version {VERSION} answers, not 8"),
        (("--release", "99.0.0-rc.1"), "answers, not 99.0.0rc1"),
    ],
)
def test_another_version_than_the_expected_one_fails(
    options: tuple[str, ...], problem: str, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        smoke(proxy.url, *options)
    assert problem in capsys.readouterr().err


def test_known_answers_reveal_a_predictor_that_is_wrong_everywhere(
    proxy: Proxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "answers.json"
    right = {"rows": [[0.0, None], [0.0, 0.0], [0.1, 0.0]], "answers": [9.0, 152.0, 245.825], "deviation": 50}
    answers.write_text(json.dumps(right))
    smoke(proxy.url, "--answers", str(answers))

    answers.write_text(json.dumps({**right, "answers": [9.0, 152.0, 246.825]}))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        smoke(proxy.url, "--answers", str(answers))
    assert "6 of 12 checks failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"rows": [[1]], "answers": []}', '{"rows": [[null]], "answers": [1]}']
)
def test_a_file_without_usable_answers_is_refused(
    content: str, proxy: Proxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answers.json"
    file.write_text(content)
    with pytest.raises(SystemExit):
        smoke(proxy.url, "--answers", str(file))
    assert f"ERROR: {file} has no row" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--url", "--grpc"])
def test_an_address_without_a_scheme_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["smoke", "--url", "http://localhost:1", option, "localhost:8081"])
    assert "localhost:8081 does not begin with http:// or https://" in capsys.readouterr().err


def test_an_address_that_nobody_answers_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        smoke("http://127.0.0.1:9")
    assert "ERROR: ConnectError" in capsys.readouterr().err


def test_a_slow_predictor_fails(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        smoke(proxy.url, "--latency", "0.0001")
    assert "1 of 12 checks failed" in capsys.readouterr().err


def test_it_waits_until_no_old_pod_answers(proxy: Proxy) -> None:
    """While pods are replaced, old and new ones answer by turns."""
    asked = 0

    def old_pods(path: str, answer: tuple[int, str, bytes]) -> tuple[int, str, bytes]:
        nonlocal asked
        asked += path == "/v2/models/linear-regressor"
        old = asked < 5 or asked == 8
        return replaced("/v2/models", b'["7"]', b'["6"]')(path, answer) if old else answer

    proxy.change = old_pods
    slept: list[float] = []
    seen = await_served(Target(proxy.url, version=VERSION), 60, clock=lambda: 0.0, sleep=slept.append)
    assert seen.endswith("version 7")
    assert slept == [1.0] * 5
    assert asked == 8 + REQUESTS


def test_it_waits_no_longer_than_it_may(proxy: Proxy) -> None:
    times = iter(range(100))
    with pytest.raises(SmokeError, match="version 7 answers, not 8"):
        await_served(
            Target(proxy.url, version="8"), 10, clock=lambda: float(next(times)), sleep=lambda _: None
        )
    assert next(times) < 30
