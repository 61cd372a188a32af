"""The commands of the tutorial and of the guide to deployment, run literally, print what the documents show.

Only placeholders are replaced: the image registry, the store with its bucket and keys, the gateway, and
the namespaces of the guide. The tests' store has no TLS and is inside the cluster, so commands get what the
guide says of such a store.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.installers import NAME, ROOT, image_values
from tests.cluster.kube import kubectl, wait_for
from tests.cluster.resources import make_store
from tests.cluster.service import Service, predictor_pods, served_version
from tests.docs.blocks import Command, blocks, commands
from tests.docs.classes import ELSEWHERE, entries
from tests.support.ports import free_port

TUTORIAL, GUIDE = "docs/tutorial-cluster.md", "docs/deployment.md"
NAMESPACES = {
    TUTORIAL: ("linear-regressor-tutorial",),
    GUIDE: ("linear-regressor-guide", "linear-regressor-overlay"),
}
STORE = "linear-regressor-tutorial-store"
HERE = Path(__file__).relative_to(ROOT).as_posix()
# Share of a hundred requests: four standard deviations, for gateways that choose at random.
TOLERANCE = 16
# How long a gateway may take to use a change.
GATEWAY_SECONDS = 30
COUNT = re.compile(r"^ *(\d+) (?=\{)", re.MULTILINE)
OVERLAY_HOST = "prices.example.com"


def steps(document: str) -> list[Command]:
    """Return a document's commands that are executed here."""
    return [
        command
        for command in commands()
        if command.block.document == document and HERE in [ELSEWHERE.get(entry) for entry in entries(command)]
    ]


def yaml_blocks(document: str, section: str) -> list[str]:
    """Return the YAML of a section."""
    return [
        block.text
        for block in blocks()
        if (block.document, block.section, block.language) == (document, section, "yaml")
    ]


def pattern(shown: str) -> str:
    """Return the regular expression of an output: … is any text in a line, and any lines if it is alone."""
    lines = (
        "(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + "\n"
        for line in shown.splitlines()
    )
    return "".join(lines)


def difference(shown: str, printed: str) -> str:
    """Return how an output differs from what a document shows, if it does; counts differ by chance."""
    printed = "\n".join(line.rstrip() for line in printed.splitlines()) + "\n"
    if not re.fullmatch(pattern(COUNT.sub("N ", shown)), COUNT.sub("N ", printed)):
        return f"the document shows\n{shown}\nand the command printed\n{printed}"
    for count, expected in zip(COUNT.findall(printed), COUNT.findall(shown), strict=True):
        if abs(int(count) - int(expected)) > TOLERANCE:
            return f"{count} responses, and the document shows {expected}"
    return ""


class Shell:
    """Runs a document's commands one after the other, as a reader does, in a folder with a checkout."""

    def __init__(self, folder: Path, variables: dict[str, str], replacements: dict[str, str]) -> None:
        self.folder = folder
        self.checkout = folder / NAME
        self._variables = variables
        self._replacements = replacements
        self._failed = ""

    def replace(self, text: str) -> str:
        """Replace the placeholders of a text."""
        for placeholder, value in self._replacements.items():
            text = text.replace(placeholder, value)
        return text

    def run(self, command: str, folder: Path) -> str:
        """Run a command and return what it prints; variables that it exports stay."""
        assert not self._failed, f"an earlier command failed: {self._failed}"
        self._failed = command
        kept = self.folder / "variables"
        script = f"set -euo pipefail\n{self.replace(command)}\nenv -0 >{kept}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        entries = kept.read_text().rstrip("\0").split("\0")
        self._variables = dict(entry.split("=", 1) for entry in entries)
        self._failed = ""
        return done.stdout

    def step(self, command: Command, folder: Path) -> None:
        """Run a command and compare its output with the one that its document shows.

        A request is repeated, because gateways use a change after some seconds, as the tutorial says.
        """
        shown = self.replace(command.output)
        deadline = time.monotonic() + (GATEWAY_SECONDS if command.text.startswith("curl ") else 0)
        printed = self.run(command.text, folder)
        while shown and (problem := difference(shown, printed)):
            if time.monotonic() > deadline:
                self._failed = command.text
                raise AssertionError(problem)
            time.sleep(1)
            printed = self.run(command.text, folder)


def make_checkout(folder: Path) -> None:
    """Link the repository's files, with an environment ``.venv`` that is ready and has this Python."""
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in {".git", ".venv", "build", "runs", ".local"}:
            (folder / entry.name).symlink_to(entry)
    python = folder / ".venv" / "bin" / "python"
    make_program(python, f'exec {sys.executable} "$@"')
    (folder / ".venv" / ".ready").touch()


