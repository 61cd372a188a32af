"""How ``make status`` reads pods and InferenceServices."""

import pytest

from manifests import status
from tests.manifests.rendering import Object

SCHEDULED = {"type": "PodScheduled", "status": "True"}


def pod(pod_status: Object, **metadata: object) -> status.Pod:
    return status.read(
        {
            "metadata": {
                "name": "prices-predictor-1",
                "labels": {status.SERVICE: "prices"},
                "annotations": {status.VERSION: "2"},
                **metadata,
            },
            "spec": {"containers": [{"name": status.SERVER, "image": "registry.example.com/predictor:1"}]},
            "status": {"conditions": [SCHEDULED], **pod_status},
        }
    )


def initializer(**state: Object) -> Object:
    return {"name": status.INITIALIZER, "state": state}


def server(**state: Object) -> Object:
    return {"name": status.SERVER, "state": state}


STARTING = server(waiting={"reason": "PodInitializing"})


def test_ready_pod_has_no_trouble() -> None:
    ready = pod({"conditions": [SCHEDULED, {"type": "Ready", "status": "True"}]})
    assert (ready.trouble, ready.waiting, ready.version, ready.ending) == ("", "", "2", False)


@pytest.mark.parametrize(
    ("pod_status", "reason"),
    [
        (
            {
                "initContainerStatuses": [initializer(running={"startedAt": "2026-11-01T10:00:00Z"})],
                "containerStatuses": [STARTING],
            },
            "it waits for storage-initializer, which has been running since 2026-11-01T10:00:00Z",
        ),
        (
            {
                "initContainerStatuses": [initializer(waiting={"reason": "PodInitializing"})],
                "containerStatuses": [STARTING],
            },
            "it waits for storage-initializer, which has not started",
        ),
        (
            {
                "initContainerStatuses": [initializer(terminated={"exitCode": 0})],
                "containerStatuses": [{**server(running={}), "started": False}],
            },
            "kserve-container is starting",
        ),
    ],
)
def test_pod_that_starts_is_told_from_one_that_fails(pod_status: Object, reason: str) -> None:
    found = pod(pod_status)
    assert (found.trouble, found.waiting) == ("", reason)


@pytest.mark.parametrize(
    ("pod_status", "trouble"),
    [
        (
            {
                "initContainerStatuses": [
                    {
                        **initializer(waiting={"reason": "CrashLoopBackOff"}),
                        "lastState": {"terminated": {"exitCode": 1, "message": "x\nno such bucket"}},
                    }
                ],
                "containerStatuses": [STARTING],
            },
            "storage-initializer ended with 1: no such bucket",
        ),
        (
            {
                "initContainerStatuses": [initializer(terminated={"exitCode": 0})],
                "containerStatuses": [{**server(running={}), "started": True}],
            },
            "it is not ready",
        ),
        (
            {
                "containerStatuses": [
                    {
                        **server(running={}),
                        "started": False,
                        "lastState": {"terminated": {"exitCode": 2, "message": "no such setting"}},
                    }
                ]
            },
            "kserve-container ended with 2: no such setting",
        ),
        (
            {"containerStatuses": [server(waiting={"reason": "ImagePullBackOff", "message": "not found"})]},
            "kserve-container waits, ImagePullBackOff: not found",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
                ]
            },
            "no node takes it: 0/3 nodes are available",
        ),
    ],
)
def test_trouble_names_the_container_and_the_reason(pod_status: Object, trouble: str) -> None:
    found = pod(pod_status)
    assert (found.trouble, found.waiting) == (trouble, "")


def service(name: str, uri: str = "", **metadata: Object) -> Object:
    model = {"storageUri": uri} if uri else {}
    return {"metadata": {"name": name, **metadata}, "spec": {"predictor": {"model": model}}}


def test_service_without_a_uri_wants_no_version() -> None:
    annotations = {status.VERSION: "3"}
    assert status.wanted(service("prices", annotations=annotations)) == ""
    assert status.wanted(service("prices", "s3://models/3/", annotations=annotations)) == "3"


def test_release_is_known_by_its_name_or_by_helm() -> None:
    item = service("prices", labels={status.INSTANCE: "team-prices"}, annotations={status.HELM: "prices"})
    assert [status.belongs(item, release) for release in ("", "prices", "team-prices", "houses")] == [
        True,
        True,
        True,
        False,
    ]
