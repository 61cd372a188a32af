"""Create namespaces, Secrets and the S3 store."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from predictor.model import artifact
from tests.cluster.installers import STORE
from tests.cluster.kube import kubectl, oldest_node

HERE = Path(__file__).parent


def make_namespace(name: str) -> None:
    """Create a namespace that enforces the Pod Security level ``restricted``, and delete an old one first."""
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")


def make_secret(namespace: str, name: str, **values: str) -> None:
    """Create a Secret, and delete an old one first."""
    kubectl("-n", namespace, "delete", "secret", name, "--ignore-not-found")
    literals = (f"--from-literal={key}={value}" for key, value in values.items())
    kubectl("-n", namespace, "create", "secret", "generic", name, *literals)


def make_storage_secret(namespace: str, name: str, endpoint: str, **credentials: str) -> None:
    """Create the Secret with which KServe downloads from an S3 endpoint."""
    make_secret(namespace, name, **credentials)
    settings = (f"s3-endpoint={endpoint}", "s3-usehttps=0", "s3-region=us-east-1")
    annotations = (f"serving.kserve.io/{setting}" for setting in settings)
    kubectl("-n", namespace, "annotate", "secret", name, *annotations)


def make_store(namespace: str, image: str) -> None:
    """Create an empty S3 store in its own namespace."""
    make_namespace(namespace)
    kubectl("-n", namespace, "create", "configmap", "store", f"--from-file={HERE / 'store.py'}")
    manifest = (HERE / "store.yaml").read_text()
    manifest = manifest.replace("STORE_IMAGE", image).replace("STORE_NODE", oldest_node())
    kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    kubectl("-n", namespace, "rollout", "status", "deploy/store", "--timeout=120s", timeout=130)


def make_store_secret(namespace: str, store_namespace: str) -> None:
    """Create the Secret with which KServe downloads from the store of a namespace."""
    keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
    make_storage_secret(namespace, STORE, f"store.{store_namespace}:9000", **keys)


def upload(namespace: str, folders: Mapping[str, Path]) -> None:
    """Copy folders into the store of a namespace; each key is a bucket and a prefix in it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for prefix, folder in folders.items():
            tar.add(folder, arcname=prefix)
    unpack = (
        "import sys, tarfile\n"
        "tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/data', filter='data')"
    )
    command = ("python", "-c", unpack)
    kubectl("-n", namespace, "exec", "-i", "deploy/store", "--", *command, stdin=archive.getvalue())


def damage(model_folder: Path) -> None:
    """Change a file of a model folder so that its digest is wrong."""
    with (model_folder / artifact.MODEL_FILE).open("a") as file:
        file.write(" ")


def inject_faults(namespace: str, runtime: str) -> None:
    """Run the pods of a ServingRuntime with the faults of faulty.py."""
    kubectl("-n", namespace, "delete", "configmap", "faults", "--ignore-not-found")
    kubectl("-n", namespace, "create", "configmap", "faults", f"--from-file={HERE / 'faulty.py'}")
    volume = {"name": "faults", "configMap": {"name": "faults"}}
    mount = {"name": "faults", "mountPath": "/faults"}
    patch = [
        {"op": "add", "path": "/spec/volumes/-", "value": volume},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": mount},
        {"op": "add", "path": "/spec/containers/0/command", "value": ["python", "/faults/faulty.py"]},
    ]
    kubectl("-n", namespace, "patch", "servingruntime", runtime, "--type=json", "-p", json.dumps(patch))
