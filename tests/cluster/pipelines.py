"""Kubeflow Pipelines and a registry on the cluster, as a user and as an operator see them."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

from components.register.folders import FolderError
from components.register.index import Index, Version, open_index
from components.register.registry import Registry, open_registry
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import CommandError, Object, get, kubectl, run

KUBEFLOW = "kubeflow"
NAMESPACE = "linear-regressor-registry"
BUCKET = "mlpipeline"
DISK = "/var/tmp/linear-regressor-registry"
PASSWORD = "only-for-tests-0123456789"
REGISTRY_CREDENTIALS = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": PASSWORD}

# A volume on the oldest node, where the cluster makes none by itself; the script makes it anew, and writable.
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata:
  name: linear-regressor-registry
spec:
  capacity:
    storage: 1Gi
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  claimRef:
    namespace: {namespace}
    name: registry
  hostPath:
    path: {disk}/data
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions:
            - key: kubernetes.io/hostname
              operator: In
              values: ["{node}"]
---
apiVersion: v1
kind: Pod
metadata:
  name: linear-regressor-registry-volume
  namespace: default
spec:
  restartPolicy: Never
  nodeName: {node}
  containers:
    - name: prepare
      image: {image}
      imagePullPolicy: IfNotPresent
      command:
        - python
        - -c
        - |
          import pathlib, shutil
          shutil.rmtree("/disk/data", ignore_errors=True)
          pathlib.Path("/disk/data").mkdir()
          pathlib.Path("/disk/data").chmod(0o777)
      securityContext:
        runAsUser: 0
      volumeMounts:
        - name: disk
          mountPath: /disk
  volumes:
    - name: disk
      hostPath:
        path: {disk}
        type: DirectoryOrCreate
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: registry
  namespace: {namespace}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  resources:
    requests:
      storage: 1Gi
"""


def store_credentials() -> dict[str, str]:
    """The variables with which a pod reaches the S3 store of Kubeflow Pipelines."""
    script = "{.data.accesskey} {.data.secretkey}"
    words = kubectl("-n", KUBEFLOW, "get", "secret", "mlpipeline-minio-artifact", "-o", f"jsonpath={script}")
    key, secret = (base64.b64decode(word).decode() for word in words.split())
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://minio-service.{KUBEFLOW}:9000",
    }


@contextmanager
def store_away() -> Iterator[None]:
    """Let no pod reach the store, wherever it stands: its Service has another port."""
    service = ("-n", KUBEFLOW, "patch", "service", "minio-service", "--type=json", "-p")
    ports = get("-n", KUBEFLOW, "service", "minio-service")["spec"]["ports"]

    def listen(ports: list[Object]) -> None:
        kubectl(*service, json.dumps([{"op": "replace", "path": "/spec/ports", "value": ports}]))

    listen([{"name": "away", "port": 9}])
    try:
        yield
    finally:
        listen(ports)


def make_secret(namespace: str, name: str, **values: str) -> None:
    """Make a Secret, in place of one of the same name."""
    kubectl("-n", namespace, "delete", "secret", name, "--ignore-not-found")
    literals = (f"--from-literal={key}={value}" for key, value in values.items())
    kubectl("-n", namespace, "create", "secret", "generic", name, *literals)


def make_run_secret(namespace: str) -> None:
    """Make the Secret with which the pods of a run, and whoever starts one, reach store and registry."""
    make_secret(namespace, f"{NAME}-pipeline", **store_credentials(), **REGISTRY_CREDENTIALS)


