"""A second version takes its share of the requests, and nothing when its weight is 0."""

import json

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Canary, Installer, Settings
from tests.cluster.kube import get, kubectl, wait_for
from tests.cluster.service import Service

REQUESTS = 10_000
CANARY = f"{NAME}-canary"
ROUTES = {"httproute": 2, "grpcroute": 1}
"""The kinds of routes, with the number of their rules."""


def share(service: Service) -> float:
    """Send requests, none of which may fail, and return the canary's part of them."""
    with service.load("1", "2") as load:
        load.reach(REQUESTS)
    assert not load.failures, load.failures[:5]
    return load.answers.get(service.answer("2"), 0) / load.sent


def templates(service: Service) -> set[str]:
    """Return which templates the stable pods are made from: the autoscaler may add to them meanwhile."""
    return {pod["metadata"]["labels"]["pod-template-hash"] for pod in service.pods()}


def weights() -> list[int]:
    """Return the canary's weight in each rule of both routes."""
    found = []
    for kind in ROUTES:
        for rule in get("-n", NAMESPACE, kind, NAME)["spec"]["rules"]:
            stable, canary = (backend["weight"] for backend in rule["backendRefs"])
            assert stable + canary == 100
            found.append(canary)
    return found


def reweigh(weight: int) -> None:
    """Change the weights on the cluster, as a rollout does."""
    for kind, rules in ROUTES.items():
        changes = [
            {"op": "replace", "path": f"/spec/rules/{rule}/backendRefs/{backend}/weight", "value": value}
            for rule in range(rules)
            for backend, value in enumerate((100 - weight, weight))
        ]
        kubectl("-n", NAMESPACE, "patch", kind, NAME, "--type=json", "-p", json.dumps(changes))


def weighed(service: Service, weight: int) -> None:
    """Wait until the route has the weight, and the gateway heeds it."""
    assert weights() == [weight] * 3

    def heeded() -> bool:
        with service.load("1", "2") as probe:
            probe.reach(200)
        return (len(probe.answers) == 2) == (weight > 0) and not probe.failures

    wait_for("the gateway to heed the weight", heeded, 30)


@pytest.mark.parametrize("weight", [20, 0, 50])
def test_the_canary_takes_its_weight(
    installed: Settings, installer: Installer, service: Service, weight: int
) -> None:
    stable = templates(service)
    installer.apply(installed.but(canary=Canary("2", weight)))
    service.settle("2", pods=1, name=CANARY)
    weighed(service, weight)
    taken = share(service)
    assert abs(taken - weight / 100) <= 0.03
    assert taken > 0 or weight == 0
    assert templates(service) == stable, "a canary comes and changes, and the stable pods stay as they are"


def test_weights_that_a_rollout_changed_outlive_every_apply_that_does_not_change_them(
    installed: Settings, installer: Installer, service: Service
) -> None:
    told = installed.but(canary=Canary("2", 50))
    installer.apply(told)
    reweigh(30)
    standing = service.uids() | service.uids(CANARY)
    for again in (told, told.but(canary=Canary("2", None)), told.but(canary=Canary("2", None), maximum=4)):
        installer.apply(again)
        assert weights() == [30] * 3
    assert service.uids() | service.uids(CANARY) == standing
    installer.apply(told.but(canary=Canary("2", 40)))
    assert weights() == [40] * 3, "until it is told to"
