"""The effect of each chart value, and what the values schema rejects."""

import json
from datetime import timedelta

import pytest
import yaml

from components.operations.cli.parameters import parse
from helm import readme
from pipeline import kinds, make_parser
from tests.manifests.rendering import CHART, REGISTRY, Object, find, merged, render_chart

RETRAINING: Object = {"retraining": {"enabled": True}, "mlflow": {"enabled": True}}


def test_objects_that_kserve_copies_from_have_no_chart_version() -> None:
    objects = render_chart()
    versioned = {"helm.sh/chart", "app.kubernetes.io/version"}
    for kind in ("InferenceService", "ServingRuntime"):
        meta = find(objects, kind)["metadata"]
        assert not versioned & (meta["labels"].keys() | meta.get("annotations", {}).keys())
    assert versioned <= find(objects, "ServiceAccount")["metadata"]["labels"].keys()


def annotations(objects: list[Object]) -> dict[str, str]:
    """Return the InferenceService's annotations."""
    found: dict[str, str] = find(objects, "InferenceService")["metadata"]["annotations"]
    return found


def container(objects: list[Object]) -> Object:
    """Return the predictor's container."""
    (found,) = find(objects, "ServingRuntime")["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def test_without_a_storage_uri_no_version_is_rendered() -> None:
    objects = render_chart({"model": {"promoted": True}})
    assert "storageUri" not in find(objects, "InferenceService")["spec"]["predictor"]["model"]
    assert "linear-regressor/model-version" not in annotations(objects)


def test_version_is_the_last_segment_of_the_storage_uri() -> None:
    objects = render_chart({"model": {"storageUri": "s3://models/linear-regressor/7/"}})
    assert annotations(objects)["linear-regressor/model-version"] == "7"


def test_version_can_be_set() -> None:
    objects = render_chart({"model": {"storageUri": "s3://models/x/7", "version": "blue"}})
    assert annotations(objects)["linear-regressor/model-version"] == "blue"


def test_image_digest_overrides_the_tag() -> None:
    digest = f"sha256:{'0' * 64}"
    objects = render_chart({"image": {"tag": "2", "digest": digest}})
    assert container(objects)["image"] == f"{REGISTRY}/linear-regressor/predictor@{digest}"


def test_image_tag_defaults_to_the_app_version() -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert container(render_chart())["image"] == f"{REGISTRY}/linear-regressor/predictor:{version}"


@pytest.mark.parametrize(
    ("kind", "scaler"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject"), ("none", None)]
)
def test_only_the_chosen_autoscaler_is_rendered(kind: str, scaler: str | None) -> None:
    objects = render_chart({"autoscaling": {"type": kind}})
    scalers = [
        item["kind"] for item in objects if item["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}
    ]
    assert scalers == ([scaler] if scaler else [])
    assert annotations(objects)["serving.kserve.io/autoscalerClass"] == ("external" if scaler else "none")


@pytest.mark.parametrize(("weight", "pods"), [(0, (1, 1)), (10, (1, 1)), (50, (2, 5)), (100, (3, 10))])
def test_canary_replicas_follow_its_weight(weight: int, pods: tuple[int, int]) -> None:
    values = {"replicas": {"min": 3, "max": 10}, "canary": {"enabled": True, "weight": weight}}
    scaler = find(render_chart(values), "HorizontalPodAutoscaler", "linear-regressor-canary")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == pods


def test_canary_weight_defaults_to_zero() -> None:
    route = find(render_chart({"canary": {"enabled": True}}), "HTTPRoute")
    stable, canary = route["spec"]["rules"][0]["backendRefs"]
    assert (stable["weight"], canary["weight"]) == (100, 0)


def test_only_the_stream_route_has_no_timeout() -> None:
    stream, rest = find(render_chart({"routing": {"timeoutSeconds": 9}}), "HTTPRoute")["spec"]["rules"]
    assert [match["path"]["value"] for match in stream["matches"]] == ["/stream"]
    assert (stream["timeouts"], rest["timeouts"]) == ({"request": "0s"}, {"request": "9s"})


def test_ingress_replaces_the_routes() -> None:
    kinds = {item["kind"] for item in render_chart({"routing": {"type": "ingress"}})}
    assert "Ingress" in kinds
    assert not {"HTTPRoute", "GRPCRoute"} & kinds


def test_registry_uses_an_existing_volume_claim() -> None:
    objects = render_chart({"mlflow": {"enabled": True, "volume": {"claimName": "mine"}}})
    volumes = find(objects, "Deployment", "linear-regressor-mlflow")["spec"]["template"]["spec"]["volumes"]
    claims = [volume["persistentVolumeClaim"] for volume in volumes if "persistentVolumeClaim" in volume]
    assert claims == [{"claimName": "mine"}]
    assert "PersistentVolumeClaim" not in {item["kind"] for item in objects}


def retraining_arguments(objects: list[Object]) -> list[str]:
    """Return the arguments of the retraining CronJob's container."""
    job = find(objects, "CronJob", "linear-regressor-retraining")["spec"]["jobTemplate"]["spec"]
    (retraining,) = job["template"]["spec"]["containers"]
    return [str(argument) for argument in retraining["args"]]


def test_retrain_command_parses_every_argument_of_the_cronjob() -> None:
    values = {
        "namespace": "team",
        "pipelineRoot": "s3://runs",
        "runsAs": "trainer",
        "policy": {"rows": 2_000_000, "news": 1_000_000, "drift": 0.1, "quality": 2, "days": 30, "age": 90.5},
        "atMostEvery": "90m",
    }
    options = make_parser().parse_args(
        retraining_arguments(render_chart(merged(RETRAINING, {"retraining": values})))
    )
    policy = (options.rows, options.news, options.drift, options.quality, options.days, options.age)
    assert policy == (2_000_000, 1_000_000, 0.1, 2.0, 30, 90.5)
    assert (options.namespace, options.pipeline_root, options.service_account) == (
        "team",
        "s3://runs",
        "trainer",
    )
    assert (options.at_most_every, options.no_wait) == (timedelta(minutes=90), True)


def test_retraining_defaults_are_those_of_the_command() -> None:
    arguments = retraining_arguments(render_chart(RETRAINING))
    required = ("--host", "--feedback", "--registry-root", "--to")
    needed = [word for word in arguments if word.startswith(required)]
    names = ("days", "drift", "quality", "rows", "news", "at_most_every")
    chart, command = (vars(make_parser().parse_args(words)) for words in (arguments, ["retrain", *needed]))
    assert {name: chart[name] for name in names} == {name: command[name] for name in names}


def test_runs_are_of_the_image_of_the_retraining_job() -> None:
    job = find(render_chart(RETRAINING), "CronJob", "linear-regressor-retraining")
    (retraining,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert "--image=$(IMAGE)" in retraining["args"]
    assert {"name": "IMAGE", "value": retraining["image"]} in retraining["env"]


def test_retrain_command_reads_the_parameters_of_the_cronjob() -> None:
    parameters: Object = {
        "features": ["size", "rooms"],
        "target": "price: in €",
        "test_share": 0.2,
        "iterations": 1_500_000,
        "search": {"penalty": ["l2"], "alpha": [0, 0.1]},
    }
    values = merged(RETRAINING, {"retraining": {"parameters": parameters}})
    options = make_parser().parse_args(retraining_arguments(render_chart(values)))
    assert parse(options.param, kinds()) == parameters


def test_retraining_names_the_registry_with_its_namespace() -> None:
    objects = render_chart(
        {"fullnameOverride": "prices", "retraining": {"enabled": True}, "mlflow": {"enabled": True}}
    )
    cron = find(objects, "CronJob", "prices-retraining")
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert "--tracking-uri=http://$(NAME)-mlflow.$(NAMESPACE):5000" in pod["containers"][0]["args"]
    assert find(objects, "ServiceAccount", pod["serviceAccountName"])
    assert find(objects, "Service", "prices-mlflow")


def test_env_values_are_rendered_into_the_container() -> None:
    entry = {"name": "PREDICTOR_ADMIN_TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "admin"}}}
    assert entry in container(render_chart({"extraEnv": [entry]}))["env"]


def test_network_policy_admits_the_helm_test_pod() -> None:
    objects = render_chart(hooks=True)
    labels = find(objects, "Pod", "linear-regressor-test")["metadata"]["labels"]
    policy = find(objects, "NetworkPolicy", "linear-regressor-predictor")
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    assert {"podSelector": {"matchLabels": labels}} in peers


@pytest.mark.parametrize(
    "values",
    [
        {"replica": {"min": 3}},
        {"replicas": {"min": "3"}},
        {"replicas": {"min": 0}},
        {"autoscaling": {"type": "vpa"}},
        {"canary": {"weight": 101}},
        {"canary": {"enabled": True}, "routing": {"type": "ingress"}},
        {"image": {"digest": "latest"}},
        {"model": {"storageUri": "models/1"}},
        {"mlflow": {"database": {"type": "mysql"}}},
        {"mlflow": {"artifacts": {"destination": "/data"}}},
        {"retraining": {"policy": {"quality": 0.5}}},
        {"retraining": {"policy": {"days": 0}}},
        {"retraining": {"policy": {"age": -1}}},
        {"retraining": {"atMostEvery": "6 h"}},
        {"retraining": {"data": "/data"}},
        {"retraining": {"host": "ml-pipeline:8888"}},
        {"retraining": {"source": "s3://data"}},
        {"imagePullSecrets": ["registry"]},
        {"model": {"name": 123}},
        {"extraEnv": [{"name": "PREDICTOR_MAX_ROWS", "value": 5}]},
        {"extraEnv": [{"name": "PREDICTOR_MAX_ROWS"}]},
        {"podLabels": {"team": 7}},
        {"routing": {"host": "https://prices.example.com"}},
        {"fullnameOverride": "Prices"},
        {"networkPolicy": {"dns": {"port": 0}}},
        {"canary": {"enabled": False}, "rollout": {"enabled": True}},
    ],
)
def test_schema_rejects_invalid_values(values: Object) -> None:
    with pytest.raises(ValueError, match="specification"):
        render_chart(values)


def test_every_value_is_documented_and_used() -> None:
    text = (CHART / "values.yaml").read_text()
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())

    def leaves(values: Object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        nested = [
            leaves(value, (*path, key)) if isinstance(value, dict) and value else [(*path, key)]
            for key, value in values.items()
        ]
        return [leaf for group in nested for leaf in group]

    for leaf in leaves(yaml.safe_load(text)):
        if {"resources", "policy", "podSecurityContext", "securityContext"} & set(leaf):
            continue  # rendered as a whole
        assert leaf[-1] in templates, leaf
    described = {path for path, _ in readme.comments(text)}
    for leaf in leaves(yaml.safe_load(text)):
        assert any(".".join(leaf[:length]) in described for length in range(1, len(leaf) + 1)), leaf


def test_readme_and_schema_have_the_comments_of_the_values() -> None:
    assert (CHART / "README.md").read_text() == readme.render(), "python helm/readme.py writes it"
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema == readme.describe(schema), "python helm/readme.py writes it"
