"""Upgrades, rollbacks and uninstalling: no needless restart, no failed request, nothing left behind."""

from pathlib import Path

import pytest

from tests.cluster.installers import (
    NAME,
    NAMESPACE,
    STORE,
    Helm,
    Installer,
    Settings,
    namespace_is_empty,
    remaining_objects,
)
from tests.cluster.kube import get, kubectl, run, wait_for
from tests.cluster.service import Service


def test_autoscaler_change_restarts_no_pod(
    installed: Settings, installer: Installer, service: Service
) -> None:
    pods = service.uids()
    installer.apply(installed.replace(maximum=5))
    installer.apply(installed)
    service.wait_for_version("1", pods=2)
    assert service.uids() == pods


@pytest.fixture
def helm(installer: Installer) -> Helm:
    """Helm; tests of releases are skipped for kustomize."""
    if not isinstance(installer, Helm):
        pytest.skip("only Helm has releases")
    return installer


def test_release_upgrade_and_rollback_fail_no_request(
    helm: Helm, installed: Settings, service: Service
) -> None:
    with service.load("1", "2") as load:
        helm.apply(installed.replace(version="2"))
        service.wait_for_version("2", pods=2)
        run("helm", "rollback", NAME, "-n", NAMESPACE)
        service.wait_for_version("1", pods=2)
    load.assert_no_failures()


def test_new_chart_version_restarts_no_pod_and_removes_no_object(
    helm: Helm, installed: Settings, service: Service, tmp_path: Path
) -> None:
    run("helm", "package", helm.chart, "--version", "0.0.9", "-d", str(tmp_path))
    (package,) = tmp_path.iterdir()
    pods = service.uids()
    with service.load("1") as load:
        Helm(str(package)).apply(installed)
        old_charts, old_objects = chart_labels(), remaining_objects()
        helm.apply(installed)
        load.wait_for_requests(load.sent + 1000)
    assert old_charts == {"linear-regressor-0.0.9"}
    assert not chart_labels() & old_charts
    assert old_objects <= remaining_objects()
    service.wait_for_version("1", pods=2)
    assert service.uids() == pods
    load.assert_no_failures()


def chart_labels() -> set[str]:
    """Return the chart names and versions in the objects' labels."""
    labels = (route["metadata"]["labels"] for route in get("-n", NAMESPACE, "httproutes,pdb,hpa")["items"])
    return {label["helm.sh/chart"] for label in labels}


def test_helm_test_requests_a_prediction(helm: Helm, installed: Settings, service: Service) -> None:
    assert "Succeeded" in run("helm", "test", NAME, "-n", NAMESPACE)


@pytest.mark.short
def test_uninstall_leaves_only_the_credentials(
    installed: Settings, installer: Installer, service: Service
) -> None:
    service.wait_for_version("1", pods=2)
    installer.remove()
    wait_for("an empty namespace", namespace_is_empty)
    assert STORE in kubectl("-n", NAMESPACE, "get", "secrets", "-o", "name")