def install_registry(image: str, registry_image: str) -> None:
    """Install the chart's MLflow, with users and its database on a volume; an old one is gone first."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("delete", "pv", "linear-regressor-registry", "--ignore-not-found")
    kubectl("-n", "default", "delete", "pod", "linear-regressor-registry-volume", "--ignore-not-found")
    kubectl("create", "namespace", NAMESPACE)
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    oldest = min(get("nodes")["items"], key=lambda node: str(node["metadata"]["creationTimestamp"]))
    node = oldest["metadata"]["labels"]["kubernetes.io/hostname"]
    volume = VOLUME.format(namespace=NAMESPACE, disk=DISK, node=node, image=image)
    kubectl("apply", "-f", "-", stdin=volume)
    prepared = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("-n", "default", "wait", prepared, "pod/linear-regressor-registry-volume", "--timeout=120s")
    store = store_credentials()
    users = {"username": "admin", "password": PASSWORD, "secret-key": PASSWORD}
    make_secret(NAMESPACE, f"{NAME}-mlflow-authentication", **users)
    make_secret(NAMESPACE, f"{NAME}-mlflow-store", **store)
    make_run_secret(KUBEFLOW)
    repository, _, tag = registry_image.rpartition(":")
    settings = {
        "mlflow.enabled": "true",
        "mlflow.authentication.enabled": "true",
        "mlflow.image.repository": repository,
        "mlflow.image.tag": tag,
        "mlflow.volume.claimName": "registry",
        "networkPolicy.store.port": "9000",
    }
    chosen = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    chart = str(ROOT / "helm" / NAME)
    only = ("--show-only", "templates/mlflow.yaml")
    kubectl("apply", "-f", "-", stdin=run("helm", "template", NAME, chart, "-n", NAMESPACE, *only, *chosen))
    kubectl("-n", NAMESPACE, "rollout", "status", f"deploy/{NAME}-mlflow", "--timeout=300s", timeout=310)


@contextmanager
def forwarded(namespace: str = NAMESPACE) -> Iterator[str]:
    """The registry's address on this machine, whichever pod it has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["kubectl", "-n", namespace, "port-forward", f"svc/{NAME}-mlflow", f"{port}:5000"]
    ended, standing = Event(), Event()
    processes: list[subprocess.Popen[str]] = []

    def forward() -> None:
        # It ends with the pod that it leads to.
        while not ended.wait(0.2):
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as one:
                processes.append(one)
                for line in one.stdout or ():
                    if line.startswith("Forwarding"):
                        standing.set()

    thread = Thread(target=forward, daemon=True)
    thread.start()
    try:
        assert standing.wait(60), f"{' '.join(command)} leads nowhere"
        yield f"http://127.0.0.1:{port}"
    finally:
        ended.set()
        for process in processes:
            process.terminate()
        thread.join(10)


@dataclass
class Pipelines:
    """The pipeline on the cluster.

    Attributes:
        host: of Kubeflow Pipelines.
        image: of the steps.
        root: where the models are.
        address: of the registry, on this machine.
        tracking_uri: the registry's address in the cluster.
    """

    host: str
    image: str
    root: str
    address: str
    tracking_uri: str = f"http://{NAME}-mlflow.{NAMESPACE}:5000"

    def command(self, name: str, *words: str) -> list[str]:
        """One of the commands of pipeline.py."""
        return [sys.executable, str(ROOT / "pipeline.py"), name, "--host", self.host, *words]

    def start(
        self, *params: str, name: str = "submit", options: tuple[str, ...] = ()
    ) -> "subprocess.Popen[str]":
        """Start a command that starts runs; a later parameter wins over an earlier one.

        The models of the tests know different features: a champion that can't be compared is kept.
        """
        where = [f"registry_root={self.root}", f"tracking_uri={self.tracking_uri}"]
        given = [*where, "incomparable=keep", *params]
        words = [word for text in given for word in ("--param", text)]
        place = ("--image", self.image, "--pipeline-root", f"s3://{BUCKET}/runs")
        command = self.command(name, *place, *words, *options)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def submit(self, *params: str, status: int = 0, options: tuple[str, ...] = ()) -> str:
        """Run the pipeline to its end, which is the command's; returns what it said."""
        process = self.start(*params, options=options)
        said, _ = process.communicate(timeout=1500)
        assert process.returncode == status, said
        return said

    @property
    def registry(self) -> Registry:
        """The registry, read from this machine."""
        return open_registry(self.root, self.address)

    @property
    def index(self) -> Index:
        """The registry's index."""
        return open_index(self.address, NAME, None)

    def version(self, run: str) -> Version:
        """The version that a run made."""
        return next(version for version in self.index.latest() if version.tags["run_id"] == run)

    def champion(self) -> Version:
        """The champion, after its folder in the store was read and verified."""
        champion = self.registry.champion()
        assert champion is not None
        self.registry.entry(champion)
        return champion


