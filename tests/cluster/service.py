"""What is installed, as a client and as its operator see it."""

import http.client
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.installers import NAME, NAMESPACE, ROOT, uri
from tests.cluster.kube import Object, get, kubectl, wait_for
from tests.cluster.load import Load

X = 0.05


@dataclass(frozen=True)
class Response:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        """Read the content as JSON."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Service:
    """The installed predictor.

    Attributes:
        ingress: the gateway's address.
        predictions: for each version, what its model gives for X.
    """

    ingress: str
    predictions: dict[str, float]
    host: str = f"{NAME}.example.com"

    def ask(self, method: str, path: str, body: object = None, host: str | None = None) -> Response:
        """Send one request through the gateway."""
        address = urlsplit(self.ingress)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            content = None if body is None else json.dumps(body).encode()
            headers = {"Host": host or self.host, "Content-Type": "application/json"}
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return Response(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def answer(self, version: str) -> str:
        """Return what a version answers for X, to the letter."""
        return f'{{"prediction":{self.predictions[version]!r}}}'

    def load(self, *versions: str, pause: float = 0.0) -> Load:
        """Return a steady client that takes the answers of these versions for right."""
        expected = {self.answer(version).encode() for version in versions}
        return Load(
            self.ingress,
            self.host,
            "/stream",
            json.dumps({"instance": X}).encode(),
            lambda content: content in expected,
            pause,
        )

    def pods(self, name: str = NAME) -> list[Object]:
        """Return the pods, those that are ending too."""
        items: list[Object] = get(
            "-n", NAMESPACE, "pods", "-l", f"serving.kserve.io/inferenceservice={name}"
        )["items"]
        return items

    def uids(self, name: str = NAME) -> set[str]:
        """Return the identities of the pods."""
        return {pod["metadata"]["uid"] for pod in self.pods(name)}

    def told(self, pod: str) -> str | None:
        """Return the version that a pod says it serves."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/v2/models/{NAME}"
        versions = json.loads(kubectl("get", "--raw", path)).get("versions") or [None]
        version: str | None = versions[0]
        return version

    def settled(self, version: str, pods: int, name: str = NAME) -> bool:
        """Tell whether so many pods stand, all are ready, and each says it serves the version."""
        standing = self.pods(name)
        return (
            len(standing) == pods
            and all(is_ready(pod) for pod in standing)
            and all(self.told(pod["metadata"]["name"]) == version for pod in standing)
        )

    def settle(self, version: str, pods: int, name: str = NAME, seconds: float = 180) -> None:
        """Wait until it is settled and the gateway answers."""
        wait_for(
            f"{pods} pods of {name} with version {version}",
            lambda: self.settled(version, pods, name),
            seconds,
        )
        wait_for("the route", lambda: self.ask("GET", f"/v2/models/{NAME}/ready").status == http.client.OK)

    def patch(self, change: Object, name: str = NAME) -> None:
        """Change the InferenceService."""
        kubectl("-n", NAMESPACE, "patch", "inferenceservice", name, "--type=merge", "-p", json.dumps(change))

    def promote(self, version: str) -> None:
        """Have another version served, as a pipeline does: in one patch."""
        annotations = {"linear-regressor/model-version": version}
        self.patch(
            {
                "metadata": {"annotations": annotations},
                "spec": {"predictor": {"model": {"storageUri": uri(version)}}},
            }
        )

    def status(self) -> str:
        """Return what ``make status`` prints, whatever its exit status."""
        command = [sys.executable, str(ROOT / "manifests" / "status.py"), "-n", NAMESPACE]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def is_ready(pod: Object) -> bool:
    """Tell whether a pod is ready and not ending."""
    conditions = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
