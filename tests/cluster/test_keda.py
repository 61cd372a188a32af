"""KEDA scales on the request rate that Prometheus measures (``PROMETHEUS`` is its address)."""

import pytest
import yaml

from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import is_ready, wait_for
from tests.cluster.prometheus import RELOAD_SECONDS, ask, query, require
from tests.cluster.service import Service
from tests.manifests.rendering import CHART


@pytest.fixture(scope="module", autouse=True)
def keda(namespace: str) -> None:
    """Skip the tests on a cluster without KEDA and the Prometheus operator."""
    require("scaledobjects.keda.sh", "servicemonitors.monitoring.coreos.com")


@pytest.fixture(scope="module")
def scaled(image: str, installer: Installer, service: Service) -> Settings:
    """An installation that KEDA scales and Prometheus scrapes."""
    settings = Settings(image, scaling="keda", maximum=3)
    installer.apply(settings)
    service.wait_for_version("1", pods=2)
    return settings


def rule_names() -> set[str]:
    """Return the names of the rules."""
    groups = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    return {rule.get("alert") or rule["record"] for group in groups for rule in group["rules"]}


def test_prometheus_scrapes_every_pod_and_evaluates_every_rule(scaled: Settings, service: Service) -> None:
    up = f'up{{namespace="{NAMESPACE}",job="{NAME}-predictor",release="{NAME}"}} == 1'

    def targets() -> set[str]:
        return {labels["pod"] for labels, _ in query(up)}

    def has_rules() -> bool:
        groups = [group for group in ask("rules")["groups"] if group["name"].startswith(NAME)]
        found = {rule["name"]: rule for group in groups for rule in group["rules"]}
        if missing := rule_names() - set(found):
            raise LookupError(f"there are no rules {sorted(missing)}")
        if bad := {name: rule.get("lastError") for name, rule in found.items() if rule["health"] != "ok"}:
            raise LookupError(f"rules that were not evaluated: {bad}")
        return True

    def pods() -> set[str]:
        return {pod["metadata"]["name"] for pod in service.pods()}

    # The pods are listed each time, because KEDA may add one for a while.
    wait_for("a target for every pod", lambda: targets() == pods(), RELOAD_SECONDS)
    wait_for("the rules", has_rules, RELOAD_SECONDS)


def test_keda_adds_pods_under_load_and_removes_them_afterwards(scaled: Settings, service: Service) -> None:
    def ready_pods() -> int:
        return sum(map(is_ready, service.pods()))

    with service.load("1", pause=0.001) as load:
        wait_for("the most pods", lambda: ready_pods() == 3, 300)
    load.assert_no_failures()
    wait_for("the fewest pods", lambda: len(service.pods()) == 2, 300)
