"""Two nodes: pods are spread over both, a drain fails no request, and a lost node's pods are replaced.

``NODE_CUT`` is a command that takes a node off the network, and ``NODE_MEND`` one that brings it back.
"""

import os
import shlex
import time
from collections.abc import Iterator

import pytest

from tests.cluster.installers import NAME, Settings
from tests.cluster.kube import get, is_ready, kubectl, run, wait_for
from tests.cluster.service import Service

MARGIN_SECONDS = 10
REPLACED_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def two_nodes(namespace: str) -> set[str]:
    """The ready nodes; with fewer than two the tests are skipped."""
    ready = ready_nodes()
    if len(ready) < 2:
        pytest.skip(f"LEFT OUT: replicas are spread over two nodes, and this cluster has {len(ready)}")
    return ready


def ready_nodes() -> set[str]:
    """Return the names of the ready nodes."""
    return {node["metadata"]["name"] for node in get("nodes")["items"] if is_ready(node)}


def pod_nodes(service: Service) -> list[str]:
    """Return the node of each ready pod."""
    return sorted(pod["spec"]["nodeName"] for pod in service.pods() if is_ready(pod))


def test_replicas_are_spread_over_nodes_also_after_a_rollout(
    installed: Settings, service: Service, two_nodes: set[str]
) -> None:
    assert len(set(pod_nodes(service))) == 2
    service.restart("for the nodes")
    assert len(set(pod_nodes(service))) == 2


def test_node_drain_fails_no_request(installed: Settings, service: Service) -> None:
    node = pod_nodes(service)[-1]
    with service.load("1") as load:
        try:
            kubectl("drain", node, f"--pod-selector=app.kubernetes.io/name={NAME}", "--delete-emptydir-data")
            service.wait_for_version("1", pods=2)
            assert node not in pod_nodes(service)
        finally:
            kubectl("uncordon", node)
    assert load.sent > 0
    load.assert_no_failures()


@pytest.fixture
def restored_node() -> Iterator[None]:
    """The node is brought back after the test."""
    yield
    run(*shlex.split(os.environ["NODE_MEND"]))
    wait_for("the node to come back", lambda: len(ready_nodes()) >= 2)


@pytest.mark.skipif("NODE_CUT" not in os.environ, reason="LEFT OUT: no command NODE_CUT to lose a node with")
def test_pods_of_a_lost_node_are_replaced(
    installed: Settings, service: Service, two_nodes: set[str], restored_node: None
) -> None:
    with service.load("1") as load:
        service.restart("before the cut")
        assert len(set(pod_nodes(service))) == 2
        cut = time.monotonic()
        run(*shlex.split(os.environ["NODE_CUT"]))
        (lost,) = wait_for("a node that is not ready", lambda: two_nodes - ready_nodes(), 120)
        not_ready = time.monotonic()
        wait_for("both replicas on other nodes", lambda: is_replaced(service, lost))
        replaced = time.monotonic()
        load.wait_for_requests(load.sent + 500)
    assert replaced - not_ready <= REPLACED_SECONDS
    late = [failure for failure in load.failures if not cut <= failure[0] <= not_ready + MARGIN_SECONDS]
    assert not late, f"errors outside the time that Kubernetes takes to notice: {late}"
    assert not [pod for pod in service.pods() if pod["status"]["phase"] == "Pending"]


def is_replaced(service: Service, lost: str) -> bool:
    """Return whether two pods are ready, none of them on the lost node."""
    nodes = pod_nodes(service)
    return lost not in nodes and len(nodes) == 2
