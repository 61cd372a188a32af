"""Run the pipeline on the cluster's Kubeflow Pipelines, with a registry in the cluster."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

from components.registry.folders import FolderError
from components.registry.index import Index, Version, open_index
from components.registry.registry import Registry, open_registry
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import CommandError, get, kubectl, wait_for
from tests.cluster.registry import (
    BUCKET,
    KUBEFLOW,
    NAMESPACE,
    forwarded_registry,
    install_registry,
    local_variables,
)

REQUIRED = ("PIPELINES", "S3", "PIPELINE_IMAGE", "REGISTRY_IMAGE")
MISSING = ", ".join(name for name in REQUIRED if not os.environ.get(name))
needs_pipelines = pytest.mark.skipif(
    bool(MISSING), reason=f"LEFT OUT, no pipeline ran on a cluster: {MISSING} not set (docs/pipelines.md)"
)


@dataclass
class Pipelines:
    """The pipeline on the cluster.

    Attributes:
        host: the address of Kubeflow Pipelines.
        image: the image of the steps.
        root: the URI under which models are stored.
        address: the registry's address on this machine.
        tracking_uri: the registry's address in the cluster.
    """

    host: str
    image: str
    root: str
    address: str
    tracking_uri: str = f"http://{NAME}-mlflow.{NAMESPACE}:5000"

    def command(self, name: str, *words: str) -> list[str]:
        """Return the command line of a command of pipeline.py."""
        return [sys.executable, str(ROOT / "pipeline.py"), name, "--host", self.host, *words]

    def start(
        self, *params: str, name: str = "submit", options: tuple[str, ...] = ()
    ) -> "subprocess.Popen[str]":
        """Start a command that starts runs; a later parameter overrides an earlier one.

        The tests' models have different features, so a champion that can't be compared is kept.
        """
        registry = [f"registry_root={self.root}", f"tracking_uri={self.tracking_uri}"]
        by_name = {param.partition("=")[0]: param for param in (*registry, "incomparable=keep", *params)}
        words = [word for param in by_name.values() for word in ("--param", param)]
        location = ("--image", self.image, "--pipeline-root", f"s3://{BUCKET}/runs")
        command = self.command(name, *location, *words, *options)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def submit(self, *params: str, status: int = 0, options: tuple[str, ...] = ()) -> str:
        """Run the pipeline to its end and return the command's output."""
        process = self.start(*params, options=options)
        output, _ = process.communicate(timeout=1500)
        assert process.returncode == status, output
        return output

    @property
    def registry(self) -> Registry:
        """The registry, read from this machine."""
        return open_registry(self.root, self.address)

    @property
    def index(self) -> Index:
        """The registry's index."""
        return open_index(self.address, NAME, None)

    def version(self, run: str) -> Version:
        """Return the version that a run registered."""
        return next(version for version in self.index.latest() if version.tags["run_id"] == run)

    def champion(self) -> Version:
        """Return the champion after reading and verifying its folder in the store."""
        champion = self.registry.champion()
        assert champion is not None
        self.registry.entry(champion)
        return champion


def run_id(output: str) -> str:
    """Return the id of the run that a command started, from its output."""
    return next(line.split()[1] for line in output.splitlines() if line.startswith("run "))


def read_run_id(process: "subprocess.Popen[str]") -> str:
    """Read a command's output up to the id of the run that it started."""
    assert process.stdout is not None
    return run_id(next(line for line in process.stdout if line.startswith("run ")))


def step_pods(run: str, phase: str = "Running") -> list[tuple[str, str]]:
    """Return the step and the pod's name for each of a run's pods in a phase."""
    found = []
    for pod in get("-n", KUBEFLOW, "pods", "-l", f"pipeline/runid={run}")["items"]:
        path = pod["metadata"]["annotations"].get("workflows.argoproj.io/node-name", "").split(".")
        if path[-1].startswith("executor") and pod["status"]["phase"] == phase:
            found.append((path[-2], pod["metadata"]["name"]))
    return found


def wait_for_step(run: str, step: str, phase: str = "Running", pause: float = 0.2) -> None:
    """Wait until a pod of a run's step is in a phase."""
    wait_for(f"{step} {phase}", lambda: any(name == step for name, _ in step_pods(run, phase)), 600, pause)


def kill_each_step_once(process: "subprocess.Popen[str]", run: str) -> list[str]:
    """Kill the processes in each step's first pod until the command that follows the run ends."""
    killed: list[str] = []

    def kill_new_steps() -> bool:
        for step, pod in step_pods(run):
            if step not in killed and _kill_processes(pod):
                killed.append(step)
        return process.poll() is not None

    wait_for("the run to end", kill_new_steps, 1500, pause=0.3)
    return killed


def _kill_processes(pod: str) -> bool:
    """Kill all processes of a step's pod; returns False if its container does not run yet."""
    program = "import os, signal; os.kill(-1, signal.SIGKILL)"
    command = ("exec", pod, "-c", "main", "--", "python", "-c", program)
    try:
        kubectl("-n", KUBEFLOW, *command, timeout=30)
    except CommandError as error:
        # The signal also kills the exec itself.
        return "137" in str(error) or "SIGKILL" in str(error)
    return True


@contextmanager
def verified_champion(pipelines: Pipelines) -> Iterator[list[str]]:
    """Read and verify the champion continuously; yields the list of problems found."""
    problems: list[str] = []
    reads, ended = [0], Event()

    def verify() -> None:
        while not ended.wait(0.5):
            try:
                pipelines.champion()
                reads[0] += 1
            except (AssertionError, FolderError) as error:
                problems.append(repr(error))

    thread = Thread(target=verify, daemon=True)
    thread.start()
    try:
        yield problems
    finally:
        ended.set()
        thread.join(60)
    assert reads[0] > 0, "the champion was never read"


@contextmanager
def installed_pipelines(kubeflow: str, store: str, image: str, registry_image: str) -> Iterator[Pipelines]:
    """Install an empty registry, choose an empty root for models, and make both reachable from here."""
    install_registry(image, registry_image)
    with pytest.MonkeyPatch.context() as patch, forwarded_registry() as address:
        for name, value in local_variables(store).items():
            patch.setenv(name, value)
        yield Pipelines(kubeflow, image, f"s3://{BUCKET}/tests-{uuid.uuid4().hex[:8]}", address)
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def write_shards(folder: Path, root: str, count: int) -> tuple[Path, str]:
    """Write the diabetes data to one local file and to ``count`` files in the store; returns both paths."""
    import fsspec
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(folder / "whole.csv", index=False)
    files, path = fsspec.core.url_to_fs(f"{root}/shards")
    for number in range(count):
        part = frame.iloc[number * len(frame) // count : (number + 1) * len(frame) // count]
        files.pipe_file(f"{path}/{number}.csv", part.to_csv(index=False).encode())
    return folder / "whole.csv", f"{root}/shards/*.csv"
