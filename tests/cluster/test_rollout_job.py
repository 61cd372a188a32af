"""The rollout job on a cluster, under steady load: what it brings, what it takes back, and what it survives.

The job runs as its own ServiceAccount. Versions 4, 5 and 6 have faults when they are served as a canary,
which come from a script of the tests.
"""

import dataclasses
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from components.register.index import CHAMPION
from components.register.registry import Registry, open_registry
from predictor import artifact
from tests.cluster import rollouts
from tests.cluster.conftest import _namespace
from tests.cluster.installers import NAME, STORE
from tests.cluster.kube import CommandError, get, kubectl, wait_for
from tests.cluster.load import Load
from tests.cluster.rollouts import CANARY, HOST, NAMESPACE, OWN_STORE, REGISTRY, Job

HERE = Path(__file__).parent
X = 0.05
# Factors of the first version's weights: 7 is far off, the others are near.
FACTORS = {1: 1.0, 2: 1.01, 3: 1.02, 4: 1.03, 5: 1.04, 6: 1.05, 7: 9.0, 8: 1.06, 9: 1.07, 10: 1.08}
DAMAGED = 3


@pytest.fixture(scope="module")
def versions(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, str, str]]:
    """For each version its folder, its digest and what it answers for X; of one a file was changed."""
    first, _ = artifact.read(models / "1")
    root, made = tmp_path_factory.mktemp("versions"), {}
    for number, factor in FACTORS.items():
        model = dataclasses.replace(first, weights=tuple(weight * factor for weight in first.weights))
        digest = artifact.write(model, root / str(number))
        value = float(model.predict(np.array([[X]]))[0])
        made[number] = (root / str(number), digest, f'{{"prediction":{value!r}}}')
    with (root / str(DAMAGED) / artifact.MODEL_FILE).open("a") as file:
        file.write(" ")
    return made


@pytest.fixture(scope="module")
def job(
    image: str, versions: dict[int, tuple[Path, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Job]:
    """Version 1 is served and champion; the canary's runtime has the faults of the tests."""
    _store(image, versions)
    _namespace(NAMESPACE)
    keys = ("--from-literal=AWS_ACCESS_KEY_ID=tests", "--from-literal=AWS_SECRET_ACCESS_KEY=tests")
    kubectl("-n", NAMESPACE, "create", "secret", "generic", STORE, *keys)
    endpoint = (f"s3-endpoint=store.{OWN_STORE}:9000", "s3-usehttps=0", "s3-region=us-east-1")
    kubectl("-n", NAMESPACE, "annotate", "secret", STORE, *(f"serving.kserve.io/{word}" for word in endpoint))
    rollouts.install(image)
    _put_faults()
    folder = tmp_path_factory.mktemp("job")
    rollouts.credentials(folder)
    registry = _registry(folder)
    with registry._index.exclusive():
        registry._index.create_model()
    for number, (_, digest, _) in versions.items():
        registry._index.create(f"{REGISTRY}/models/{NAME}/{number}", {"digest": digest})
    registry._index.point(CHAMPION, 1)
    made = Job(folder, {str(number): answer for number, (_, _, answer) in versions.items()})
    made.run("promote")
    yield made
    kubectl("delete", "namespace", NAMESPACE, OWN_STORE, "--wait=false")
    for kind in ("validatingadmissionpolicy", "validatingadmissionpolicybinding"):
        for policy in ("rollout", "owner"):
            kubectl("delete", kind, f"{policy}.{NAME}.{NAMESPACE}", "--ignore-not-found")


def _store(image: str, versions: dict[int, tuple[Path, str, str]]) -> None:
    _namespace(OWN_STORE)
    kubectl("-n", OWN_STORE, "create", "configmap", "store", f"--from-file={HERE / 'store.py'}")
    oldest = min(get("nodes")["items"], key=lambda node: str(node["metadata"]["creationTimestamp"]))
    node = oldest["metadata"]["labels"]["kubernetes.io/hostname"]
    manifest = (HERE / "store.yaml").read_text().replace("STORE_IMAGE", image).replace("STORE_NODE", node)
    kubectl("-n", OWN_STORE, "apply", "-f", "-", stdin=manifest)
    kubectl("-n", OWN_STORE, "rollout", "status", "deploy/store", "--timeout=120s", timeout=130)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number, (folder, _, _) in versions.items():
            tar.add(folder, arcname=f"registry/models/{NAME}/{number}")
    unpack = (
        "import sys, tarfile\n"
        "tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/data', filter='data')"
    )
    kubectl(
        "-n", OWN_STORE, "exec", "-i", "deploy/store", "--", "python", "-c", unpack, stdin=packed.getvalue()
    )


def _put_faults() -> None:
    kubectl("-n", NAMESPACE, "create", "configmap", "faults", f"--from-file={HERE / 'faulty.py'}")
    volume = {"name": "faults", "configMap": {"name": "faults"}}
    mount = {"name": "faults", "mountPath": "/faults"}
    patch = [
        {"op": "add", "path": "/spec/volumes/-", "value": volume},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": mount},
        {"op": "add", "path": "/spec/containers/0/command", "value": ["python", "/faults/faulty.py"]},
    ]
    kubectl("-n", NAMESPACE, "patch", "servingruntime", CANARY, "--type=json", "-p", json.dumps(patch))


def _registry(folder: Path) -> Registry:
    return open_registry(REGISTRY, f"sqlite:///{folder / 'mlflow.db'}", NAME)


@pytest.fixture
def registry(job: Job) -> Registry:
    """The job's registry."""
    return _registry(job.folder)


@pytest.fixture
def load(job: Job) -> Load:
    """A steady client behind the gateway, which takes the answer of any sound version for right."""
    right = {answer.encode() for answer in job.predictions.values()}
    body = json.dumps({"instance": X}).encode()
    return Load(os.environ["INGRESS"], HOST, "/stream", body, lambda content: content in right, pause=0.002)


def make_champion(registry: Registry, number: int) -> None:
    """Make a version champion, as the gate does."""
    before = registry.champion()
    assert before
    registry._index.tag(number, "previous_champion", str(before.number))
    registry._index.point(CHAMPION, number)


def champion(registry: Registry) -> int:
    found = registry.champion()
    assert found
    return found.number


def test_a_promotion_costs_no_request(job: Job, registry: Registry, load: Load) -> None:
    make_champion(registry, 2)
    with load:
        said = job.run("promote")
        load.reach(2000)
    assert not load.failures, load.failures[:5]
    assert set(load.answers) == {job.predictions["1"], job.predictions["2"]}
    assert rollouts.served() == {"2"}
    assert "every pod serves version 2" in said
    assert "Promoted: every pod serves version 2" in rollouts.events()
    service = get("-n", NAMESPACE, "inferenceservice", NAME)
    assert service["metadata"]["annotations"]["linear-regressor/model-version"] == "2"
    assert service["spec"]["predictor"]["model"]["storageUri"].endswith("/2")


def test_a_rollback_takes_less_than_a_minute_and_stays(job: Job, registry: Registry, load: Load) -> None:
    with load:
        begun = time.monotonic()
        said = job.run("rollback", "--reason", "it was only a test")
        seconds = time.monotonic() - begun
    print(f"rolled back in {seconds:.1f} s")
    assert rollouts.served() == {"1"}, "until no pod serves the other one, those that end included"
    assert seconds < 60, said
    assert not load.failures, load.failures[:5]
    assert champion(registry) == 1
    assert registry.version(2).withdrawn == "it was only a test"
    assert "every pod serves version 1" in job.run("reconcile")
    assert rollouts.served() == {"1"}
