"""``make deploy`` keeps a release that answers at its public address, and rolls back one that does not."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from delivery.deploy import ROLLED_BACK
from tests.cluster.installers import (
    NAME,
    NAMESPACE,
    ROOT,
    Helm,
    Settings,
    namespace_is_empty,
    render_template,
)
from tests.cluster.kube import CommandError, Object, kubectl, run, wait_for
from tests.cluster.service import Service

pytestmark = pytest.mark.short


@pytest.fixture(scope="module")
def values(image: str, namespace: str, service: Service) -> Iterator[Object]:
    """The values of a release that was deployed and serves version 1."""
    helm = Helm()
    installed = helm.values(Settings(image))
    helm.apply(Settings(image))
    service.wait_for_version("1", pods=2)
    yield installed
    with suppress(CommandError, FileNotFoundError):
        helm.remove()
    wait_for("an empty namespace", namespace_is_empty, 120)


def deploy(
    folder: Path, values: Object, version: str, service: Service, wait: int
) -> "subprocess.CompletedProcess[str]":
    """Deploy the chart with values, expecting a version of the model at the gateway."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    command = [sys.executable, "-m", "delivery", "deploy", "--release-name", NAME, "--namespace", NAMESPACE]
    command += ["--chart", str(ROOT / "helm" / NAME), "--values", str(file), "--url", service.ingress]
    command += ["--host", service.host, "--grpc", service.ingress, "--grpc-host", f"grpc.{service.host}"]
    command += ["--version", version, "--wait", str(wait), "--latency", "5000"]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def serving(values: Object, version: str) -> Object:
    """Return the values with another version of the model."""
    uri = values["model"]["storageUri"].rstrip("/").rpartition("/")[0]
    return {**values, "model": {**values["model"], "storageUri": f"{uri}/{version}/"}}


def deployed_revision() -> int:
    """Return the revision that helm calls deployed."""
    history: list[Object] = json.loads(run("helm", "history", NAME, "-n", NAMESPACE, "-o", "json"))
    return int(next(entry["revision"] for entry in history if entry["status"] == "deployed"))


def test_a_release_that_passes_is_kept(values: Object, service: Service, tmp_path: Path) -> None:
    done = deploy(tmp_path, serving(values, "2"), "2", service, wait=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 checks passed" in done.stdout
    assert deployed_revision() == 2


def test_a_release_whose_pods_never_start_is_rolled_back(
    values: Object, service: Service, tmp_path: Path
) -> None:
    done = deploy(tmp_path, serving(values, "broken"), "broken", service, wait=60)
    assert done.returncode == ROLLED_BACK, done.stdout + done.stderr
    assert "version 2 answers, not broken" in done.stderr
    assert deployed_revision() == 4
    service.wait_for_version("2", pods=2)


def test_a_release_that_serves_and_answers_wrongly_is_rolled_back(
    values: Object, service: Service, tmp_path: Path
) -> None:
    limited = {**serving(values, "3"), "extraEnv": [{"name": "PREDICTOR_MAX_ROWS", "value": "1"}]}
    done = deploy(tmp_path, limited, "3", service, wait=300)
    assert done.returncode == ROLLED_BACK, done.stdout + done.stderr
    assert "FAIL  /batch" in done.stdout
    service.wait_for_version("2", pods=2)


@pytest.fixture
def policy(values: Object) -> Iterator[str]:
    """The chart's policy for the registry s3://prices, applied."""
    content = {**values, "model": {**values["model"], "registryRoot": "s3://prices"}}
    objects = render_template("registry-root", NAMESPACE, content)
    kubectl("apply", "-f", "-", stdin=objects)
    yield "s3://prices/models/"
    kubectl("delete", "-f", "-", stdin=objects)


def test_only_versions_of_the_registry_are_admitted(policy: str) -> None:
    def problem(uri: str) -> str:
        patch = json.dumps({"spec": {"predictor": {"model": {"storageUri": uri}}}})
        dry = ("--type=merge", "--dry-run=server", "-p", patch)
        try:
            kubectl("-n", NAMESPACE, "patch", "inferenceservice", NAME, *dry)
        except CommandError as error:
            return str(error)
        return ""

    refusal = f"must be a folder below {policy}"
    # A policy counts a moment after it was made.
    wait_for("the policy", lambda: refusal in problem("s3://elsewhere/models/x/2/"), 60)
    assert refusal in problem(f"{policy}../elsewhere/2/")
    assert problem(f"{policy}{NAME}/2/") == ""
