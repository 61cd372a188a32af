"""A second version takes its share of the requests, and nothing when its weight is 0."""

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Canary, Installer, Settings
from tests.cluster.kube import get, wait_for
from tests.cluster.service import Service

REQUESTS = 10_000
CANARY = f"{NAME}-canary"


def share(service: Service) -> float:
    """Send requests, none of which may fail, and return the canary's part of them."""
    with service.load("1", "2") as load:
        load.reach(REQUESTS)
    assert not load.failures, load.failures[:5]
    return load.answers.get(service.answer("2"), 0) / load.sent


def templates(service: Service) -> set[str]:
    """Return which templates the stable pods are made from: the autoscaler may add to them meanwhile."""
    return {pod["metadata"]["labels"]["pod-template-hash"] for pod in service.pods()}


def weighed(service: Service, weight: int) -> None:
    """Wait until the route has the weight, and the gateway heeds it."""
    kinds = ("httproute", "grpcroute")
    for kind in kinds:
        for rule in get("-n", NAMESPACE, kind, NAME)["spec"]["rules"]:
            assert [backend["weight"] for backend in rule["backendRefs"]] == [100 - weight, weight]

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
    wait_for("the canary", lambda: service.uids(CANARY), 60)
    service.settle("2", pods=len(service.pods(CANARY)), name=CANARY)
    weighed(service, weight)
    taken = share(service)
    assert abs(taken - weight / 100) <= 0.03
    assert taken > 0 or weight == 0
    assert templates(service) == stable, "a canary comes and changes, and the stable pods stay as they are"
