"""The installed predictor as its clients and its operator see it."""

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.installers import NAME, NAMESPACE, ROOT, version_patch
from tests.cluster.kube import Object, get, is_ready, kubectl, wait_for
from tests.cluster.load import Load

X = 0.05


def predictor_pods(namespace: str, name: str) -> list[Object]:
    """Return the pods of an InferenceService, including those being deleted."""
    label = f"serving.kserve.io/inferenceservice={name}"
    items: list[Object] = get("-n", namespace, "pods", "-l", label)["items"]
    return items


def served_version(namespace: str, pod: Object) -> str | None:
    """Return the model version that a pod reports, or None while it has none."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}:8080/proxy/v2/models/{NAME}"
    versions = json.loads(kubectl("get", "--raw", path)).get("versions") or [None]
    version: str | None = versions[0]
    return version


@dataclass(frozen=True)
class Response:
    """An HTTP response. The names of its headers are in lower case; the gateway changes that."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        """Parse the content as JSON."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Service:
    """The installed predictor.

    Attributes:
        ingress: the gateway's address.
        predictions: each version's prediction for X.
    """

    ingress: str
    predictions: dict[str, float]
    host: str = f"{NAME}.{NAMESPACE}.example.com"

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        host: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request through the gateway."""
        address = urlsplit(self.ingress)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            content = None if body is None else json.dumps(body).encode()
            headers = {"Host": host or self.host, "Content-Type": "application/json", **(fields or {})}
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, found, response.read())
        finally:
            connection.close()

    def expected_response(self, version: str) -> str:
        """Return the exact response of a version for X."""
        return f'{{"prediction":{self.predictions[version]!r}}}'

    def load(self, *versions: str, pause: float = 0.0) -> Load:
        """Return a steady client that accepts the responses of these versions."""
        expected = {self.expected_response(version).encode() for version in versions}
        return Load(
            self.ingress,
            self.host,
            "/stream",
            json.dumps({"instance": X}).encode(),
            lambda content: content in expected,
            pause,
        )

    def pods(self, name: str = NAME) -> list[Object]:
        """Return the pods, including those being deleted."""
        return predictor_pods(NAMESPACE, name)

    def uids(self, name: str = NAME) -> set[str]:
        """Return the pods' UIDs."""
        return {pod["metadata"]["uid"] for pod in self.pods(name)}

    def serves(self, version: str, pods: int, name: str = NAME) -> bool:
        """Return whether there are exactly so many pods, all ready and serving the version."""
        found = self.pods(name)
        return (
            len(found) == pods
            and all(map(is_ready, found))
            and all(served_version(NAMESPACE, pod) == version for pod in found)
        )

    def wait_for_version(self, version: str, pods: int, name: str = NAME) -> None:
        """Wait until exactly so many pods serve the version and the gateway reaches them."""
        try:
            wait_for(
                f"{pods} pods of {name} with version {version}", lambda: self.serves(version, pods, name), 180
            )
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.status()}") from None
        ready = f"/v2/models/{NAME}/ready"
        wait_for("the route", lambda: self.request("GET", ready).status == http.client.OK)

    def patch(self, change: Object, name: str = NAME) -> None:
        """Patch the InferenceService."""
        kubectl("-n", NAMESPACE, "patch", "inferenceservice", name, "--type=merge", "-p", json.dumps(change))

    def restart(self, reason: str, version: str = "1") -> None:
        """Replace the pods by changing an annotation, and wait until all are new."""
        old = self.uids()
        self.patch({"metadata": {"annotations": {"linear-regressor/restarted": reason}}})
        self.wait_until_replaced(old, version)

    def wait_until_replaced(self, old: set[str], version: str) -> None:
        """Wait until none of the old pods is left and two pods serve the version."""
        wait_for("the old pods to end", lambda: not self.uids() & old, 240)
        self.wait_for_version(version, pods=2)

    def promote(self, version: str) -> None:
        """Serve another version with one patch, as a pipeline does."""
        self.patch(version_patch(version))

    def status(self) -> str:
        """Return the output of ``make status``, whatever its exit status."""
        command = [sys.executable, str(ROOT / "manifests" / "status.py"), "-n", NAMESPACE]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
