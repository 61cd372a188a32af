"""The commands of a rollout, over HTTP to a cluster in memory, through the official client's connection."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from kubernetes.config import kube_config

from components.operations.cli import rollout
from components.operations.rollout import api, canary, clock, counters, pods, probes
from components.operations.rollout.errors import ApiError
from components.registry import registry as registries
from tests.components.conftest import MakeModel
from tests.components.operations.rollout.conftest import PROBES, World
from tests.components.registry.decisions import accept
from tests.support.http import PATIENCE
from tests.support.processes import wait_until

Run = Callable[..., SimpleNamespace]
ANSWERS = {row[0]: answer for row, answer in zip(PROBES.rows, PROBES.answers, strict=True)}
POLICY = {"steps": [{"weight": 10, "seconds": 1}], "requests": 3, "rate": 20, "latencyFloor": 10}


class PacedClock(clock.Clock):
    """A clock that advances by sleeping, and waits for a probe meanwhile.

    A loaded machine then takes longer, and decides alike.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def now(self) -> float:
        return self._world.clock.seconds

    def sleep(self, seconds: float) -> None:
        self._world.clock.seconds += seconds
        if self._world.cluster.weights() == {10}:
            wanted = Handler.answered + 2  # one by each version
            wait_until(lambda: Handler.answered >= wanted, what="a probe")
        super().sleep(0)


class Handler(BaseHTTPRequestHandler):
    """The API server's part: objects, and the way to pods."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a delayed ACK would add 40 ms to each answer
    world: World
    tokens: set[str]
    answered = 0  # probes

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PATCH = do_GET  # noqa: N815  the base class's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        self.tokens.add(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(self.path)
        status, item, content = 200, {}, b""
        try:
            if "/proxy/" in path:
                content = self._pod(path, body)
            elif self.command == "GET":
                item = self.world.cluster.get(path)
            else:
                act = self.world.cluster.patch if self.command == "PATCH" else self.world.cluster.post
                item = act(path, json.loads(body))
        except ApiError as error:
            status, item = error.status, {"message": str(error)}
        content = content or json.dumps(item).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _pod(self, path: str, body: bytes) -> bytes:
        place, _, asked = path.partition("/proxy")
        if asked == "/stream":
            Handler.answered += 1
            return json.dumps({"prediction": ANSWERS[json.loads(body)["instance"][0]]}).encode()
        name = place.split("/pods/")[1].partition(":")[0]
        items = [item for found in self.world.cluster.pods.values() for item in found]
        found = next(item for item in items if item["metadata"]["name"] == name)
        return self.world.ask(pods.read(found), "GET", asked)[1]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """A kubeconfig that leads to the cluster in memory, whose registry is the one in memory."""
    world = World()
    monkeypatch.setattr(clock, "Clock", lambda: PacedClock(world))
    monkeypatch.setattr(canary, "POLL_SECONDS", 0.1)
    for asks in (probes, counters):  # an answer that a loaded machine delays is no failure of a version
        monkeypatch.setattr(asks, "TIMEOUT", PATIENCE)
    Handler.world, Handler.tokens = world, set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(registries, "open_registry", lambda *_: world.registry)
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    yield world
    assert Handler.tokens == {"Bearer secret"}
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(cluster: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Carry out a command; returns its status and what it said."""

    def carry_out(*words: str) -> SimpleNamespace:
        site = ["--namespace", "ns", "--name", "lr", "--registry-root", "s3://bucket"]
        status = rollout.main([words[0], *site, "--policy", str(tmp_path / "policy.json"), *words[1:]])
        said = capsys.readouterr()
        return SimpleNamespace(status=status, said=said.out, error=said.err)

    return carry_out


def test_promotes_the_champion(cluster: World, run: Run) -> None:
    cluster.make_champion(2)
    done = run("promote")
    assert (done.status, done.error) == (0, "")
    assert done.said.endswith("every pod serves version 2\n")
    assert cluster.cluster.served() == {"2"}


def test_probes_a_canary_through_the_api_server(cluster: World, run: Run) -> None:
    cluster.make_champion(2)
    done = run("canary")
    assert done.status == 0, done.error
    assert "CanaryPassed: version 2 at 10 %" in done.said
    assert cluster.cluster.served() == {"2"}


def test_a_rollback_prints_the_version_it_restores(cluster: World, run: Run) -> None:
    cluster.make_champion(2)
    run("promote")
    done = run("rollback", "--reason", "it was bad")
    assert done.status == 0
    assert "RolledBack: every pod serves version 1: it was bad" in done.said
    assert run("reconcile").said == "every pod serves version 1\n"


