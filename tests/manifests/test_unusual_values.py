"""Unusual but legitimate values render valid objects, and mean in every pod what they say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.manifests.rendering import Installation, Object, find, render_chart

VALUES = {file.stem: file for file in (Path(__file__).parent / "values").glob("*.yaml")}
LONG = Installation("a-very-long-release-name-of-the-european-pricing-team", "team")
INSTALLATIONS = {
    "long-release-name": LONG,
    "dotted-release-name": Installation("my.release", "team"),
    "ingress-with-tls": Installation("prices", "2nd-team"),
}
# Kinds whose names are labels of a DNS name and begin with a letter; of the others, names are DNS names.
LABELS = {"Service", "InferenceService", "ServingRuntime"}
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
# What KServe, jobs and Deployments add to a name must fit into 63 characters.
LONGEST = {"InferenceService": 63 - len("-predictor"), "CronJob": 52, "Deployment": 52}


def render(name: str) -> list[Object]:
    """Render a file of unusual values, the tests' pods included."""
    values = yaml.safe_load(VALUES[name].read_text())
    return render_chart(values, INSTALLATIONS.get(name, Installation("prices", "team")), hooks=True)


def pods(objects: list[Object]) -> dict[str, Object]:
    """Return the pod templates that the chart has written itself, by kind and component."""
    found = {}
    for item in objects:
        template = item
        if item["kind"] == "CronJob":
            template = item["spec"]["jobTemplate"]["spec"]["template"]
        elif item["kind"] == "Deployment":
            template = item["spec"]["template"]
        elif item["kind"] != "Pod":
            continue
        found[template["metadata"]["labels"]["app.kubernetes.io/component"]] = template
    return found


def containers(objects: list[Object]) -> Iterator[Object]:
    """Yield every container."""
    for pod in pods(objects).values():
        yield from pod["spec"]["containers"]
    for item in objects:
        if item["kind"] == "ServingRuntime":
            yield from item["spec"]["containers"]


def predictor(objects: list[Object]) -> Object:
    """Return the specification of the stable predictor."""
    (service,) = [
        item
        for item in objects
        if item["kind"] == "InferenceService" and not item["metadata"]["name"].endswith("-canary")
    ]
    spec: Object = service["spec"]["predictor"]
    return spec


@pytest.mark.parametrize("name", sorted(VALUES))
def test_names_and_texts_are_valid(name: str) -> None:
    objects = render(name)
    assert objects
    for item in objects:
        kind, given = item["kind"], item["metadata"]["name"]
        pattern = LABEL if kind in LABELS else NAME
        assert isinstance(given, str)
        assert pattern.fullmatch(given), (kind, given)
        assert len(given) <= LONGEST.get(kind, 63), (kind, given)
        for field in ("labels", "annotations"):
            for key, value in item["metadata"].get(field, {}).items():
                assert isinstance(value, str), (kind, given, key)
    identities = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(identities) == len(set(identities))
    for container in containers(objects):
        for entry in container.get("env", []):
            assert isinstance(entry.get("value", ""), str), entry
        for argument in container.get("args", []):
            assert isinstance(argument, str), argument


@pytest.mark.parametrize("name", sorted(VALUES))
def test_references_within_the_release_exist(name: str) -> None:
    objects = render(name)
    made = {(item["kind"], item["metadata"]["name"]) for item in objects}
    accounts = {"default", "prices", "roller", "trainer"}
    for item in objects:
        if item["kind"] == "InferenceService":
            spec = item["spec"]["predictor"]
            assert ("ServingRuntime", spec["model"]["runtime"]) in made
            account = spec["serviceAccountName"]
            assert ("ServiceAccount", account) in made or account in accounts
        if item["kind"] == "RoleBinding":
            assert ("Role", item["roleRef"]["name"]) in made
    for pod in pods(objects).values():
        account = pod["spec"].get("serviceAccountName", "default")
        assert ("ServiceAccount", account) in made or account in accounts


def test_two_long_release_names_stay_apart() -> None:
    other = Installation(LONG.release[:-1] + "s", "team")
    names = [
        {(item["kind"], item["metadata"]["name"]) for item in render_chart({}, installation)}
        for installation in (LONG, other)
    ]
    assert not names[0] & names[1]


def test_names_that_differ_by_a_dot_stay_apart() -> None:
    names = [
        {item["metadata"]["name"] for item in render_chart({}, Installation(release, "team"))}
        for release in ("my.release", "my-release")
    ]
    assert not names[0] & names[1]


def test_two_releases_in_one_namespace_share_nothing() -> None:
    values = yaml.safe_load(VALUES["everything-on"].read_text())
    first, second = (render_chart(values, Installation(release, "team")) for release in ("prices", "houses"))
    identities = [
        {(item["kind"], item["metadata"]["name"]) for item in objects} for objects in (first, second)
    ]
    assert not identities[0] & identities[1]
    hosts = [
        {host for item in objects for host in item.get("spec", {}).get("hostnames", [])}
        for objects in (first, second)
    ]
    assert not hosts[0] & hosts[1]
    dashboards = [
        find(objects, "ConfigMap", f"{release}-linear-regressor-dashboard")["data"]
        for objects, release in ((first, "prices"), (second, "houses"))
    ]
    assert not dashboards[0].keys() & dashboards[1].keys()
    titles = [{json.loads(text)["title"] for text in data.values()} for data in dashboards]
    assert not titles[0] & titles[1]
    selectors = [
        find(objects, "Deployment", f"{release}-linear-regressor-mlflow")["spec"]["selector"]
        for objects, release in ((first, "prices"), (second, "houses"))
    ]
    assert selectors[0] != selectors[1]


