"""A deployment that fails its smoke test is rolled back, and the exit status says what serves now."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from delivery import version
from delivery.__main__ import main
from delivery.deploy import BROKEN, PAUSE, ROLLED_BACK, DeployError, Helm, deploy
from tests.delivery.proxy import Proxy, closed, failing, start_proxy
from tests.support.server import Server, start_predictor

RELEASE = "1.2.0"


class FakeHelm:
    """What helm keeps of one release, and how it answers.

    Attributes:
        history: the revisions as helm lists them.
        installed: the revision whose objects are in the cluster.
        fails: the commands that fail, with what they say; an upgrade after it has changed objects.
    """

    def __init__(self, revisions: int) -> None:
        self.history = [{"revision": number, "status": "superseded"} for number in range(1, revisions + 1)]
        if revisions:
            self.history[-1]["status"] = "deployed"
        self.installed = revisions
        self.fails: dict[str, str] = {}
        self.refuses = ""
        self.commands: list[list[str]] = []

    def __call__(self, line: list[str], **_options: Any) -> "subprocess.CompletedProcess[str]":
        assert line[0] == "helm"
        self.commands.append(line[1:])
        command = line[1]
        if command == "upgrade" and self.refuses:
            return self._answer(line, problem=self.refuses)
        if command in ("upgrade", "rollback"):
            self._add("failed" if command in self.fails else "deployed")
        if command in self.fails:
            return self._answer(line, problem=self.fails[command])
        answers: dict[str, Callable[[], str]] = {
            "list": lambda: json.dumps([{"name": "prices"}] if self.history else []),
            "history": lambda: json.dumps(self.history),
            "show": lambda: f'appVersion: "{RELEASE}"\n',
        }
        return self._answer(line, answers.get(command, str)())

    def _add(self, status: str) -> None:
        if status == "deployed":
            for entry in self.history:
                entry["status"] = "superseded" if entry["status"] == "deployed" else entry["status"]
        self.installed = len(self.history) + 1
        self.history.append({"revision": self.installed, "status": status})

    @staticmethod
    def _answer(line: list[str], output: str = "", problem: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(line, bool(problem), output, problem)


def deployed(fake: FakeHelm, smoke: Callable[[str], str | None]) -> list[str]:
    """Deploy, and return what was said."""
    said: list[str] = []
    helm = Helm("prices", "team", fake)
    deploy(
        helm,
        "oci://registry.example.com/charts/linear-regressor",
        RELEASE,
        [Path("v.yaml")],
        smoke,
        said.append,
    )
    return said


def test_a_release_that_passes_stays() -> None:
    fake, expected = FakeHelm(3), []

    def smoke(release: str) -> str | None:
        expected.append(release)
        return None

    assert deployed(fake, smoke)[-1] == f"Release {RELEASE} passed"
    assert expected == [RELEASE]
    assert fake.installed == 4
    upgrade = next(line for line in fake.commands if line[0] == "upgrade")
    assert upgrade[:3] == ["upgrade", "prices", "oci://registry.example.com/charts/linear-regressor"]
    assert {"--version", RELEASE, "--values", "v.yaml", "--namespace", "team", "--reset-values"} <= set(
        upgrade
    )


def test_a_first_release_is_installed() -> None:
    fake = FakeHelm(0)
    deployed(fake, lambda _release: None)
    assert fake.installed == 1


def test_a_release_that_fails_is_rolled_back_to_the_deployed_revision() -> None:
    fake = FakeHelm(2)
    fake.history.append({"revision": 3, "status": "failed"})
    with pytest.raises(DeployError, match="revision 2 serves again: /batch: status 500") as raised:
        deployed(fake, lambda release: "/batch: status 500" if release else None)
    assert raised.value.status == ROLLED_BACK
    assert [line[:3] for line in fake.commands if line[0] == "rollback"] == [["rollback", "prices", "2"]]


def test_a_roll_back_that_fails_too_is_another_status() -> None:
    with pytest.raises(
        DeployError, match="revision 2, which was rolled back to, fails too: no answer"
    ) as raised:
        deployed(FakeHelm(2), lambda _release: "no answer")
    assert raised.value.status == BROKEN


def test_waits_until_the_pods_of_the_later_revision_are_gone() -> None:
    now, problems = [0.0], ["/batch: status 413", "/batch: status 413", "/batch: status 413", None]

    def wait(seconds: float) -> None:
        now[0] += seconds

    def roll_back(seconds: float) -> int:
        left = iter(problems)
        with pytest.raises(DeployError) as raised:
            deploy(
                Helm("prices", "team", FakeHelm(2)),
                "oci://registry.example.com/charts/linear-regressor",
                RELEASE,
                [],
                lambda _release: next(left),
                lambda _said: None,
                seconds,
                lambda: now[0],
                wait,
            )
        return raised.value.status

    assert roll_back(60) == ROLLED_BACK
    assert now[0] == 2 * PAUSE
    assert roll_back(PAUSE) == BROKEN


def test_a_first_release_that_fails_stays_to_be_examined() -> None:
    fake = FakeHelm(0)
    with pytest.raises(DeployError, match="nothing was deployed before") as raised:
        deployed(fake, lambda _release: "no answer")
    assert raised.value.status == BROKEN
    assert not [line for line in fake.commands if line[0] in ("rollback", "uninstall")]


def test_a_chart_that_helm_refuses_changes_nothing() -> None:
    fake = FakeHelm(2)
    fake.refuses = "image.registry is empty"
    with pytest.raises(DeployError, match=r"helm upgrade: image\.registry is empty") as raised:
        deployed(fake, lambda _release: pytest.fail("nothing was deployed"))
    assert raised.value.status == 1
    assert fake.installed == 2


def test_an_upgrade_that_fails_halfway_is_rolled_back() -> None:
    fake = FakeHelm(2)
    fake.fails = {"upgrade": "conflict on the HTTPRoute"}
    with pytest.raises(DeployError, match="revision 2 serves again: helm upgrade: conflict") as raised:
        deployed(fake, lambda _release: None)
    assert raised.value.status == ROLLED_BACK


def test_a_roll_back_that_helm_refuses_is_said() -> None:
    fake = FakeHelm(2)
    fake.fails = {"rollback": "no such revision"}
    with pytest.raises(DeployError, match="helm rollback: no such revision") as raised:
        deployed(fake, lambda _release: "no answer")
    assert raised.value.status == BROKEN


# The command, with a program named helm on the PATH. It counts revisions in a file.
PROGRAM = f"""#!{sys.executable}
import json, pathlib, sys
state = pathlib.Path(__file__).with_name("revisions")
revisions = state.read_text().split()
command = sys.argv[1]
if command == "show":
    print('appVersion: "{version.current(version.ROOT)}"')
