"""The API server refuses versions outside of the registry, with the policy of the chart or of kustomize."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.installers import ROOT
from tests.cluster.kube import CommandError, Object, kubectl, run, wait_for

NAMESPACE = "registry-root"
MODELS = "s3://prices/models/linear-regressor"
GOOD = {"storageUri": f"{MODELS}/1/"}


def rendered_by_helm() -> str:
    """Return the objects of the chart."""
    values = ["image.registry=registry.example.com", "storage.withoutSecret=true"]
    values += [f"model.storageUri={MODELS}/1/", "model.registryRoot=s3://prices"]
    options = ["--kube-version", "1.34.0", *(word for value in values for word in ("--set", value))]
    return run("helm", "template", "prices", str(ROOT / "helm/linear-regressor"), "-n", NAMESPACE, *options)


def rendered_by_kustomize(folder: Path) -> str:
    """Return the objects of an overlay with the component."""
    manifests = os.path.relpath(ROOT / "manifests", folder.resolve())
    content = {
        "namespace": NAMESPACE,
        "namePrefix": "prices-",
        "resources": [f"{manifests}/overlays/standard"],
        "components": [f"{manifests}/components/registry-root"],
        "transformers": [f"{manifests}/follow"],
        "configMapGenerator": [
            {"name": "linear-regressor", "behavior": "merge", "literals": ["registryRoot=s3://prices"]}
        ],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(content))
    return kubectl("kustomize", str(folder))


@pytest.fixture(params=["helm", "kustomize"])
def inference_service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Object]:
    """The InferenceService of an installation whose policy is in force; nothing else is installed."""
    text = rendered_by_helm() if request.param == "helm" else rendered_by_kustomize(tmp_path)
    objects = [item for item in yaml.safe_load_all(text) if item]
    policy = yaml.safe_dump_all(
        [item for item in objects if item["kind"].startswith("ValidatingAdmissionPolicy")]
    )
    (found,) = [item for item in objects if item["kind"] == "InferenceService"]
    kubectl("create", "namespace", NAMESPACE)
    kubectl("apply", "--server-side", "-f", "-", stdin=policy)
    try:
        # The API server takes some seconds to obey a new policy.
        wait_for(
            "the policy to be in force", lambda: "must be" in attempt(found, {"storageUri": "s3://x/1/"})
        )
        yield found
    finally:
        kubectl("delete", "-f", "-", stdin=policy)
        kubectl("delete", "namespace", NAMESPACE)


def attempt(inference_service: Object, model: Object) -> str:
    """Let the API server check the InferenceService with a model; returns why it refuses it, or nothing."""
    item = json.loads(json.dumps(inference_service))
    item["spec"]["predictor"]["model"].pop("storageUri", None)
    item["spec"]["predictor"]["model"] |= model
    try:
        kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=json.dumps(item))
    except CommandError as error:
        return str(error)
    return ""


def test_only_folders_of_the_registry_are_admitted(inference_service: Object) -> None:
    assert attempt(inference_service, GOOD) == ""
    assert attempt(inference_service, {}) == ""
    for uri in ("s3://prices/other/1/", "s3://prices-2/models/x/1/", "s3://prices/models/../other/1/"):
        refused = attempt(inference_service, {"storageUri": uri})
        assert "storageUri must be a folder below s3://prices/models/" in refused, uri
    storage = {"storage": {"key": "store", "path": "models/1"}}
    assert "a model is named by storageUri alone" in attempt(inference_service, {**GOOD, **storage})
