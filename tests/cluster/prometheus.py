"""Ask the cluster's Prometheus, and skip tests where there is none."""

import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.cluster.installers import prometheus_url
from tests.cluster.kube import kubectl

RELOAD_SECONDS = 420
"""How long Prometheus may need to take over targets and rules: a change that comes right after another one is
seen at the next look, which the operator's reloader has every three minutes."""


def require(*kinds: str) -> None:
    """Skip the tests on a cluster that lacks one of these custom resources."""
    installed = kubectl("get", "crd", "-o", "name")
    missing = [kind for kind in kinds if kind not in installed]
    if missing:
        pytest.skip(f"LEFT OUT: the cluster has no {' and no '.join(missing)}")


def ask(path: str) -> Any:
    """Call the API of Prometheus through the API server's proxy."""
    address = urlsplit(prometheus_url())
    name, _, namespace = (address.hostname or "").partition(".")
    proxy = f"/api/v1/namespaces/{namespace.split('.')[0]}/services/{name}:{address.port}/proxy"
    return json.loads(kubectl("get", "--raw", f"{proxy}/api/v1/{path}"))["data"]


def query(expression: str) -> list[tuple[dict[str, str], float]]:
    """Return the labels and the value of each sample that an expression has now."""
    found = ask(f"query?query={quote(expression)}")["result"]
    return [(entry["metric"], float(entry["value"][1])) for entry in found]
