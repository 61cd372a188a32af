"""KEDA scales on requests a second, as Prometheus counts them (``PROMETHEUS`` is its address)."""

import json
import os
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import kubectl, wait_for
from tests.cluster.service import Service, is_ready


@pytest.fixture(scope="module", autouse=True)
def keda(namespace: str) -> None:
    """KEDA and the Prometheus operator are there."""
    kinds = kubectl("get", "crd", "-o", "name")
    missing = [
        kind
        for kind in ("scaledobjects.keda.sh", "servicemonitors.monitoring.coreos.com")
        if kind not in kinds
    ]
    if missing:
        pytest.skip(f"LEFT OUT: the cluster has no {' and no '.join(missing)}")


@pytest.fixture(scope="module")
def scaled(image: str, installer: Installer, service: Service) -> Settings:
    """An installation that KEDA scales, and Prometheus watches."""
    settings = Settings(image, scaling="keda", maximum=3)
    installer.apply(settings)
    service.settle("1", pods=2)
    return settings


def prometheus(path: str) -> Any:
    """Ask Prometheus, by way of the API server."""
    address = urlsplit(os.environ.get("PROMETHEUS", "http://prometheus-operated.monitoring:9090"))
    name, _, namespace = (address.hostname or "").partition(".")
    proxy = f"/api/v1/namespaces/{namespace.split('.')[0]}/services/{name}:{address.port}/proxy"
    return json.loads(kubectl("get", "--raw", f"{proxy}/api/v1/{path}"))["data"]


def test_prometheus_reads_every_pod_and_evaluates_every_alert(scaled: Settings, service: Service) -> None:
    query = quote(f'up{{namespace="{NAMESPACE}",job="{NAME}-predictor"}} == 1')

    def targets() -> set[str]:
        return {entry["metric"]["pod"] for entry in prometheus(f"query?query={query}")["result"]}

    def alerts() -> set[tuple[str, str]]:
        groups = [group for group in prometheus("rules")["groups"] if group["name"] == NAME]
        return {(rule["name"], rule["health"]) for group in groups for rule in group["rules"]}

    def pods() -> set[str]:
        return {pod["metadata"]["name"] for pod in service.pods()}

    # Both anew each time: what KEDA reads first may bring a pod more for a while.
    wait_for("a reading of every pod", lambda: targets() == pods(), 180)
    names = ("Unavailable", "Errors", "VersionsDiffer")
    expected = {(f"LinearRegressor{name}", "ok") for name in names}
    wait_for("the alerts", lambda: alerts() >= expected, 180)


def test_requests_bring_pods_and_their_end_takes_them_away(scaled: Settings, service: Service) -> None:
    def ready() -> int:
        return sum(map(is_ready, service.pods()))

    with service.load("1", pause=0.001) as load:
        wait_for("as many pods as may be", lambda: ready() == 3, 300)
    assert not load.failures, f"{len(load.failures)} of {load.sent} failed: {load.failures[:5]}"
    wait_for("as few pods as may be", lambda: len(service.pods()) == 2, 300)