def test_an_error_is_printed_with_exit_status_1(cluster: World, run: Run) -> None:
    done = run("rollback", "--to", "77")
    assert done.status == 1
    assert done.error == "error: the registry has no version 77\n"


@pytest.mark.parametrize("command", ["promote", "canary", "reconcile", "rollback"])
def test_prints_the_change_and_patches_nothing_when_git_is_the_owner(
    command: str, cluster: World, run: Run
) -> None:
    lease = cluster.cluster.objects["leases/lr-rollout"]["metadata"]
    lease["annotations"]["linear-regressor/owner"] = "git"
    cluster.make_champion(2)
    cluster.process.writes = 0
    done = run(command, *(["--to", "3"] if command == "rollback" else []))
    wanted = "3" if command == "rollback" else "2"
    assert done.status == 1
    assert f'+  version: "{wanted}"' in done.said
    assert "nothing was changed" in done.error
    assert cluster.cluster.served() == {"1"}
    assert not cluster.cluster.history


def test_prints_only_the_diff_of_a_given_file_when_git_is_the_owner(
    cluster: World, run: Run, tmp_path: Path
) -> None:
    lease = cluster.cluster.objects["leases/lr-rollout"]["metadata"]
    lease["annotations"]["linear-regressor/owner"] = "git"
    cluster.make_champion(2)
    values = tmp_path / "values.yaml"
    values.write_text("model:\n  storageUri: s3://bucket/models/lr/1/\n")
    said = run("reconcile", "--file", str(values)).said
    assert [line[0] for line in said.splitlines()] == ["-", "+", "@", " ", "-", "+"]
    assert said.endswith("+  storageUri: s3://bucket/models/lr/2/\n")
    assert run("reconcile", "--file", str(tmp_path / "missing.yaml")).error.endswith("missing.yaml'\n")


def test_removes_the_canary_weight_on_sigterm(
    cluster: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.make_champion(2)
    patch = cluster.cluster._patch

    def tell(key: str, change: Any) -> Any:
        result = patch(key, change)
        if cluster.cluster.weights() == {10}:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(cluster.cluster, "_patch", tell)
    before = signal.getsignal(signal.SIGTERM)
    done = run("canary")
    assert done.status == 1
    assert "stopped by a signal" in done.error
    assert cluster.cluster.weights() == {0}
    assert cluster.cluster.progress()
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_rollout_is_an_error_for_promote_and_none_for_reconcile(cluster: World, run: Run) -> None:
    cluster.cluster.objects["leases/lr-rollout"]["spec"]["holderIdentity"] = "another"
    get = cluster.cluster.get

    def renewed(path: str) -> Any:
        cluster.cluster.renew()
        return get(path)

    cluster.cluster.get = renewed  # type: ignore[method-assign]
    done = run("reconcile")
    assert (done.status, done.said) == (0, "nothing to do now: a rollout is in progress, by another\n")
    done = run("promote")
    assert (done.status, done.error) == (1, "error: a rollout is in progress, by another\n")


def test_retries_while_the_api_server_is_briefly_unavailable(
    cluster: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PAUSE", 0.0)
    get, asked = cluster.cluster.get, [0]

    def now_and_then(path: str) -> Any:
        asked[0] += 1
        if asked[0] % 2:
            raise ApiError(503, "it begins")
        return get(path)

    cluster.cluster.get = now_and_then  # type: ignore[method-assign]
    assert run("reconcile").status == 0


def test_reports_an_invalid_policy(cluster: World, run: Run, tmp_path: Path) -> None:
    run("promote")
    (tmp_path / "policy.json").write_text('{"patience": 1}')
    done = run("canary")
    assert done.status == 1
    assert "unknown in a policy: patience" in done.error


def test_on_one_machine_a_rollback_makes_an_earlier_version_the_champion(
    root: Path,
    tmp_path: Path,
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    root = Path(shutil.copytree(root, tmp_path / "registry"))
    registry = registries.open_registry(root)
    registry.register(make_model(2.0), "run-2", {}, accept)
    words = ["rollback", "--registry-root", str(root), "--reason", "it was bad"]
    assert rollout.main(words) == 0
    assert "version 1 is the champion now" in capsys.readouterr().out
    champion = registry.champion()
    assert champion is not None
    assert champion.number == 1
    assert registry.version(2).withdrawn == "it was bad"
    assert rollout.main(words) == 1
    assert "there was no champion before this one; name a version with --to" in capsys.readouterr().err


def test_says_what_to_do_without_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "nowhere"))
    assert rollout.main(["promote", "--registry-root", str(tmp_path)]) == 1
    assert "On one machine `serve` serves the champion or another version" in capsys.readouterr().err
