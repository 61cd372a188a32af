"""Changes under steady load: not one request fails, and a bad change takes none.

Each test proves that the event took place: the pods are others, and each says which version it serves.
"""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import get, kubectl, wait_for
from tests.cluster.load import Load
from tests.cluster.service import Service, is_ready

REQUESTS = 10_000


@pytest.fixture(scope="module")
def state(installed: Settings) -> dict[str, Settings]:
    """The settings in force, for tests that change them for good."""
    return {"now": installed}


@pytest.fixture
def load(service: Service, installed: Settings) -> Iterator[Load]:
    """Steady load from before the event until after the last old pod is gone: nothing of it may fail."""
    with service.load("1", "2") as steady:
        yield steady
        steady.reach(REQUESTS)
    assert steady.sent >= REQUESTS
    assert not steady.failures, f"{len(steady.failures)} of {steady.sent} failed: {steady.failures[:5]}"


def replaced(service: Service, old: set[str], version: str, pods: int = 2) -> None:
    """Wait until so many pods serve the version and none of the old ones is left."""
    wait_for("the old pods to go", lambda: not service.uids() & old, 240)
    service.settle(version, pods)


def test_a_changed_annotation_restarts_the_pods(load: Load, service: Service) -> None:
    old = service.uids()
    service.patch({"metadata": {"annotations": {"linear-regressor/restarted": "once"}}})
    replaced(service, old, "1")


def test_a_new_image_is_rolled_out(
    load: Load, service: Service, installer: Installer, state: dict[str, Settings], next_image: str
) -> None:
    old = service.uids()
    state["now"] = state["now"].but(image=next_image)
    installer.apply(state["now"])
    replaced(service, old, "1")
    images = {pod["spec"]["containers"][0]["image"] for pod in service.pods()}
    assert images == {next_image}


def test_a_new_model_version_is_rolled_out(
    load: Load, service: Service, installer: Installer, state: dict[str, Settings]
) -> None:
    old = service.uids()
    state["now"] = state["now"].but(version="2")
    installer.apply(state["now"])
    replaced(service, old, "2")
    assert set(load.answers) == {service.answer("1"), service.answer("2")}


def test_a_deleted_pod_is_replaced(load: Load, service: Service, state: dict[str, Settings]) -> None:
    victim = service.pods()[0]["metadata"]
    kubectl("-n", NAMESPACE, "delete", "pod", victim["name"], "--wait=false")
    replaced(service, {victim["uid"]}, state["now"].version or "")


def test_an_evicted_pod_is_replaced(load: Load, service: Service, state: dict[str, Settings]) -> None:
    victim = service.pods()[0]["metadata"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": victim["name"], "namespace": NAMESPACE},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{victim['name']}/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    replaced(service, {victim["uid"]}, state["now"].version or "")


BROKEN = {
    "a changed file": ("broken", "its SHA-256 is not the one in manifest.json"),
    "a version that does not exist": ("404", "No model found"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bad_version_takes_no_traffic_and_is_told_of(
    what: str, load: Load, service: Service, installer: Installer, state: dict[str, Settings]
) -> None:
    version, reason = BROKEN[what]
    good = service.uids()
    installer.apply(state["now"].but(version=version))
    wait_for("a pod that fails", lambda: reason in service.status(), 90)
    failing = [pod for pod in service.pods() if pod["metadata"]["uid"] not in good]
    assert [is_ready(pod) for pod in failing] == [False]
    told = next(line for line in service.status().splitlines() if reason in line)
    assert failing[0]["metadata"]["name"] in told
    assert f"version {version}" in told
    assert good <= service.uids()
    installer.apply(state["now"])
    wait_for("the failing pod to go", lambda: service.uids() == good)


def test_a_bad_image_takes_no_traffic_and_is_told_of(
    load: Load, service: Service, installer: Installer, state: dict[str, Settings]
) -> None:
    good = service.uids()
    installer.apply(state["now"].but(image="linear-regressor/predictor:missing"))
    wait_for(
        "a pod that fails", lambda: "ImagePull" in service.status() or "ErrImage" in service.status(), 90
    )
    assert good <= service.uids()
    ready = get("-n", NAMESPACE, "inferenceservice", NAME)["status"]["conditions"]
    assert next(c for c in ready if c["type"] == "Ready")["status"] == "True", (
        "KServe itself says nothing of it"
    )
    installer.apply(state["now"])
    wait_for("the failing pod to go", lambda: service.uids() == good)
