"""Two releases by other names in one namespace, one by each way, behind the HTTPRoute and the Ingress."""

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.cluster.installers import (
    EGRESS_TO_STORE,
    NAME,
    ROOT,
    STORE,
    image_values,
    model_uri,
    version_patch,
)
from tests.cluster.kube import CommandError, Object, get, is_ready, kubectl, run, wait_for
from tests.cluster.resources import make_namespace, make_store_secret
from tests.cluster.service import Service, predictor_pods, served_version
from tests.cluster.smuggling import attacks, send

NAMESPACE = "linear-regressor-team"
PRICES, HOUSES = f"prices-{NAME}", f"houses-{NAME}"
TRIES = 100
CHART = str(ROOT / "helm" / NAME)


def host_of(name: str) -> str:
    return f"{name}.{NAMESPACE}.example.com"


def chart_values(image: str) -> Object:
    return {
        "image": image_values(image),
        "model": {"storageUri": model_uri("1")},
        "storage": {"secretName": STORE},
        "replicas": {"min": 1, "max": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
        "networkPolicy": {"store": {"to": EGRESS_TO_STORE, "port": 9000}},
        "commonLabels": {"team": "prices"},
        "podAnnotations": {"example.com/owner": "prices"},
    }


def kustomization(image: str, folder: Path) -> Object:
    """Return a user's kustomization, as in manifests/example."""
    manifests = os.path.relpath(ROOT / "manifests", folder.resolve())
    named = image_values(image)
    host = host_of(HOUSES)
    store = [
        {
            "op": "replace",
            "path": "/spec/egress/1",
            "value": {"to": EGRESS_TO_STORE, "ports": [{"port": 9000, "protocol": "TCP"}]},
        }
    ]
    replicas = [
        {"op": "replace", "path": f"/spec/{field}", "value": 1} for field in ("minReplicas", "maxReplicas")
    ]
    few = [
        {"op": "replace", "path": f"/spec/predictor/{field}", "value": 1}
        for field in ("minReplicas", "maxReplicas")
    ]
    requests = [
        {
            "op": "replace",
            "path": "/spec/containers/0/resources/requests",
            "value": {"cpu": "20m", "memory": "128Mi"},
        }
    ]
    return {
        "namespace": NAMESPACE,
        "namePrefix": "houses-",
        "resources": [f"{manifests}/overlays/standard"],
        "components": [f"{manifests}/components/store-credentials"],
        "transformers": [f"{manifests}/follow"],
        "images": [
            {
                "name": f"{NAME}/predictor",
                "newName": f"{named['registry']}/{named['repository']}",
                "newTag": named["tag"],
            }
        ],
        "configMapGenerator": [
            {"name": NAME, "behavior": "merge", "literals": [f"host={host}", f"grpcHost=grpc.{host}"]}
        ],
        "patches": [
            {"target": {"kind": kind, "name": name}, "patch": json.dumps(patch)}
            for kind, name, patch in (
                ("NetworkPolicy", f"{NAME}-predictor", store),
                ("HorizontalPodAutoscaler", NAME, replicas),
                ("InferenceService", NAME, few),
                ("ServingRuntime", NAME, requests),
            )
        ],
    }


def helm(*arguments: str, values: Object | None = None) -> str:
    """Run helm in the namespace."""
    given = ("-f", "-") if values is not None else ()
    return run("helm", "-n", NAMESPACE, *arguments, *given, stdin=json.dumps(values or {}))


@pytest.fixture(scope="module")
def releases(
    store: None, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Service]]:
    """Version 1 as the release ``prices`` by Helm, and as ``houses`` by kustomize."""
    make_namespace(NAMESPACE)
    make_store_secret(NAMESPACE, STORE)
    helm("install", "prices", CHART, values=chart_values(image))
    folder = tmp_path_factory.mktemp("houses")
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization(image, folder)))
    kubectl("apply", "-k", str(folder))
    promote(HOUSES, "1")
    services = {name: Service(os.environ["INGRESS"], {}, host_of(name)) for name in (PRICES, HOUSES)}
    for name, service in services.items():
        wait_for(f"one pod of {name}", partial(serves, name, "1"), 180)
        wait_for("the route", partial(ready, service))
    yield services
    with suppress(CommandError):
        helm("uninstall", "prices", "--wait")
    kubectl("delete", "-k", str(folder), "--ignore-not-found")
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def promote(name: str, version: str) -> None:
    """Say which version is served, as manifests/version.yaml does."""
    change = json.dumps(version_patch(version))
    kubectl("-n", NAMESPACE, "patch", "inferenceservice", name, "--type=merge", "-p", change)


