"""Rules that every rendered deployment follows."""

import pytest

from tests.manifests.rendering import Object, render_overlay


@pytest.fixture
def objects(overlay: str) -> list[Object]:
    """An overlay's objects."""
    return render_overlay(overlay)


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Return the objects of a kind."""
    return [item for item in objects if item["kind"] == kind]


def test_predictor_containers_are_confined(objects: list[Object]) -> None:
    for runtime in of_kind(objects, "ServingRuntime"):
        (container,) = runtime["spec"]["containers"]
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] >= 10_000
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


def test_pods_have_a_seccomp_profile_and_no_token(objects: list[Object]) -> None:
    for service in of_kind(objects, "InferenceService"):
        predictor = service["spec"]["predictor"]
        assert predictor["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert predictor["securityContext"]["runAsUser"] >= 10_000, (
            "the storage initializer uses the pod's user"
        )
        assert predictor["automountServiceAccountToken"] is False
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def check_confined(pod: Object) -> None:
    """Check a pod that is not created by KServe."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["runAsUser"] >= 10_000
        assert "memory" in container["resources"]["limits"]


def test_registry_pod_is_confined(objects: list[Object]) -> None:
    for deployment in of_kind(objects, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        check_confined(pod)
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_scheduled_jobs_are_confined(objects: list[Object]) -> None:
    for cron in of_kind(objects, "CronJob"):
        job = cron["spec"]["jobTemplate"]["spec"]
        pod = job["template"]["spec"]
        check_confined(pod)
        # A job that has a token has a Role that limits it.
        account = [
            {"kind": "ServiceAccount", "name": pod["serviceAccountName"], "namespace": "linear-regressor"}
        ]
        bound = [binding["subjects"] == account for binding in of_kind(objects, "RoleBinding")]
        assert pod["automountServiceAccountToken"] is any(bound)
        assert job["ttlSecondsAfterFinished"] > 0
        labels = job["template"]["metadata"]["labels"].items()
        policies = [
            policy["spec"]["podSelector"]["matchLabels"] for policy in of_kind(objects, "NetworkPolicy")
        ]
        assert any(policy.items() <= labels for policy in policies)


def test_passwords_come_from_secrets(objects: list[Object]) -> None:
    for deployment in of_kind(objects, "Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for entry in container["env"]:
                if "PASSWORD" in entry["name"] or "SECRET" in entry["name"]:
                    assert entry.keys() == {"name", "valueFrom"}
                    assert "secretKeyRef" in entry["valueFrom"]


def test_registry_on_sqlite_is_recreated_not_rolled(objects: list[Object]) -> None:
    for deployment in of_kind(objects, "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        on_volume = any("sqlite:" in argument for argument in container["args"])
        assert (deployment["spec"]["strategy"]["type"] == "Recreate") == on_volume


def test_no_secret_is_rendered(objects: list[Object]) -> None:
    assert not of_kind(objects, "Secret")


def test_liveness_probe_depends_on_neither_model_nor_load(objects: list[Object]) -> None:
    for runtime in of_kind(objects, "ServingRuntime"):
        (container,) = runtime["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/ping"
        assert container["livenessProbe"]["timeoutSeconds"] >= 5
        assert container["readinessProbe"]["httpGet"]["path"].endswith("/ready")


def test_grace_period_covers_draining(objects: list[Object]) -> None:
    runtimes = {runtime["metadata"]["name"]: runtime for runtime in of_kind(objects, "ServingRuntime")}
    for service in of_kind(objects, "InferenceService"):
        predictor = service["spec"]["predictor"]
        (container,) = runtimes[predictor["model"]["runtime"]]["spec"]["containers"]
        if "lifecycle" in container:
            sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            settings = {entry["name"]: entry.get("value") for entry in container["env"]}
            drain = int(settings["PREDICTOR_DRAIN_SECONDS"]) + int(settings["PREDICTOR_GRACE_SECONDS"])
            assert predictor["terminationGracePeriodSeconds"] >= sleep + drain + 10


def test_services_are_cluster_local_from_creation(objects: list[Object]) -> None:
    for service in of_kind(objects, "InferenceService"):
        if service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard":
            assert service["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"


def test_each_inference_service_has_its_own_runtime(objects: list[Object]) -> None:
    runtimes = [
        service["spec"]["predictor"]["model"]["runtime"] for service in of_kind(objects, "InferenceService")
    ]
    assert sorted(runtimes) == sorted(
        runtime["metadata"]["name"] for runtime in of_kind(objects, "ServingRuntime")
    )


def test_all_versions_have_the_same_model_name(objects: list[Object]) -> None:
    for runtime in of_kind(objects, "ServingRuntime"):
        assert "--model_name=linear-regressor" in runtime["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    "path", ["/metrics", "/v2/repository/index", "/v2/repository", "/log", "/emptyLog", "/telemetry", "/ping"]
)
def test_routes_match_no_administrative_path(objects: list[Object], path: str) -> None:
    for route in of_kind(objects, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for match in rule.get("matches", []):
                assert not matches(match["path"]["type"], match["path"]["value"], path)
    for ingress in of_kind(objects, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for entry in rule["http"]["paths"]:
                assert not matches(entry["pathType"], entry["path"], path)


def matches(kind: str, value: str, path: str) -> bool:
    """Return whether a path is matched by the rules of the Gateway API and Ingress."""
    return path == value or (kind.endswith("Prefix") and f"{path}/".startswith(f"{value.rstrip('/')}/"))


def test_grpc_and_http_share_no_hostname(objects: list[Object]) -> None:
    names = {
        kind: {n for r in of_kind(objects, kind) for n in r["spec"]["hostnames"]}
        for kind in ("HTTPRoute", "GRPCRoute")
    }
    assert not names["HTTPRoute"] & names["GRPCRoute"]


def test_grpc_and_http_routes_have_the_same_weights(objects: list[Object]) -> None:
    weights = {
        tuple(backend.get("weight") for backend in rule["backendRefs"])
        for kind in ("HTTPRoute", "GRPCRoute")
        for route in of_kind(objects, kind)
        for rule in route["spec"]["rules"]
        if "backendRefs" in rule
    }
    assert len(weights) <= 1


def test_every_object_has_the_standard_labels(objects: list[Object]) -> None:
    for item in objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "linear-regressor"
        assert {"app.kubernetes.io/instance", "app.kubernetes.io/component"} <= labels.keys()


def test_only_the_scheduled_jobs_have_rights_and_for_named_objects(objects: list[Object]) -> None:
    assert not of_kind(objects, "ClusterRole") + of_kind(objects, "ClusterRoleBinding")
    jobs = {"linear-regressor-rollout", "linear-regressor-retraining"}
    for role in of_kind(objects, "Role"):
        assert role["metadata"]["name"] in jobs
        for rule in role["rules"]:
            assert set(rule["verbs"]) <= {"get", "list", "patch", "create"}
            # A right to list or to create can't be limited to names.
            assert rule.get("resourceNames") or set(rule["resources"]) <= {"pods", "events"}
    for binding in of_kind(objects, "RoleBinding"):
        assert [subject["name"] for subject in binding["subjects"]] == [binding["roleRef"]["name"]]


def test_the_retraining_job_may_report_and_nothing_else(objects: list[Object]) -> None:
    for role in of_kind(objects, "Role"):
        if role["metadata"]["name"] == "linear-regressor-retraining":
            events, decisions = role["rules"]
            assert (events["resources"], events["verbs"]) == (["events"], ["create"])
            assert (decisions["resources"], decisions["verbs"]) == (["configmaps"], ["patch"])
            assert decisions["resourceNames"] == ["linear-regressor-decisions"]


def test_no_network_policy_admits_a_whole_namespace(objects: list[Object]) -> None:
    for policy in of_kind(objects, "NetworkPolicy"):
        assert "Ingress" in policy["spec"]["policyTypes"]
        for rule in policy["spec"].get("ingress", []):
            assert rule["ports"]
            assert all("podSelector" in peer for peer in rule["from"])
