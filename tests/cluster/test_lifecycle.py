"""Upgrades, roll-backs and the end: what is served stays, and nothing is left behind."""

from pathlib import Path

import pytest

from tests.cluster.installers import NAME, NAMESPACE, STORE, Helm, Installer, Settings, remains
from tests.cluster.kube import get, kubectl, run, wait_for
from tests.cluster.service import Service


def test_what_changes_no_pod_restarts_none(
    installed: Settings, installer: Installer, service: Service
) -> None:
    standing = service.uids()
    installer.apply(installed.but(maximum=5))
    installer.apply(installed)
    service.settle("1", pods=2)
    assert service.uids() == standing


@pytest.fixture
def helm(installer: Installer) -> Helm:
    """Helm, which alone has releases."""
    if not isinstance(installer, Helm):
        pytest.skip("releases are Helm's: kubectl apply has none")
    return installer


def test_a_release_is_upgraded_and_rolled_back_without_a_failed_request(
    helm: Helm, installed: Settings, service: Service
) -> None:
    with service.load("1", "2") as load:
        helm.apply(installed.but(version="2"))
        service.settle("2", pods=2)
        run("helm", "rollback", NAME, "-n", NAMESPACE)
        service.settle("1", pods=2)
    assert not load.failures, load.failures[:5]


def test_a_new_version_of_the_chart_alone_restarts_no_pod_and_loses_nothing(
    helm: Helm, installed: Settings, service: Service, tmp_path: Path
) -> None:
    run("helm", "package", helm.chart, "--version", "0.0.9", "-d", str(tmp_path))
    (package,) = tmp_path.iterdir()
    standing = service.uids()
    with service.load("1") as load:
        Helm(str(package)).apply(installed)
        before, there = charts(), remains()
        helm.apply(installed)
        load.reach(load.sent + 1000)
    assert before == {"linear-regressor-0.0.9"}
    assert not charts() & before
    assert there <= remains()
    service.settle("1", pods=2)
    assert service.uids() == standing
    assert not load.failures, load.failures[:5]


def charts() -> set[str]:
    """Return which chart, and which version of it, the objects say that they are from."""
    labels = (route["metadata"]["labels"] for route in get("-n", NAMESPACE, "httproutes,pdb,hpa")["items"])
    return {label["helm.sh/chart"] for label in labels}


def test_helm_test_asks_the_version_for_a_prediction(
    helm: Helm, installed: Settings, service: Service
) -> None:
    assert "Succeeded" in run("helm", "test", NAME, "-n", NAMESPACE)


def test_nothing_is_left_of_it_but_the_credentials(
    installed: Settings, installer: Installer, service: Service
) -> None:
    service.settle("1", pods=2)
    installer.remove()
    wait_for("an empty namespace", lambda: not remains() and not get("-n", NAMESPACE, "pods")["items"])
    assert STORE in kubectl("-n", NAMESPACE, "get", "secrets", "-o", "name")
