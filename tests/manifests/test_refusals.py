"""What the chart refuses because its values contradict each other or lack something, and what it says."""

import pytest

from tests.manifests.rendering import Installation, Object, find, render_chart

REGISTRY_NEEDED = "needs a registry: set mlflow.enabled=true"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image": {"registry": ""}}, "make image push REGISTRY="),
        ({"storage": {"withoutSecret": False}}, "storage.secretName is empty"),
        ({"model": {"promoted": False}}, "model.storageUri is empty"),
        (
            {
                "model": {"promoted": False, "storageUri": "s3://models/1/"},
                "canary": {"enabled": True},
            },
            "canary.storageUri is empty",
        ),
        ({"replicas": {"min": 7}}, r"replicas.min \(7\) is larger than replicas.max \(6\)"),
        ({"retraining": {"enabled": True}}, f"retraining.enabled {REGISTRY_NEEDED}"),
        ({"canary": {"enabled": True}, "rollout": {"enabled": True}}, f"rollout.enabled {REGISTRY_NEEDED}"),
        (
            {"mlflow": {"enabled": True}, "networkPolicy": {"enabled": False}},
            "lets every pod of the cluster choose the champion",
        ),
        (
            {"extraEnv": [{"name": "PREDICTOR_API_KEYS", "value": "/keys/keys"}]},
            "while PREDICTOR_AUTH is off, so that everybody is let in",
        ),
        (
            {
                "extraEnv": [
                    {"name": "PREDICTOR_JWKS", "value": "https://id.example.com/keys"},
                    {"name": "PREDICTOR_AUTH", "value": "off"},
                ]
            },
            "while PREDICTOR_AUTH is off, so that everybody is let in",
        ),
        (
            {"routing": {"host": "a.example.com", "grpcHost": "a.example.com"}},
            "routing.grpcHost must differ from routing.host",
        ),
    ],
)
def test_chart_refuses_contradictory_values(values: Object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_chart(values)


def test_chart_reports_all_problems_together() -> None:
    with pytest.raises(ValueError, match=r"image\.registry") as refused:
        render_chart({}, required=False)
    assert "storage.secretName" in str(refused.value)
    assert "model.storageUri" in str(refused.value)


def test_another_registry_is_enough_for_a_retraining() -> None:
    values = {
        "retraining": {"enabled": True},
        "rollout": {"registry": {"trackingUri": "https://mlflow.example.com"}},
    }
    job = find(render_chart(values), "CronJob", "linear-regressor-retraining")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert "--tracking-uri=https://mlflow.example.com" in container["args"]


def test_keys_with_required_credentials_are_accepted() -> None:
    keys = [
        {"name": "PREDICTOR_API_KEYS", "value": "/keys/keys"},
        {"name": "PREDICTOR_AUTH", "value": "required"},
    ]
    assert render_chart({"extraEnv": keys})


@pytest.mark.parametrize(("version", "needed"), [("1.31.9", "1.32"), ("1.32.4", "1.33")])
def test_old_kubernetes_is_refused(version: str, needed: str) -> None:
    values: Object = {"canary": {"enabled": True}, "rollout": {"enabled": True}, "mlflow": {"enabled": True}}
    with pytest.raises(ValueError, match=needed):
        render_chart(values, options=("--kube-version", version))
    assert render_chart(values, options=("--kube-version", "1.33.0"))


def test_name_that_begins_with_a_digit_is_refused_with_the_rule() -> None:
    with pytest.raises(ValueError, match="must begin with a letter"):
        render_chart({}, Installation("2houses", "team"))
    objects = render_chart({"fullnameOverride": "houses"}, Installation("2houses", "team"))
    assert find(objects, "InferenceService", "houses")
