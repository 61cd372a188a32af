"""Changes under steady load: no request fails, and a bad change receives no traffic.

Each test checks that the pods were really replaced, and asks each pod which version it serves.
"""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import get, is_ready, kubectl, wait_for
from tests.cluster.load import Load
from tests.cluster.service import Service

REQUESTS = 10_000


@pytest.fixture(scope="module")
def current(installed: Settings) -> dict[str, Settings]:
    """The settings in force as ``settings``; tests replace them when they change them for good."""
    return {"settings": installed}


@pytest.fixture
def load(service: Service, installed: Settings) -> Iterator[Load]:
    """Steady load from before a change until the last old pod is gone; no request may fail."""
    with service.load("1", "2") as steady:
        yield steady
        steady.wait_for_requests(REQUESTS)
    assert steady.sent >= REQUESTS
    steady.assert_no_failures()


def test_annotation_change_replaces_the_pods(load: Load, service: Service) -> None:
    service.restart("once")


def test_rolls_out_a_new_image(
    load: Load, service: Service, installer: Installer, current: dict[str, Settings], next_image: str
) -> None:
    old = service.uids()
    current["settings"] = current["settings"].replace(image=next_image)
    installer.apply(current["settings"])
    service.wait_until_replaced(old, "1")
    images = {pod["spec"]["containers"][0]["image"] for pod in service.pods()}
    assert images == {next_image}


@pytest.mark.short
def test_rolls_out_a_new_model_version(
    load: Load, service: Service, installer: Installer, current: dict[str, Settings]
) -> None:
    old = service.uids()
    current["settings"] = current["settings"].replace(version="2")
    installer.apply(current["settings"])
    service.wait_until_replaced(old, "2")
    assert set(load.responses) == {service.expected_response("1"), service.expected_response("2")}


def test_replaces_a_deleted_pod(load: Load, service: Service, current: dict[str, Settings]) -> None:
    pod = service.pods()[0]["metadata"]
    kubectl("-n", NAMESPACE, "delete", "pod", pod["name"], "--wait=false")
    service.wait_until_replaced({pod["uid"]}, current["settings"].version or "")


def test_replaces_an_evicted_pod(load: Load, service: Service, current: dict[str, Settings]) -> None:
    pod = service.pods()[0]["metadata"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod["name"], "namespace": NAMESPACE},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['name']}/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    service.wait_until_replaced({pod["uid"]}, current["settings"].version or "")


INVALID = {
    "a changed file": ("broken", "its SHA-256 differs from the one in manifest.json"),
    "a missing version": ("404", "No model found"),
}


@pytest.mark.parametrize("what", INVALID)
def test_invalid_version_receives_no_traffic_and_is_reported(
    what: str, load: Load, service: Service, installer: Installer, current: dict[str, Settings]
) -> None:
    version, reason = INVALID[what]
    good = service.uids()
    installer.apply(current["settings"].replace(version=version))
    wait_for("a pod that fails", lambda: reason in service.status(), 90)
    failing = [pod for pod in service.pods() if pod["metadata"]["uid"] not in good]
    assert [is_ready(pod) for pod in failing] == [False]
    line = next(line for line in service.status().splitlines() if reason in line)
    assert failing[0]["metadata"]["name"] in line
    assert f"version {version}" in line
    assert good <= service.uids()
    installer.apply(current["settings"])
    wait_for("the failing pod to end", lambda: service.uids() == good)


def test_missing_image_receives_no_traffic_and_is_reported(
    load: Load, service: Service, installer: Installer, current: dict[str, Settings]
) -> None:
    good = service.uids()
    installer.apply(current["settings"].replace(image="linear-regressor/predictor:missing"))
    wait_for(
        "a pod that fails", lambda: "ImagePull" in service.status() or "ErrImage" in service.status(), 90
    )
    assert good <= service.uids()
    conditions = get("-n", NAMESPACE, "inferenceservice", NAME)["status"]["conditions"]
    ready = next(condition for condition in conditions if condition["type"] == "Ready")
    assert ready["status"] == "True", "KServe does not report it"
    installer.apply(current["settings"])
    wait_for("the failing pod to end", lambda: service.uids() == good)