def test_pull_secrets_are_on_every_pod() -> None:
    objects = render("private-registry")
    secrets = [{"name": "registry"}, {"name": "mirror"}]
    assert all(pod["spec"]["imagePullSecrets"] == secrets for pod in pods(objects).values())
    runtime = find(objects, "ServingRuntime", "prices-linear-regressor")["spec"]
    assert runtime["imagePullSecrets"] == secrets
    images = {container["name"]: container["image"] for container in containers(objects)}
    assert images["mlflow"] == "other.example.com/linear-regressor/registry:3"
    assert images["kserve-container"].startswith(
        "registry.example.com:5000/team/mirror/linear-regressor/predictor@"
    )


def test_openshift_chooses_the_users_and_has_its_own_dns() -> None:
    objects = render("openshift")
    assert "runAsUser" not in json.dumps(objects)
    assert "fsGroup" not in json.dumps(objects)
    assert predictor(objects)["securityContext"]["runAsNonRoot"] is True
    for policy in (item for item in objects if item["kind"] == "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            assert "kube-dns" not in json.dumps(rule)
    assert "openshift-dns" in json.dumps(objects)


def test_placement_is_on_every_pod_unless_a_component_has_its_own() -> None:
    objects = render("arm64")
    arm = {"kubernetes.io/arch": "arm64"}
    assert predictor(objects)["nodeSelector"] == arm
    # A lost node is tolerated for a while, beside what is given.
    assert len(predictor(objects)["tolerations"]) == 3
    assert "nodeAffinity" in predictor(objects)["affinity"]
    specs = {component: pod["spec"] for component, pod in pods(objects).items()}
    assert specs["test"]["nodeSelector"] == arm
    assert specs["retraining"]["nodeSelector"] == {"pool": "batch"}
    assert "nodeAffinity" in specs["retraining"]["affinity"]
    assert not {"nodeSelector", "tolerations", "affinity"} & specs["mlflow"].keys()


def test_proxy_is_in_every_container_and_spares_the_release() -> None:
    for container in containers(render("proxy")):
        env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        assert env["HTTPS_PROXY"] == "http://proxy.example.com:3128"
        spared = env["NO_PROXY"].split(",")
        assert {".svc", "prices-linear-regressor-mlflow", "10.0.0.0/8"} <= set(spared)


def test_labels_are_on_every_pod_and_never_replace_what_selectors_match() -> None:
    objects = render("labels-everywhere")
    for item in objects:
        assert item["metadata"]["labels"]["team"] == "prices", item["kind"]
    for component, pod in pods(objects).items():
        labels = pod["metadata"]["labels"]
        assert labels["app.kubernetes.io/component"] == component
        assert ("cost-centre" in labels) is (component != "mlflow")
        inject = {"sidecar.istio.io/inject": "false"}
        annotations = pod["metadata"].get("annotations", {})
        assert (inject.items() <= annotations.items()) is (component != "retraining")
    spec = predictor(objects)
    assert spec["labels"] == {"cost-centre": "4711"}
    assert spec["annotations"] == {"sidecar.istio.io/inject": "false"}


def test_gateway_without_tls_serves_grpc_too() -> None:
    objects = render("gateway-without-tls")
    (gateway,) = [item for item in objects if item["kind"] == "Gateway"]
    listeners = {entry["name"]: (entry["protocol"], entry["port"]) for entry in gateway["spec"]["listeners"]}
    assert listeners == {"http": ("HTTP", 80), "grpc": ("HTTP", 80)}
    routes = {item["kind"]: item["spec"] for item in objects if item["kind"] in {"HTTPRoute", "GRPCRoute"}}
    sections = {kind: spec["parentRefs"][0]["sectionName"] for kind, spec in routes.items()}
    assert sections == {"HTTPRoute": "http", "GRPCRoute": "grpc"}


def test_slash_is_added_to_a_folder_in_an_object_store() -> None:
    objects = render("everything-on")
    uris = [
        item["spec"]["predictor"]["model"]["storageUri"]
        for item in objects
        if item["kind"] == "InferenceService"
    ]
    assert uris == ["s3://models/linear-regressor/1/", "s3://models/linear-regressor/2/"]


@pytest.mark.parametrize(
    "uri", ["pvc://claim/model", "oci://registry.example.com/model:1", "https://example.com/model.tar.gz"]
)
def test_no_slash_is_added_where_it_has_another_meaning(uri: str) -> None:
    objects = render_chart({"model": {"storageUri": uri}})
    assert predictor(objects)["model"]["storageUri"] == uri


def test_helm_test_sends_the_api_key_of_a_secret() -> None:
    objects = render("existing-secrets-and-accounts")
    (container,) = pods(objects)["test"]["spec"]["containers"]
    reference = {"secretKeyRef": {"name": "keys", "key": "tester"}}
    assert {"name": "API_KEY", "valueFrom": reference} in container["env"]


def test_every_http_rule_removes_the_headers_of_an_upgrade() -> None:
    route = find(render_chart(), "HTTPRoute")
    for rule in route["spec"]["rules"]:
        (header_filter,) = rule["filters"]
        assert header_filter["requestHeaderModifier"] == {"remove": ["Upgrade", "HTTP2-Settings"]}
