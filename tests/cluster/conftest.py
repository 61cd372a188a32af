"""A cluster with KServe, named by ``KUBECONFIG``, ``INGRESS`` (the gateway's address) and the images' names.

``PREDICTOR_IMAGE`` and ``PREDICTOR_IMAGE_NEXT`` (the same or a newer one under another name) are images that
the nodes have or can pull; the store runs from the first. ``make e2e`` sets them.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from components.registry.registry import Registry, open_registry
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
    namespace_is_empty,
)
from tests.cluster.kube import CommandError, run, wait_for
from tests.cluster.load import Load
from tests.cluster.pipelines import REQUIRED as PIPELINES_REQUIRED
from tests.cluster.pipelines import Pipelines, installed_pipelines
from tests.cluster.resources import damage, make_namespace, make_store, make_store_secret, upload
from tests.cluster.rollout_install import installed_job, write_versions
from tests.cluster.rollout_job import HOST, REGISTRY, Job
from tests.cluster.service import Service, X
from tests.support.models import scaled

HERE = Path(__file__).parent
REQUIRED = ("KUBECONFIG", "INGRESS", "PREDICTOR_IMAGE", "PREDICTOR_IMAGE_NEXT")


def pytest_configure(config: pytest.Config) -> None:
    """Run the tests in the order of their files: each module takes one installation through its changes."""
    config.option.randomly_reorganize = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests, and say so, if no cluster is named."""
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    reason = f"LEFT OUT, nothing was tried on a cluster: {', '.join(missing)} not set (docs/deployment.md)"
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))
            if missing:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 from the pipeline, 2 and 3 with other weights, and one whose file was changed afterwards."""
    runs = tmp_path_factory.mktemp("pipeline")
    output = run(sys.executable, str(ROOT / "pipeline.py"), "run", "--local", str(runs))
    champion = next(line.split()[1] for line in output.splitlines() if line.startswith("Champion: "))
    root = tmp_path_factory.mktemp("store") / "models" / NAME
    shutil.copytree(champion, root / "1")
    model, _ = artifact.read(root / "1")
    for version, change in (("2", 2.0), ("3", 3.0), ("broken", 4.0)):
        artifact.write(scaled(model, 1.0, change), root / version)
    damage(root / "broken")
    return root


@pytest.fixture(scope="session")
def image() -> str:
    """The predictor's image."""
    return os.environ["PREDICTOR_IMAGE"]


@pytest.fixture(scope="session")
def next_image() -> str:
    """The predictor's image under another name."""
    return os.environ["PREDICTOR_IMAGE_NEXT"]


@pytest.fixture(scope="session")
def store(image: str, models: Path) -> None:
    """An S3 store with the model versions."""
    make_store(STORE, image)
    upload(STORE, {f"models/{NAME}": models})


@pytest.fixture(scope="session")
def namespace(store: None) -> str:
    """The namespace of the installation, with the Secret for the store."""
    make_namespace(NAMESPACE)
    make_store_secret(NAMESPACE, STORE)
    return NAMESPACE


@pytest.fixture(scope="module", params=["helm", "kustomize"])
def installer(
    request: pytest.FixtureRequest, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installer]:
    """Each way to install; the installation is removed afterwards."""
    chosen: Installer = Helm() if request.param == "helm" else Kustomize(tmp_path_factory.mktemp("overlay"))
    yield chosen
    with suppress(CommandError, FileNotFoundError):
        chosen.remove()
    wait_for("an empty namespace", namespace_is_empty, 120)


@pytest.fixture(scope="module")
def service(models: Path) -> Service:
    """The predictor as clients and operators see it."""
    predictions = {
        version: float(artifact.read(models / version)[0].predict(np.array([[X]]))[0])
        for version in ("1", "2", "3")
    }
    return Service(os.environ["INGRESS"], predictions)


@pytest.fixture(scope="module")
def installed(installer: Installer, service: Service, image: str) -> Settings:
    """Version 1, installed and served by two pods."""
    settings = Settings(image)
    installer.apply(settings)
    service.wait_for_version("1", pods=2)
    return settings


@pytest.fixture(scope="module")
def pipelines() -> Iterator[Pipelines]:
    """An empty registry, an empty root for models, and the address of Kubeflow Pipelines."""
    with installed_pipelines(*(os.environ[name] for name in PIPELINES_REQUIRED)) as installed:
        yield installed


@pytest.fixture(scope="session")
def job(image: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The rollout job with its own installation, store and registry; version 1 is champion and served."""
    versions = write_versions(models / "1", tmp_path_factory.mktemp("versions"))
    with installed_job(image, versions, tmp_path_factory.mktemp("job")) as installed:
        installed.run("promote")
        yield installed


@pytest.fixture
def job_registry(job: Job) -> Registry:
    """The rollout job's registry."""
    return open_registry(REGISTRY, job.address, NAME)


@pytest.fixture
def job_load(job: Job) -> Load:
    """A steady client of the job's installation that accepts the response of every version."""
    expected = {response.encode() for response in job.responses.values()}
    body = json.dumps({"instance": X}).encode()
    ingress = os.environ["INGRESS"]
    return Load(ingress, HOST, "/stream", body, lambda content: content in expected, pause=0.002)
