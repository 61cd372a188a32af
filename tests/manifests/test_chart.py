"""What each of the chart's values does, and what the schema refuses."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml

from components.commands.parameters import parse
from helm import readme
from pipeline import _parser, kinds
from tests.manifests.conftest import CHART

Object = dict[str, Any]
Render = Callable[..., list[Object]]
One = Callable[..., Object]


def test_nothing_that_changes_with_the_charts_version_is_on_what_kserve_copies(
    helm: Render, one: One
) -> None:
    objects = helm({})
    moving = {"helm.sh/chart", "app.kubernetes.io/version"}
    for kind in ("InferenceService", "ServingRuntime"):
        meta = one(objects, kind)["metadata"]
        assert not moving & (meta["labels"].keys() | meta.get("annotations", {}).keys())
    assert moving <= one(objects, "ServiceAccount")["metadata"]["labels"].keys()


def test_without_a_version_nothing_is_said_of_one(helm: Render, one: One) -> None:
    service = one(helm({}), "InferenceService")
    assert "storageUri" not in service["spec"]["predictor"]["model"]
    assert "linear-regressor/model-version" not in service["metadata"]["annotations"]


def test_the_versions_label_is_the_last_part_of_where_it_lies(helm: Render, one: One) -> None:
    service = one(helm({"model": {"storageUri": "s3://models/linear-regressor/7/"}}), "InferenceService")
    assert service["metadata"]["annotations"]["linear-regressor/model-version"] == "7"


def test_a_versions_label_can_be_said(helm: Render, one: One) -> None:
    values = {"model": {"storageUri": "s3://models/x/7", "version": "blue"}}
    assert (
        one(helm(values), "InferenceService")["metadata"]["annotations"]["linear-regressor/model-version"]
        == "blue"
    )


def test_a_digest_wins_over_a_tag(helm: Render, one: One) -> None:
    digest = f"sha256:{'0' * 64}"
    runtime = one(helm({"image": {"tag": "2", "digest": digest}}), "ServingRuntime")
    assert runtime["spec"]["containers"][0]["image"] == f"linear-regressor/predictor@{digest}"


def test_the_image_is_the_charts_own_by_default(helm: Render, one: One) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert (
        one(helm({}), "ServingRuntime")["spec"]["containers"][0]["image"]
        == f"linear-regressor/predictor:{version}"
    )


@pytest.mark.parametrize(
    ("kind", "scaler"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject"), ("none", None)]
)
def test_one_thing_scales_and_kserve_keeps_its_hands_off(
    helm: Render, one: One, kind: str, scaler: str | None
) -> None:
    objects = helm({"autoscaling": {"type": kind}})
    scalers = [
        item["kind"] for item in objects if item["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}
    ]
    assert scalers == ([scaler] if scaler else [])
    annotation = one(objects, "InferenceService")["metadata"]["annotations"][
        "serving.kserve.io/autoscalerClass"
    ]
    assert annotation == ("external" if scaler else "none")


@pytest.mark.parametrize(("weight", "pods"), [(0, (1, 1)), (10, (1, 1)), (50, (2, 5)), (100, (3, 10))])
def test_the_canarys_capacity_follows_its_weight(
    helm: Render, one: One, weight: int, pods: tuple[int, int]
) -> None:
    values = {"replicas": {"min": 3, "max": 10}, "canary": {"enabled": True, "weight": weight}}
    scaler = one(helm(values), "HorizontalPodAutoscaler", "linear-regressor-canary")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == pods


def test_a_canary_nobody_gave_a_weight_begins_with_none(helm: Render, one: One) -> None:
    (stable, canary) = one(helm({"canary": {"enabled": True}}), "HTTPRoute")["spec"]["rules"][0][
        "backendRefs"
    ]
    assert (stable["weight"], canary["weight"]) == (100, 0)


def test_a_stream_has_no_time_limit_and_the_rest_has_one(helm: Render, one: One) -> None:
    stream, rest = one(helm({"routing": {"timeoutSeconds": 9}}), "HTTPRoute")["spec"]["rules"]
    assert [match["path"]["value"] for match in stream["matches"]] == ["/stream"]
    assert (stream["timeouts"], rest["timeouts"]) == ({"request": "0s"}, {"request": "9s"})


def test_an_ingress_replaces_the_routes(helm: Render) -> None:
    kinds = {item["kind"] for item in helm({"routing": {"type": "ingress"}})}
    assert "Ingress" in kinds
    assert not {"HTTPRoute", "GRPCRoute"} & kinds


def test_the_registry_uses_a_volume_that_is_there(helm: Render, one: One) -> None:
    objects = helm({"mlflow": {"enabled": True, "volume": {"claimName": "mine"}}})
    (volume,) = [
        volume["persistentVolumeClaim"]
        for volume in one(objects, "Deployment", "linear-regressor-mlflow")["spec"]["template"]["spec"][
            "volumes"
        ]
        if "persistentVolumeClaim" in volume
    ]
    assert volume == {"claimName": "mine"}
    assert "PersistentVolumeClaim" not in {item["kind"] for item in objects}


def arguments_of_the_retraining(objects: list[Object], one: One) -> list[str]:
    job = one(objects, "CronJob", "linear-regressor-retraining")["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    return [str(argument) for argument in container["args"]]


def test_the_command_knows_every_argument_of_the_retraining(helm: Render, one: One) -> None:
    values = {
        "enabled": True,
        "namespace": "team",
        "pipelineRoot": "s3://runs",
        "runsAs": "trainer",
        "policy": {"rows": 2_000_000, "news": 1_000_000, "drift": 0.1, "quality": 2, "days": 30},
        "atMostEvery": "90m",
    }
    options = _parser().parse_args(arguments_of_the_retraining(helm({"retraining": values}), one))
    judged = (options.rows, options.news, options.drift, options.quality, options.days)
    assert judged == (2_000_000, 1_000_000, 0.1, 2.0, 30)
    assert (options.namespace, options.pipeline_root, options.service_account) == (
        "team",
        "s3://runs",
        "trainer",
    )
    assert (options.at_most_every, options.no_wait) == (timedelta(minutes=90), True)


def test_what_the_charts_retraining_takes_for_due_is_what_the_command_does(helm: Render, one: One) -> None:
    given = arguments_of_the_retraining(helm({"retraining": {"enabled": True}}), one)
    needed = [word for word in given if word.startswith(("--host", "--feedback", "--registry-root", "--to"))]
    names = ("days", "drift", "quality", "rows", "news", "at_most_every", "image")
    charts, own = (vars(_parser().parse_args(words)) for words in (given, ["retrain", *needed]))
    assert {name: charts[name] for name in names} == {name: own[name] for name in names}


def test_parameters_of_the_retraining_are_read_as_they_are_meant(helm: Render, one: One) -> None:
    parameters: Object = {
        "features": ["size", "rooms"],
        "target": "price: in €",
        "test_share": 0.2,
        "iterations": 1_500_000,
        "search": {"penalty": ["l2"], "alpha": [0, 0.1]},
    }
    values = {"retraining": {"enabled": True, "parameters": parameters}}
    options = _parser().parse_args(arguments_of_the_retraining(helm(values), one))
    assert parse(options.param, kinds()) == parameters


def test_a_retraining_in_another_namespace_names_the_registry_from_there(helm: Render, one: One) -> None:
    objects = helm(
        {"fullnameOverride": "prices", "retraining": {"enabled": True}, "mlflow": {"enabled": True}}
    )
    cron = one(objects, "CronJob", "prices-retraining")
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert "--tracking-uri=http://prices-mlflow.$(NAMESPACE):5000" in pod["containers"][0]["args"]
    assert one(objects, "ServiceAccount", pod["serviceAccountName"])
    assert one(objects, "Service", "prices-mlflow")


def test_settings_and_secrets_go_into_the_environment(helm: Render, one: One) -> None:
    entry = {"name": "PREDICTOR_ADMIN_TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "admin"}}}
    assert entry in one(helm({"env": [entry]}), "ServingRuntime")["spec"]["containers"][0]["env"]


def test_the_test_pod_is_let_through_by_the_policies(helm: Render, one: One) -> None:
    objects = helm({}, hooks=True)
    labels = one(objects, "Pod", "linear-regressor-test")["metadata"]["labels"]
    peers = [
        p
        for rule in one(objects, "NetworkPolicy", "linear-regressor-predictor")["spec"]["ingress"]
        for p in rule["from"]
    ]
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
        {"pipeline": {"subjects": [{"name": "runner"}]}},
        {"mlflow": {"database": {"type": "mysql"}}},
        {"mlflow": {"artifacts": {"destination": "/data"}}},
        {"retraining": {"policy": {"quality": 0.5}}},
        {"retraining": {"policy": {"days": 0}}},
        {"retraining": {"atMostEvery": "6 h"}},
        {"retraining": {"data": "/data"}},
        {"retraining": {"host": "ml-pipeline:8888"}},
        {"retraining": {"source": "s3://data"}},
    ],
)
def test_the_schema_refuses_a_wrong_key_type_or_value(helm: Render, values: Object) -> None:
    with pytest.raises(ValueError, match="specification"):
        helm(values)


def test_every_value_is_commented_and_used() -> None:
    text = (CHART / "values.yaml").read_text()
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())

    def leaves(values: Object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        nested = [
            leaves(value, (*path, key)) if isinstance(value, dict) and value else [(*path, key)]
            for key, value in values.items()
        ]
        return [leaf for group in nested for leaf in group]

    lines = text.splitlines()
    for leaf in leaves(yaml.safe_load(text)):
        if leaf[:1] == ("resources",) or leaf[:2] == ("rollout", "policy"):
            continue  # rendered as a whole
        assert leaf[-1] in templates, leaf
    described = sum(line.strip().startswith("# -- ") for line in lines)
    assert described >= len(leaves(yaml.safe_load(text))) - 4


def test_the_readme_and_the_schema_tell_what_the_values_do() -> None:
    text = (CHART / "values.yaml").read_text()
    assert (CHART / "README.md").read_text() == readme.render(), "python helm/readme.py writes it"
    schema = json.loads((CHART / "values.schema.json").read_text())
    for path, about in readme.comments(text):
        described = schema
        for key in path.split("."):
            described = described["properties"][key]
        assert described["description"] == about, path
