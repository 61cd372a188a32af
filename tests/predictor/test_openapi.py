"""The OpenAPI document."""

import json
import re
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from predictor.model.artifact import LinearModel
from predictor.web.openapi import document

ENDPOINTS = {
    "/": {"get"},
    "/ping": {"get"},
    "/stream": {"post"},
    "/stream/{instance}": {"get"},
    "/batch": {"post"},
    "/batch/{instances}": {"get"},
    "/log": {"get"},
    "/emptyLog": {"get"},
    "/v2/repository/index": {"post"},
    "/v2/repository/models/{model}/load": {"post"},
    "/v2/repository/models/{model}/unload": {"post"},
    "/metrics": {"get"},
    "/openapi.json": {"get"},
    "/docs": {"get"},
    "/v1/models": {"get"},
    "/v1/models/{model}": {"get"},
    "/v1/models/{model}:predict": {"post"},
    "/v1/models/{model}:explain": {"post"},
    "/v2": {"get"},
    "/v2/health/live": {"get"},
    "/v2/health/ready": {"get"},
    "/v2/models": {"get"},
    "/v2/models/{model}": {"get"},
    "/v2/models/{model}/ready": {"get"},
    "/v2/models/{model}/infer": {"post"},
    "/v2/models/{model}/versions/{version}": {"get"},
    "/v2/models/{model}/versions/{version}/ready": {"get"},
    "/v2/models/{model}/versions/{version}/infer": {"post"},
}
ADMINISTRATION = {
    "get /log",
    "get /emptyLog",
    "post /v2/repository/index",
    "post /v2/repository/models/{model}/load",
    "post /v2/repository/models/{model}/unload",
}
MODELS = ("one_feature", "three_features", "hostile")


@pytest.fixture(params=[*MODELS, None])
def found(request: pytest.FixtureRequest) -> Any:
    model = request.getfixturevalue(request.param) if request.param else None
    return document(model, name="linear-regressor", version="3" if model else None)