def serves(name: str, version: str) -> bool:
    """Return whether there is exactly one pod, and it serves the version."""
    pods = predictor_pods(NAMESPACE, name)
    return len(pods) == 1 and is_ready(pods[0]) and served_version(NAMESPACE, pods[0]) == version


def ready(service: Service) -> bool:
    return service.request("GET", f"/v2/models/{NAME}/ready").status == http.client.OK


def test_releases_are_served_under_their_own_hosts(releases: dict[str, Service]) -> None:
    for service in releases.values():
        assert service.request("POST", "/stream", {"instance": 0.05}).status == http.client.OK
        assert service.request("GET", "/metrics").status == http.client.NOT_FOUND


def test_objects_of_the_two_are_named_and_labelled_after_them(releases: dict[str, Service]) -> None:
    kinds = "inferenceservices,servingruntimes,httproutes,grpcroutes,hpa,pdb,networkpolicies"
    for item in get("-n", NAMESPACE, kinds)["items"]:
        name, instance = item["metadata"]["name"], item["metadata"]["labels"]["app.kubernetes.io/instance"]
        assert instance in {PRICES, HOUSES}
        assert name.startswith(instance)


def test_labels_and_annotations_reach_the_pods(releases: dict[str, Service]) -> None:
    (pod,) = predictor_pods(NAMESPACE, PRICES)
    assert pod["metadata"]["labels"]["team"] == "prices"
    assert pod["metadata"]["annotations"]["example.com/owner"] == "prices"
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "predictor"


def test_autoscalers_find_their_deployments(releases: dict[str, Service]) -> None:
    for name in releases:
        target = get("-n", NAMESPACE, "hpa", name)["spec"]["scaleTargetRef"]["name"]
        assert get("-n", NAMESPACE, "deployment", target)["status"]["availableReplicas"] == 1


def test_status_tells_the_two_apart(releases: dict[str, Service]) -> None:
    for release, name in (("prices", PRICES), (HOUSES, HOUSES)):
        output = run("make", "-s", "-C", str(ROOT), "status", f"NAMESPACE={NAMESPACE}", f"RELEASE={release}")
        assert f"{name}: version 1 is wanted" in output
        assert "SERVES" in output
        assert len(output.splitlines()) == 2
    with pytest.raises(CommandError, match="no InferenceService of nobody"):
        run("make", "-s", "-C", str(ROOT), "status", f"NAMESPACE={NAMESPACE}", "RELEASE=nobody")


