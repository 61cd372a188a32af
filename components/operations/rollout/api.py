"""Requests to the Kubernetes API by path and JSON, over the official client's connection."""

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from components.operations.rollout.errors import ApiError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TIMEOUT = 10.0
PAUSE = 0.5
# No answer, and the answers of a server that starts, stops or is overloaded.
PASSING = (0, 429, 500, 502, 503, 504)


class Api:
    """A connection to the API server, which threads may share.

    Only the client's pool, certificates and credentials are used. Its models have no InferenceService, and
    drop fields that they do not know.
    """

    def __init__(self, client: "ApiClient") -> None:
        self._client = client

    def get(self, path: str) -> Object:
        """Read an object or a list, with one retry if the server is unavailable."""
        try:
            return self._object("GET", path)
        except ApiError as error:
            if error.status not in PASSING:
                raise
        time.sleep(PAUSE)
        return self._object("GET", path)

    def patch(self, path: str, change: Object | list[Object]) -> Object:
        """Change an object by a merge patch (a mapping) or a JSON patch (a list); returns the new object."""
        return self._object("PATCH", path, change, JSON_PATCH if isinstance(change, list) else MERGE)

    def post(self, path: str, item: Object) -> Object:
        """Create an object."""
        return self._object("POST", path, item, "application/json")

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        timeout: float = TIMEOUT,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, bytes]:
        """Send one request, with more header fields, without retries; returns the status and the body.

        Raises:
            ApiError: no answer came.
        """
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json", "Content-Type": kind, **more}
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        url = self._client.configuration.host + path
        try:
            pool = self._client.rest_client.pool_manager
            answer = pool.request(method, url, body=body, headers=headers, retries=False, timeout=timeout)
        except HTTPError as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        return int(answer.status), bytes(answer.data)

    def _object(self, method: str, path: str, item: Any = None, kind: str = "application/json") -> Object:
        body = None if item is None else json.dumps(item).encode()
        status, content = self.request(method, path, body, kind)
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {"message": content.decode(errors="replace")}
        if status >= 300:
            raise ApiError(status, f"{method} {path}: {answer.get('message', answer)}")
        return dict(answer)


def connect() -> Api:
    """Connect as the pod's ServiceAccount, or as ``KUBECONFIG`` says.

    Raises:
        ApiError: there is neither.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    # Each thread of the prober needs its own connection while it waits.
    configuration.connection_pool_maxsize = 64
    try:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            config.load_kube_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise ApiError(
            0,
            f"no cluster is configured: {str(error).rstrip('.')}. On one machine `serve` serves the champion "
            "or another version",
        ) from error
    return Api(client.ApiClient(configuration))