elif command == "list":
    print(json.dumps([{{"name": "prices"}}] * bool(revisions)))
elif command == "history":
    status = ["superseded"] * (len(revisions) - 1) + ["deployed"]
    print(json.dumps([{{"revision": i, "status": each}} for i, each in enumerate(status, start=1)]))
elif command == "upgrade":
    state.write_text(" ".join([*revisions, "new"]))
elif command == "rollback":
    state.write_text(" ".join([*revisions, revisions[int(sys.argv[3]) - 1]]))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start_predictor() as running:
        yield running


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the program keeps its revisions; one is deployed."""
    program = tmp_path / "helm"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    file = tmp_path / "revisions"
    file.write_text("old")
    return file


@pytest.mark.parametrize("broken", [False, True])
def test_the_command_deploys_and_rolls_back_by_the_answers_at_the_address(
    broken: bool, server: Server, revisions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(path: str, answer: tuple[int, str, bytes]) -> tuple[int, str, bytes]:
        new = revisions.read_text().split()[-1] == "new"
        return failing("/batch", 500)(path, answer) if new and broken else closed(path, answer)

    with start_proxy(server.port) as proxy:
        proxy.change = change
        status = deploy_to(proxy)
    shown = capsys.readouterr()
    assert revisions.read_text().split() == (["old", "new", "old"] if broken else ["old", "new"])
    assert status == (ROLLED_BACK if broken else 0)
    assert ("revision 1 serves again" in shown.err) == broken
    assert ("FAIL  /batch " in shown.out) == broken


def deploy_to(proxy: Proxy) -> object:
    """Run the command; returns its exit status."""
    place = ["--release-name", "prices", "--namespace", "team", "--chart", "helm/linear-regressor"]
    try:
        main(["deploy", "--url", proxy.url, *place, "--latency", "60000", "--wait", "0"])
    except SystemExit as ended:
        return ended.code
    return 0