def operations(found: Any) -> list[tuple[str, Any]]:
    return [
        (f"{method} {path}", operation)
        for path, item in found["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def contents(found: Any) -> list[tuple[str, Any]]:
    """Every place that has a schema and may have examples."""
    places = []
    for name, operation in operations(found):
        places += [
            (name, content) for content in operation.get("requestBody", {}).get("content", {}).values()
        ]
        for answer in operation["responses"].values():
            places += [(name, content) for content in answer.get("content", {}).values()]
        for parameter in operation.get("parameters", ()):
            places += [(name, content) for content in parameter.get("content", {}).values()]
    return places


def guarded(found: Any) -> set[str]:
    """The operations that can't be asked for without a credential."""
    return {name for name, operation in operations(found) if {} not in operation.get("security", [{}])}


def validator(found: Any, schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": found["components"]})


def test_the_document_is_valid_openapi(found: Any) -> None:
    OpenAPIV31SpecValidator(found).validate()


def test_the_document_is_json(found: Any) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_every_endpoint_is_described(found: Any) -> None:
    assert {path: set(item) - {"parameters"} for path, item in found["paths"].items()} == ENDPOINTS


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_summary(found: Any) -> None:
    described = [operation for _, operation in operations(found)]
    assert len({operation["operationId"] for operation in described}) == len(described)
    tags = {tag["name"] for tag in found["tags"]}
    assert {tag for operation in described for tag in operation["tags"]} == tags
    assert all(operation["summary"] for operation in described)


def test_every_example_is_what_its_schema_says(found: Any) -> None:
    examples = [
        (content, example["value"])
        for _, content in contents(found)
        if "schema" in content
        for example in content.get("examples", {}).values()
    ]
    assert len(examples) > 20
    for content, example in examples:
        validator(found, content["schema"]).validate(example)


def test_every_prediction_shown_is_the_model_s_own(three_features: LinearModel) -> None:
    found = document(three_features, name="m", version=None)
    batch = found["paths"]["/batch"]["post"]
    rows = batch["requestBody"]["content"]["application/json"]["examples"]["rows"]["value"]["instances"]
    answer = batch["responses"]["200"]["content"]["application/json"]["examples"]["predictions"]["value"]
    expected = [938.25 * bmi - 0.5 * pressure + 12.0 * sex + 152.5 for bmi, pressure, sex in rows]
    assert answer["predictions"] == pytest.approx(expected)


def test_the_contributions_shown_add_up(three_features: LinearModel) -> None:
    found = document(three_features, name="m", version=None)
    answer = found["paths"]["/v1/models/{model}:explain"]["post"]["responses"]["200"]["content"]
    for part in answer["application/json"]["examples"]["explanations"]["value"]["explanations"]:
        assert sum(part["contributions"].values()) + part["intercept"] == pytest.approx(part["prediction"])


@pytest.mark.parametrize(
    ("instances", "valid"),
    [
        ([[1, 2, 3]], True),
        ([[1, 2, 3.5], [-1e300, 0, 0]], True),
        ([[1, 2]], False),
        ([[1, 2, 3, 4]], False),
        ([1, 2, 3], False),
        ([[1, 2, "3"]], False),
        ([[1, 2, None]], False),
        ([[1, 2, True]], False),
        ([], False),
        ([[]], False),
        (1, False),
    ],
)
def test_the_schema_of_rows_says_how_long_one_is(
    three_features: LinearModel, instances: Any, valid: bool
) -> None:
    found = document(three_features, name="m", version=None)
    rows = validator(found, {"$ref": "#/components/schemas/BatchRequest"})
    assert rows.is_valid({"instances": instances}) == valid


@pytest.mark.parametrize(
    ("instances", "valid"),
    [([1, 2], True), ([[1], [2]], True), ([[1, 2]], False), ([1, [2]], False), ([], False)],
)
def test_where_there_is_one_feature_a_flat_list_is_rows_as_well(
    one_feature: LinearModel, instances: Any, valid: bool
) -> None:
    found = document(one_feature, name="m", version=None)
    rows = validator(found, {"$ref": "#/components/schemas/BatchRequest"})
    assert rows.is_valid({"instances": instances}) == valid


def test_a_row_names_its_features_in_order(three_features: LinearModel) -> None:
    row = document(three_features, name="m", version=None)["components"]["schemas"]["Row"]
    assert [item["title"] for item in row["prefixItems"]] == ["bmi", "pressure", "sex"]
    assert "in mmHg, 60 to 140 in training" in row["prefixItems"][1]["description"]


def test_every_error_has_the_one_schema(found: Any) -> None:
    for name, operation in operations(found):
        for status, answer in operation["responses"].items():
            if status != "200":
                response = found["components"]["responses"][answer["$ref"].rpartition("/")[2]]
                assert response["content"]["application/json"]["schema"] == {
                    "$ref": "#/components/schemas/Error"
                }, name


def test_every_component_is_used(found: Any) -> None:
    text = json.dumps(found)
    for kind in ("schemas", "responses"):
        for name in found["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text


def test_only_administration_needs_the_token(found: Any) -> None:
    assert guarded(found) == ADMINISTRATION


def test_predictions_need_a_credential_where_the_predictor_asks_for_one(one_feature: LinearModel) -> None:
    found = document(one_feature, name="m", version=None, auth="required")
    assert guarded(found) == ADMINISTRATION | {
        "post /stream",
        "get /stream/{instance}",
        "post /batch",
        "get /batch/{instances}",
        "post /v1/models/{model}:predict",
        "post /v1/models/{model}:explain",
        "post /v2/models/{model}/infer",
        "post /v2/models/{model}/versions/{version}/infer",
    }
    answers = found["paths"]["/stream"]["post"]["responses"]
    assert {"401", "403"} <= set(answers)


def test_an_optional_credential_is_an_alternative_to_none(one_feature: LinearModel) -> None:
    found = document(one_feature, name="m", version=None, auth="optional")
    assert found["paths"]["/stream"]["post"]["security"] == [
        {"bearer": ["predict"]},
        {"key": ["predict"]},
        {},
    ]
    assert guarded(found) == ADMINISTRATION


def test_without_a_model_the_description_says_so() -> None:
    assert "No model is loaded" in document(None, name="m", version=None)["info"]["description"]


def test_the_address_of_the_server_is_the_document_s_own(found: Any) -> None:
    assert found["servers"] == [{"url": "."}]
    assert not re.search(r"https?://", json.dumps(found))
