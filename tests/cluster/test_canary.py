"""A canary receives its share of the requests, and none while its weight is 0."""

import json

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Canary, Installer, Settings
from tests.cluster.kube import get, kubectl, wait_for
from tests.cluster.service import Service

REQUESTS = 10_000
CANARY = f"{NAME}-canary"
# The number of rules of each route.
ROUTES = {"httproute": 2, "grpcroute": 1}


def canary_share(service: Service) -> float:
    """Send requests, none of which may fail, and return the fraction that the canary answered."""
    with service.load("1", "2") as load:
        load.wait_for_requests(REQUESTS)
    load.assert_no_failures()
    return load.responses.get(service.expected_response("2"), 0) / load.sent


def pod_template_hashes(service: Service) -> set[str]:
    """Return the template hashes of the stable pods, which do not change when the autoscaler adds pods."""
    return {pod["metadata"]["labels"]["pod-template-hash"] for pod in service.pods()}


def canary_weights() -> list[int]:
    """Return the canary's weight in each rule of both routes."""
    weights = []
    for kind in ROUTES:
        for rule in get("-n", NAMESPACE, kind, NAME)["spec"]["rules"]:
            stable, canary = (backend["weight"] for backend in rule["backendRefs"])
            assert stable + canary == 100
            weights.append(canary)
    return weights


def set_canary_weight(weight: int) -> None:
    """Change the weights on the cluster, as a rollout does."""
    for kind, rules in ROUTES.items():
        changes = [
            {"op": "replace", "path": f"/spec/rules/{rule}/backendRefs/{backend}/weight", "value": value}
            for rule in range(rules)
            for backend, value in enumerate((100 - weight, weight))
        ]
        kubectl("-n", NAMESPACE, "patch", kind, NAME, "--type=json", "-p", json.dumps(changes))


def wait_for_weight(service: Service, weight: int) -> None:
    """Check that the routes have the weight, and wait until the gateway uses it."""
    assert canary_weights() == [weight] * 3

    def is_used() -> bool:
        with service.load("1", "2") as probe:
            probe.wait_for_requests(200)
        return (len(probe.responses) == 2) == (weight > 0) and not probe.failures

    wait_for("the gateway to use the weight", is_used, 30)


@pytest.mark.parametrize("weight", [20, 0, 50])
def test_canary_receives_its_share_of_requests(
    installed: Settings, installer: Installer, service: Service, weight: int
) -> None:
    stable = pod_template_hashes(service)
    installer.apply(installed.replace(canary=Canary("2", weight)))
    service.wait_for_version("2", pods=1, name=CANARY)
    wait_for_weight(service, weight)
    share = canary_share(service)
    assert abs(share - weight / 100) <= 0.03
    assert share > 0 or weight == 0
    assert pod_template_hashes(service) == stable, "a change of the canary does not change the stable pods"


def test_apply_keeps_weights_that_a_rollout_changed(
    installed: Settings, installer: Installer, service: Service
) -> None:
    at_50 = installed.replace(canary=Canary("2", 50))
    unset = at_50.replace(canary=Canary("2", None))
    installer.apply(at_50)
    set_canary_weight(30)
    pods = service.uids() | service.uids(CANARY)
    for settings in (at_50, unset, unset.replace(maximum=4)):
        installer.apply(settings)
        assert canary_weights() == [30] * 3
    assert service.uids() | service.uids(CANARY) == pods
    installer.apply(at_50.replace(canary=Canary("2", 40)))
    assert canary_weights() == [40] * 3, "a changed setting is applied"
