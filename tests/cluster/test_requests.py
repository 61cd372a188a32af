"""KEDA scales on requests a second, as Prometheus counts them (``PROMETHEUS`` is its address)."""

import pytest

from tests.cluster.installers import Installer, Settings
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


def test_requests_bring_pods_and_their_end_takes_them_away(
    image: str, installer: Installer, service: Service
) -> None:
    installer.apply(Settings(image, scaling="keda", maximum=3))
    service.settle("1", pods=2)

    def ready() -> int:
        return sum(map(is_ready, service.pods()))

    with service.load("1", pause=0.001) as load:
        wait_for("as many pods as may be", lambda: ready() == 3, 300)
    assert not load.failures, f"{len(load.failures)} of {load.sent} failed: {load.failures[:5]}"
    wait_for("as few pods as may be", lambda: len(service.pods()) == 2, 300)
