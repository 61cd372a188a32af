"""A cluster with KServe, named by ``KUBECONFIG``, ``INGRESS`` (the gateway's address) and the images' names.

``PREDICTOR_IMAGE`` and ``PREDICTOR_IMAGE_NEXT`` (the same or a newer one under another name) are images that
the nodes have or can pull; the store runs from the first. ``make e2e`` sets them.
"""

import dataclasses
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from predictor.model import artifact
from tests.cluster.installers import (
    NAME,
    NAMESPACE,
    ROOT,
    STORE,
    Helm,
    Installer,
    Kustomize,
    Settings,
    remains,
)
from tests.cluster.kube import CommandError, get, kubectl, run, wait_for
from tests.cluster.pipelines import NEEDED as PIPELINES_NEEDED
from tests.cluster.pipelines import Pipelines
from tests.cluster.pipelines import installed as installed_pipelines
from tests.cluster.service import Service, X

HERE = Path(__file__).parent
NEEDED = ("KUBECONFIG", "INGRESS", "PREDICTOR_IMAGE", "PREDICTOR_IMAGE_NEXT")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a cluster where none is named, and say so."""
    missing = [name for name in NEEDED if not os.environ.get(name)]
    why = f"LEFT OUT, nothing was tried on a cluster: {', '.join(missing)} not set (docs/deployment.md)"
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))
            if missing:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is the pipeline's; 2 and 3 differ in a weight; of another a file was changed afterwards."""
    place = tmp_path_factory.mktemp("pipeline")
    said = run(sys.executable, str(ROOT / "pipeline.py"), "run", "--local", str(place))
    champion = next(line.split()[1] for line in said.splitlines() if line.startswith("Champion: "))
    root = tmp_path_factory.mktemp("store") / "models" / NAME
    shutil.copytree(champion, root / "1")
    model, _ = artifact.read(root / "1")
    for version, change in (("2", 2.0), ("3", 3.0), ("broken", 4.0)):
        weights = tuple(weight + change for weight in model.weights)
        artifact.write(dataclasses.replace(model, weights=weights), root / version)
    with (root / "broken" / artifact.MODEL_FILE).open("a") as file:
        file.write(" ")
    return root


@pytest.fixture(scope="session")
def image() -> str:
    """The predictor's image."""
    return os.environ["PREDICTOR_IMAGE"]


@pytest.fixture(scope="session")
def next_image() -> str:
    """Another name of a predictor's image."""
    return os.environ["PREDICTOR_IMAGE_NEXT"]


def _namespace(name: str) -> None:
    """Make a namespace anew, in which Pod Security's level ``restricted`` is enforced."""
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")


def put(namespace: str, folders: Mapping[str, Path]) -> None:
    """Copy folders into a store, each to a place that begins with the name of a bucket."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for place, folder in folders.items():
            tar.add(folder, arcname=place)
    unpack = (
        "import sys, tarfile\n"
        "tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/data', filter='data')"
    )
    program = ("--", "python", "-c", unpack)
    kubectl("-n", namespace, "exec", "-i", "deploy/store", *program, stdin=packed.getvalue())


def make_store(namespace: str, image: str) -> None:
    """Make an empty S3 store, in a namespace of its own."""
    _namespace(namespace)
    kubectl("-n", namespace, "create", "configmap", "store", f"--from-file={HERE / 'store.py'}")
    oldest = min(get("nodes")["items"], key=lambda node: str(node["metadata"]["creationTimestamp"]))
    node = oldest["metadata"]["labels"]["kubernetes.io/hostname"]
    manifest = (HERE / "store.yaml").read_text().replace("STORE_IMAGE", image).replace("STORE_NODE", node)
    kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    kubectl("-n", namespace, "rollout", "status", "deploy/store", "--timeout=120s", timeout=130)


@pytest.fixture(scope="session")
def store(image: str, models: Path) -> None:
    """An S3 store with the versions."""
    make_store(STORE, image)
    put(STORE, {f"models/{NAME}": models})


@pytest.fixture(scope="session")
def namespace(store: None) -> str:
    """The namespace of the deployment, with the Secret of the store's credentials."""
    _namespace(NAMESPACE)
    make_credentials(NAMESPACE, STORE)
    return NAMESPACE


def make_credentials(namespace: str, store: str) -> None:
    """Make the Secret with which KServe reaches a store."""
    keys = ("--from-literal=AWS_ACCESS_KEY_ID=tests", "--from-literal=AWS_SECRET_ACCESS_KEY=tests")
    kubectl("-n", namespace, "create", "secret", "generic", STORE, *keys)
    endpoint = (f"s3-endpoint=store.{store}:9000", "s3-usehttps=0", "s3-region=us-east-1")
    kubectl(
        "-n", namespace, "annotate", "secret", STORE, *(f"serving.kserve.io/{entry}" for entry in endpoint)
    )


@pytest.fixture(scope="module", params=["helm", "kustomize"])
def installer(
    request: pytest.FixtureRequest, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installer]:
    """Each way to install, and nothing left of it afterwards."""
    chosen: Installer = Helm() if request.param == "helm" else Kustomize(tmp_path_factory.mktemp("overlay"))
    yield chosen
    with suppress(CommandError, FileNotFoundError):
        chosen.remove()
    wait_for("an empty namespace", lambda: not remains() and not get("-n", namespace, "pods")["items"], 120)


@pytest.fixture(scope="module")
def service(models: Path) -> Service:
    """What a client and an operator see."""
    predictions = {
        version: float(artifact.read(models / version)[0].predict(np.array([[X]]))[0])
        for version in ("1", "2", "3")
    }
    return Service(os.environ["INGRESS"], predictions)


@pytest.fixture(scope="module")
def installed(installer: Installer, service: Service, image: str) -> Settings:
    """Version 1, installed and settled with two pods."""
    settings = Settings(image)
    installer.apply(settings)
    service.settle("1", pods=2)
    return settings


@pytest.fixture(scope="module")
def pipelines() -> Iterator[Pipelines]:
    """An empty registry, an empty place for models, and the address of Kubeflow Pipelines."""
    with installed_pipelines(*(os.environ[name] for name in PIPELINES_NEEDED)) as made:
        yield made