def run_id(said: str) -> str:
    """The id of the run that a command says it started."""
    return next(line.split()[1] for line in said.splitlines() if line.startswith("run "))


def workers(run: str, phase: str = "Running") -> list[tuple[str, str]]:
    """The pods of a run's steps that are in a phase: step and pod."""
    found = []
    for pod in get("-n", KUBEFLOW, "pods", "-l", f"pipeline/runid={run}")["items"]:
        path = pod["metadata"]["annotations"].get("workflows.argoproj.io/node-name", "").split(".")
        if path[-1].startswith("executor") and pod["status"]["phase"] == phase:
            found.append((path[-2], pod["metadata"]["name"]))
    return found


def is_at(run: str, step: str, phase: str = "Running") -> bool:
    """Whether a pod of a run's step is in a phase."""
    return any(name == step for name, _ in workers(run, phase))


def kill_each_step_once(process: "subprocess.Popen[str]", run: str) -> list[str]:
    """Kill what runs in the first pod of every step, until the command that follows the run ends."""
    killed: list[str] = []
    program = "import os, signal; os.kill(-1, signal.SIGKILL)"
    while process.poll() is None:
        for step, pod in workers(run):
            if step not in killed:
                try:
                    kubectl(
                        "-n", KUBEFLOW, "exec", pod, "-c", "main", "--", "python", "-c", program, timeout=30
                    )
                except CommandError as error:
                    # The exec is killed with the rest; a container that isn't there yet is tried again.
                    if "137" not in str(error) and "SIGKILL" not in str(error):
                        continue
                killed.append(step)
        time.sleep(0.3)
    return killed


@contextmanager
def watched(pipelines: Pipelines) -> Iterator[list[str]]:
    """Read and verify the champion all the time; what is wrong with it, or None, goes into the list."""
    problems: list[str] = []
    reads, ended = [0], Event()

    def watch() -> None:
        while not ended.wait(0.5):
            try:
                pipelines.champion()
                reads[0] += 1
            except (AssertionError, FolderError) as error:
                problems.append(repr(error))

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield problems
    finally:
        ended.set()
        thread.join(60)
    assert reads[0] > 0, "the champion was never read"


@contextmanager
def installed(kubeflow: str, store: str, image: str, registry_image: str) -> Iterator[Pipelines]:
    """An empty registry and an empty place for models, which this machine reaches too."""
    install_registry(image, registry_image)
    with pytest.MonkeyPatch.context() as patch, forwarded() as address:
        for name, value in environment(store).items():
            patch.setenv(name, value)
        yield Pipelines(kubeflow, image, f"s3://{BUCKET}/tests-{uuid.uuid4().hex[:8]}", address)
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def environment(store: str) -> dict[str, str]:
    """The variables with which this machine reaches the store and the registry."""
    return {**store_credentials(), **REGISTRY_CREDENTIALS, "AWS_ENDPOINT_URL": store}


NEEDED = ("PIPELINES", "S3", "PIPELINE_IMAGE", "REGISTRY_IMAGE")
MISSING = ", ".join(name for name in NEEDED if not os.environ.get(name))
needs_pipelines = pytest.mark.skipif(
    bool(MISSING), reason=f"LEFT OUT, no pipeline ran on a cluster: {MISSING} not set (docs/pipelines.md)"
)


def write_shards(folder: Path, root: str, count: int) -> tuple[Path, str]:
    """Write the diabetes data as one file on this machine and as several in the store; returns both."""
    import fsspec
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(folder / "whole.csv", index=False)
    files, path = fsspec.core.url_to_fs(f"{root}/shards")
    for number in range(count):
        part = frame.iloc[number * len(frame) // count : (number + 1) * len(frame) // count]
        files.pipe_file(f"{path}/{number}.csv", part.to_csv(index=False).encode())
    return folder / "whole.csv", f"{root}/shards/*.csv"
