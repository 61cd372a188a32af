"""What every rendered deployment holds to."""

from collections.abc import Callable
from typing import Any

import pytest

Object = dict[str, Any]
Render = Callable[..., list[Object]]


@pytest.fixture
def objects(overlay: str, kustomize: Render) -> list[Object]:
    """An overlay's objects."""
    return kustomize(overlay)


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [item for item in objects if item["kind"] == kind]


def test_containers_may_do_nothing_beyond_pod_securitys_restricted(objects: list[Object]) -> None:
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
            "the storage initialiser takes it from here"
        )
        assert predictor["automountServiceAccountToken"] is False
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def check_confined(pod: Object) -> None:
    """What holds of every pod that is ours alone."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["runAsUser"] >= 10_000
        assert "memory" in container["resources"]["limits"]


def test_the_registrys_pod_may_do_no_more_than_the_predictors(objects: list[Object]) -> None:
    for deployment in of_kind(objects, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        check_confined(pod)
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_a_scheduled_job_may_do_no_more_than_the_predictors_pods(objects: list[Object]) -> None:
    for cron in of_kind(objects, "CronJob"):
        job = cron["spec"]["jobTemplate"]["spec"]
        pod = job["template"]["spec"]
        check_confined(pod)
        # Only the rollout's job asks the API server for anything.
        assert pod["automountServiceAccountToken"] is (cron["metadata"]["name"] == "linear-regressor-rollout")
        assert job["ttlSecondsAfterFinished"] > 0
        labels = job["template"]["metadata"]["labels"].items()
        policies = [
            policy["spec"]["podSelector"]["matchLabels"] for policy in of_kind(objects, "NetworkPolicy")
        ]
        assert any(policy.items() <= labels for policy in policies)


def test_no_password_stands_in_a_pod(objects: list[Object]) -> None:
    for deployment in of_kind(objects, "Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for entry in container["env"]:
                if "PASSWORD" in entry["name"] or "SECRET" in entry["name"]:
                    assert entry.keys() == {"name", "valueFrom"}
                    assert "secretKeyRef" in entry["valueFrom"]


def test_one_registry_at_a_time_writes_a_file(objects: list[Object]) -> None:
    for deployment in of_kind(objects, "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        on_volume = any("sqlite:" in argument for argument in container["args"])
        assert (deployment["spec"]["strategy"]["type"] == "Recreate") == on_volume


def test_no_secret_is_rendered(objects: list[Object]) -> None:
    assert not of_kind(objects, "Secret")


def test_liveness_asks_for_neither_model_nor_load(objects: list[Object]) -> None:
    for runtime in of_kind(objects, "ServingRuntime"):
        (container,) = runtime["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/ping"
        assert container["livenessProbe"]["timeoutSeconds"] >= 5
        assert container["readinessProbe"]["httpGet"]["path"].endswith("/ready")


def test_the_grace_period_has_room_for_the_whole_of_draining(objects: list[Object]) -> None:
    runtimes = {runtime["metadata"]["name"]: runtime for runtime in of_kind(objects, "ServingRuntime")}
    for service in of_kind(objects, "InferenceService"):
        predictor = service["spec"]["predictor"]
        (container,) = runtimes[predictor["model"]["runtime"]]["spec"]["containers"]
        if "lifecycle" in container:
            slept = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            settings = {entry["name"]: entry.get("value") for entry in container["env"]}
            drains = int(settings["PREDICTOR_DRAIN_SECONDS"]) + int(settings["PREDICTOR_GRACE_SECONDS"])
            assert predictor["terminationGracePeriodSeconds"] >= slept + drains + 10


def test_services_are_cluster_local_from_creation(objects: list[Object]) -> None:
    for service in of_kind(objects, "InferenceService"):
        if service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard":
            assert service["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"


def test_each_service_has_a_runtime_of_its_own(objects: list[Object]) -> None:
    runtimes = [
        service["spec"]["predictor"]["model"]["runtime"] for service in of_kind(objects, "InferenceService")
    ]
    assert sorted(runtimes) == sorted(
        runtime["metadata"]["name"] for runtime in of_kind(objects, "ServingRuntime")
    )


def test_all_versions_answer_to_one_name(objects: list[Object]) -> None:
    for runtime in of_kind(objects, "ServingRuntime"):
        assert "--model_name=linear-regressor" in runtime["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    "path", ["/metrics", "/v2/repository/index", "/v2/repository", "/log", "/emptyLog", "/ping"]
)
def test_routes_lead_to_no_administrative_path(objects: list[Object], path: str) -> None:
    for route in of_kind(objects, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for match in rule.get("matches", []):
                assert not matches(match["path"]["type"], match["path"]["value"], path)
    for ingress in of_kind(objects, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for entry in rule["http"]["paths"]:
                assert not matches(entry["pathType"], entry["path"], path)


def matches(kind: str, value: str, path: str) -> bool:
    """Tell whether a path is matched, as the Gateway API and Ingress mean it."""
    return path == value or (kind.endswith("Prefix") and f"{path}/".startswith(f"{value.rstrip('/')}/"))


def test_grpc_and_http_share_no_hostname(objects: list[Object]) -> None:
    names = {
        kind: {n for r in of_kind(objects, kind) for n in r["spec"]["hostnames"]}
        for kind in ("HTTPRoute", "GRPCRoute")
    }
    assert not names["HTTPRoute"] & names["GRPCRoute"]


def test_grpc_is_split_like_http(objects: list[Object]) -> None:
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
