"""Two nodes: replicas on both, a drain without a failed request, and a node that is lost.

``NODE_CUT`` is a command that takes a node off the network, and ``NODE_MEND`` one that brings it back.
"""

import os
import shlex
import time
from collections.abc import Iterator

import pytest

from tests.cluster.installers import NAME, Settings
from tests.cluster.kube import get, kubectl, run, wait_for
from tests.cluster.service import Service, is_ready

MARGIN_SECONDS = 10
BACK_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def two_nodes(namespace: str) -> set[str]:
    """The nodes that are ready; two are needed."""
    ready = ready_nodes()
    if len(ready) < 2:
        pytest.skip(f"LEFT OUT: replicas are spread over two nodes, and this cluster has {len(ready)}")
    return ready


def ready_nodes() -> set[str]:
    """Return the names of the nodes that are Ready."""
    return {node["metadata"]["name"] for node in get("nodes")["items"] if is_ready(node)}


def places(service: Service) -> list[str]:
    """Return the node of each pod that is ready."""
    return sorted(pod["spec"]["nodeName"] for pod in service.pods() if is_ready(pod))


def test_replicas_are_spread_also_after_a_rollout(
    installed: Settings, service: Service, two_nodes: set[str]
) -> None:
    assert len(set(places(service))) == 2
    old = service.uids()
    service.patch({"metadata": {"annotations": {"linear-regressor/restarted": "for the nodes"}}})
    wait_for("the old pods to go", lambda: not service.uids() & old, 240)
    service.settle("1", pods=2)
    assert len(set(places(service))) == 2


def test_a_drained_node_costs_no_request(installed: Settings, service: Service) -> None:
    node = places(service)[-1]
    with service.load("1") as load:
        try:
            kubectl("drain", node, f"--pod-selector=app.kubernetes.io/name={NAME}", "--delete-emptydir-data")
            service.settle("1", pods=2)
            assert node not in places(service)
        finally:
            kubectl("uncordon", node)
    assert load.sent > 0
    assert not load.failures, f"{len(load.failures)} of {load.sent} failed: {load.failures[:5]}"


@pytest.fixture
def mended() -> Iterator[None]:
    """The node comes back, whatever happens."""
    yield
    run(*shlex.split(os.environ["NODE_MEND"]))
    wait_for("the node to come back", lambda: len(ready_nodes()) >= 2)


@pytest.mark.skipif("NODE_CUT" not in os.environ, reason="LEFT OUT: no command NODE_CUT to lose a node with")
def test_a_lost_node_costs_its_grace_period_and_no_replica(
    installed: Settings, service: Service, two_nodes: set[str], mended: None
) -> None:
    with service.load("1") as load:
        old = service.uids()
        service.patch({"metadata": {"annotations": {"linear-regressor/restarted": "before the cut"}}})
        wait_for("the old pods to go", lambda: not service.uids() & old, 240)
        service.settle("1", pods=2)
        assert len(set(places(service))) == 2
        cut = time.monotonic()
        run(*shlex.split(os.environ["NODE_CUT"]))
        (lost,) = wait_for("a node that is not ready", lambda: two_nodes - ready_nodes(), 120)
        not_ready = time.monotonic()
        wait_for(
            "all replicas elsewhere", lambda: places(service).count(lost) == 0 and len(places(service)) == 2
        )
        back = time.monotonic()
        load.reach(load.sent + 500)
    assert back - not_ready <= BACK_SECONDS
    late = [failure for failure in load.failures if not cut <= failure[0] <= not_ready + MARGIN_SECONDS]
    assert not late, f"errors outside the time that Kubernetes takes to notice: {late}"
    assert not [pod for pod in service.pods() if pod["status"]["phase"] == "Pending"]