def make_program(file: Path, line: str) -> None:
    """Write a program of one line for the shell."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


@contextmanager
def forwarded_store() -> Iterator[str]:
    """Forward a local port to the store; yields the local URL."""
    port = free_port()
    command = ["kubectl", "-n", STORE, "port-forward", "svc/store", f"{port}:9000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        assert line.startswith("Forwarding"), line
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def opened_shell(document: str, folder: Path, image: str) -> Iterator[Shell]:
    """Make a shell for a document's commands; its namespaces are deleted before and afterwards."""
    named = image_values(image)
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    if (named["repository"], named["tag"]) != (f"{NAME}/predictor", version[1]):
        pytest.skip(
            f"LEFT OUT: {image} is not what `make image push` makes, REGISTRY/{NAME}/predictor:{version[1]}"
        )
    for namespace in NAMESPACES[document]:
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait")
    make_checkout(folder / NAME)
    make_program(folder / "programs" / "docker", f'echo "$@" >>{folder}/docker')
    (in_cluster,) = yaml_blocks("docs/clusters.md", "Without access to the internet")
    (folder / NAME / "store.yaml").write_text(named_store(in_cluster))
    # make hands its own variables on, which the reader of a document does not have.
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    for name in ("BUILD", "PUSH", "TAG", "REGISTRY", "NAMESPACE", "RELEASE"):
        variables.pop(name, None)
    variables["PATH"] = f"{folder / 'programs'}{os.pathsep}{variables['PATH']}"
    with forwarded_store() as store:
        replacements = {
            "registry.example.com/team": named["registry"],
            "ACCESS_KEY_ID=…": "ACCESS_KEY_ID=tests",
            "SECRET_ACCESS_KEY=…": "SECRET_ACCESS_KEY=tests",
            "https://s3.example.com": store,
            "s3.example.com": f"store.{STORE}:9000",
            "s3-region=eu-central-1": "s3-region=eu-central-1 serving.kserve.io/s3-usehttps=0",
            "http://203.0.113.10": os.environ["INGRESS"],
            "-f values.yaml": "-f values.yaml -f store.yaml",
            "storage.secretName=store": "storage.secretName=store -f store.yaml",
        }
        if document == GUIDE:
            namespace, overlay = NAMESPACES[GUIDE]
            # Its version 1 is not that of the tutorial.
            replacements |= {
                "s3://prices": "s3://guide",
                f"namespace {NAME}": f"namespace {namespace}",
                f"-n {NAME}": f"-n {namespace}",
                "namespace team": f"namespace {overlay}",
                "namespace: team": f"namespace: {overlay}",
                "-n team": f"-n {overlay}",
            }
        try:
            yield Shell(folder, variables, replacements)
        finally:
            for namespace in NAMESPACES[document]:
                kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def named_store(text: str) -> str:
    """Replace the namespace ``store``, in which the documents have a store inside the cluster."""
    assert "kubernetes.io/metadata.name: store}" in text
    return text.replace("kubernetes.io/metadata.name: store}", f"kubernetes.io/metadata.name: {STORE}}}")


@pytest.fixture(scope="module")
def empty_store(image: str) -> Iterator[None]:
    """An empty S3 store, to which the commands write the models."""
    make_store(STORE, image)
    yield
    kubectl("delete", "namespace", STORE, "--wait=false")


@pytest.fixture(scope="module")
def tutorial(empty_store: None, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The shell of somebody who follows the tutorial, with the file that it shows."""
    with opened_shell(TUTORIAL, tmp_path_factory.mktemp("tutorial"), image) as shell:
        (values,) = yaml_blocks(TUTORIAL, "3. Install it")
        (shell.checkout / "values.yaml").write_text(shell.replace(values))
        yield shell


@pytest.fixture(scope="module")
def guide(empty_store: None, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The shell of somebody who follows the guide to deployment, with an overlay beside the checkout."""
    with opened_shell(GUIDE, tmp_path_factory.mktemp("guide"), image) as shell:
        team = shell.folder / "team"
        team.mkdir()
        kustomization, patches = yaml_blocks(GUIDE, "Install with kustomize")
        (team / "kustomization.yaml").write_text(shell.replace(kustomization) + named_store(patches))
        version = (ROOT / "manifests" / "version.yaml").read_text()
        (team / "version.yaml").write_text(shell.replace(version))
        # The guide: make the namespace as above, and the Secret under another name.
        for command in steps(GUIDE):
            if command.block.section == "Namespace and credentials":
                text = re.sub(rf"(namespace|-n) {NAME}\b", r"\1 team", command.text)
                shell.run(re.sub(r"\bstore\b(?= )", f"{NAME}-store", text), shell.checkout)
        yield shell


@pytest.mark.parametrize("command", steps(TUTORIAL), ids=str)
def test_command_of_the_tutorial_prints_what_it_shows(tutorial: Shell, command: Command) -> None:
    tutorial.step(command, tutorial.checkout)


def test_tutorial_builds_and_pushes_the_image_that_the_chart_installs(tutorial: Shell, image: str) -> None:
    calls = (tutorial.folder / "docker").read_text().splitlines()
    named = image_values(image)
    name = f"{named['registry']}/{named['repository']}:{named['tag']}"
    assert any(
        call.startswith("build ") and call.endswith(f"-t {name} --target predictor .") for call in calls
    )
    assert f"push {name}" in calls


@pytest.mark.parametrize("command", steps(GUIDE), ids=str)
def test_command_of_the_guide_succeeds(guide: Shell, command: Command) -> None:
    kustomize = command.block.section == "Install with kustomize"
    guide.step(command, guide.folder / "team" if kustomize else guide.checkout)


def test_overlay_of_the_guide_serves_the_version_that_its_patch_names(guide: Shell) -> None:
    _, namespace = NAMESPACES[GUIDE]

    def is_served() -> bool:
        pods = predictor_pods(namespace, f"prices-{NAME}")
        return len(pods) == 2 and all(served_version(namespace, pod) == "1" for pod in pods)

    wait_for("two pods of version 1", is_served, 240)
    service = Service(os.environ["INGRESS"], {}, OVERLAY_HOST)
    response = service.request("POST", "/stream", {"instance": 0.05})
    assert set(response.json()) == {"prediction"}, response.content
    guide.run("kubectl delete -k .", guide.folder / "team")


def test_readme_builds_and_installs_with_commands_of_the_guide() -> None:
    readme = {command.text for command in steps("README.md")}
    assert len(readme) == 2
    assert readme <= {command.text for command in steps(GUIDE)}
