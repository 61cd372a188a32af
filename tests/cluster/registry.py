"""Install the chart's MLflow registry, and reach it and the store of Kubeflow Pipelines."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.cluster.installers import NAME, image_values, render_template
from tests.cluster.kube import Object, get, kubectl, oldest_node
from tests.cluster.resources import make_namespace, make_secret
from tests.support.ports import free_port

KUBEFLOW = "kubeflow"
NAMESPACE = "linear-regressor-registry"
BUCKET = "mlpipeline"
DISK = "/var/tmp/linear-regressor-registry"
PASSWORD = "only-for-tests-0123456789"
CREDENTIALS = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
VOLUME = Path(__file__).with_name("registry-volume.yaml")


def store_credentials() -> dict[str, str]:
    """Return the variables with which a pod reaches the S3 store of Kubeflow Pipelines."""
    script = "{.data.accesskey} {.data.secretkey}"
    words = kubectl("-n", KUBEFLOW, "get", "secret", "mlpipeline-minio-artifact", "-o", f"jsonpath={script}")
    key, secret = (base64.b64decode(word).decode() for word in words.split())
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://minio-service.{KUBEFLOW}:9000",
    }


def store_port() -> int:
    """Return the port of the store's pods, which network policies see; its Service may have another one."""
    slices = get("-n", KUBEFLOW, "endpointslices", "-l", "kubernetes.io/service-name=minio-service")
    port: int = slices["items"][0]["ports"][0]["port"]
    return port


def local_variables(store: str) -> dict[str, str]:
    """Return the variables with which this machine reaches the store and the registry."""
    return {**store_credentials(), **CREDENTIALS, "AWS_ENDPOINT_URL": store}


@contextmanager
def unreachable_store() -> Iterator[None]:
    """Make the store unreachable for pods by changing its Service's port."""
    service = ("-n", KUBEFLOW, "patch", "service", "minio-service", "--type=json", "-p")
    ports = get("-n", KUBEFLOW, "service", "minio-service")["spec"]["ports"]

    def set_ports(ports: list[Object]) -> None:
        kubectl(*service, json.dumps([{"op": "replace", "path": "/spec/ports", "value": ports}]))

    set_ports([{"name": "unreachable", "port": 9}])
    try:
        yield
    finally:
        set_ports(ports)


def make_run_secret(namespace: str) -> None:
    """Create the Secret with which a run's pods, and what starts runs, reach store and registry."""
    make_secret(namespace, f"{NAME}-pipeline", **store_credentials(), **CREDENTIALS)


def apply_mlflow(namespace: str, manifest: str) -> None:
    """Apply the rendered MLflow and wait until it is ready."""
    kubectl("apply", "-f", "-", stdin=manifest)
    kubectl("-n", namespace, "rollout", "status", f"deploy/{NAME}-mlflow", "--timeout=300s", timeout=310)


def install_registry(image: str, registry_image: str) -> None:
    """Install MLflow with authentication and its database on an empty volume."""
    make_namespace(NAMESPACE)
    kubectl("delete", "pv", "linear-regressor-registry", "--ignore-not-found")
    kubectl("-n", "default", "delete", "pod", "linear-regressor-registry-volume", "--ignore-not-found")
    volume = VOLUME.read_text().format(namespace=NAMESPACE, disk=DISK, node=oldest_node(), image=image)
    kubectl("apply", "-f", "-", stdin=volume)
    prepared = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("-n", "default", "wait", prepared, "pod/linear-regressor-registry-volume", "--timeout=120s")
    users = {"username": "admin", "password": PASSWORD, "secret-key": PASSWORD}
    make_secret(NAMESPACE, f"{NAME}-mlflow-authentication", **users)
    make_secret(NAMESPACE, f"{NAME}-mlflow-store", **store_credentials())
    make_run_secret(KUBEFLOW)
    apply_mlflow(NAMESPACE, render_template("mlflow", NAMESPACE, mlflow_values(registry_image, store_port())))


def mlflow_values(registry_image: str, port: int) -> Object:
    """Return the chart's values of MLflow with users, on the volume of registry-volume.yaml.

    Args:
        registry_image: its image.
        port: that of the store's pods.
    """
    mlflow = {
        "enabled": True,
        "authentication": {"enabled": True},
        "image": image_values(registry_image),
        "volume": {"claimName": "registry"},
    }
    return {"mlflow": mlflow, "networkPolicy": {"store": {"port": port}}}


@contextmanager
def forwarded_registry(namespace: str = NAMESPACE) -> Iterator[str]:
    """Forward a local port to the registry, also after its pod is replaced; yields the local URL."""
    port = free_port()
    command = ["kubectl", "-n", namespace, "port-forward", f"svc/{NAME}-mlflow", f"{port}:5000"]
    ended, forwarding = Event(), Event()
    processes: list[subprocess.Popen[str]] = []

    def forward() -> None:
        # kubectl port-forward ends with the pod, so it is started again.
        while not ended.wait(0.2):
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as process:
                processes.append(process)
                for line in process.stdout or ():
                    if line.startswith("Forwarding"):
                        forwarding.set()

    thread = Thread(target=forward, daemon=True)
    thread.start()
    try:
        assert forwarding.wait(60), f"{' '.join(command)} did not forward"
        yield f"http://127.0.0.1:{port}"
    finally:
        ended.set()
        for process in processes:
            process.terminate()
        thread.join(10)