def smuggled(service: Service) -> list[bytes]:
    """Send attacks, each followed by another client's request; return every unexpected answer."""
    body = b'{"instance": 0.05}'
    expected = service.request("POST", "/stream", {"instance": 0.05}).content
    request = (
        f"POST /stream HTTP/1.1\r\nHost: {service.host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
    reached = []
    for packets in islice(cycle(attacks(service.host)), TRIES):
        answer = send(service.ingress, packets, seconds=0.3)
        # One request, one answer: that its body is no JSON.
        if answer.count(b"HTTP/1.1 ") != 1 or not answer.startswith(b"HTTP/1.1 400 "):
            reached.append(answer)
        other = send(service.ingress, [request], seconds=5)
        if not other.startswith(b"HTTP/1.1 200 ") or not other.endswith(expected):
            reached.append(other)
    return reached


def test_no_hidden_request_passes_the_http_route(releases: dict[str, Service]) -> None:
    assert smuggled(releases[PRICES]) == []


def test_no_hidden_request_passes_the_ingress_and_the_change_restarts_no_pod(
    releases: dict[str, Service], image: str
) -> None:
    (pod,) = predictor_pods(NAMESPACE, PRICES)
    helm("upgrade", "prices", CHART, values={**chart_values(image), "routing": {"type": "ingress"}})
    service = releases[PRICES]
    wait_for("the Ingress", lambda: get("-n", NAMESPACE, "ingress", PRICES) and ready(service))
    assert not get("-n", NAMESPACE, "httproutes", "-l", f"app.kubernetes.io/instance={PRICES}")["items"]
    assert smuggled(service) == []
    assert [item["metadata"]["uid"] for item in predictor_pods(NAMESPACE, PRICES)] == [pod["metadata"]["uid"]]


def test_release_without_a_version_has_no_pods_until_one_is_promoted(
    releases: dict[str, Service], image: str
) -> None:
    name = f"empty-{NAME}"
    values = {**chart_values(image), "model": {"promoted": True}}
    helm("install", "empty", CHART, values=values)
    try:
        wait_for("KServe", lambda: get("-n", NAMESPACE, "inferenceservice", name)["status"]["conditions"])
        assert not predictor_pods(NAMESPACE, name)
        promote(name, "1")
        wait_for("version 1", partial(serves, name, "1"), 180)
        (pod,) = predictor_pods(NAMESPACE, name)
        helm("upgrade", "empty", CHART, values={**values, "replicas": {"min": 1, "max": 2}})
        assert serves(name, "1")
        assert predictor_pods(NAMESPACE, name)[0]["metadata"]["uid"] == pod["metadata"]["uid"]
    finally:
        helm("uninstall", "empty", "--wait")


def test_upgrade_that_lost_its_values_is_refused_and_changes_nothing(releases: dict[str, Service]) -> None:
    before = helm("get", "manifest", "prices")
    with pytest.raises(CommandError, match=r"storage\.secretName is empty"):
        helm("upgrade", "prices", CHART, "--set", "replicas.max=2")
    assert helm("get", "manifest", "prices") == before
    assert serves(PRICES, "1")


def test_upgrade_and_rollback_change_one_release_only(releases: dict[str, Service], image: str) -> None:
    (other,) = predictor_pods(NAMESPACE, HOUSES)
    helm("upgrade", "prices", CHART, values={**chart_values(image), "model": {"storageUri": model_uri("2")}})
    wait_for("version 2", lambda: serves(PRICES, "2"), 180)
    helm("rollback", "prices")
    wait_for("version 1", lambda: serves(PRICES, "1"), 180)
    assert [pod["metadata"]["uid"] for pod in predictor_pods(NAMESPACE, HOUSES)] == [other["metadata"]["uid"]]


def test_uninstalling_one_leaves_the_other_and_nothing_else(releases: dict[str, Service]) -> None:
    helm("uninstall", "prices", "--wait")
    wait_for("its pods to end", lambda: not predictor_pods(NAMESPACE, PRICES))
    kinds = (
        "all,inferenceservices,servingruntimes,httproutes,grpcroutes,ingresses,hpa,pdb,networkpolicies,"
        "serviceaccounts,roles,rolebindings,configmaps"
    )
    names = {item["metadata"]["name"] for item in get("-n", NAMESPACE, kinds)["items"]}
    assert not [name for name in names if name.startswith("prices")]
    assert serves(HOUSES, "1")
    assert releases[HOUSES].request("POST", "/stream", {"instance": 0.05}).status == http.client.OK
