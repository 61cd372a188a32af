"""The OpenAPI document."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from predictor.endpoints import native, v1, v2
from predictor.messages import CSV, Request, RequestHeaders
from predictor.model.evaluation import Evaluation
from predictor.model.kinds.linear import LinearModel
from predictor.model.kinds.trees import TreeModel
from predictor.web.openapi import document
from predictor.web.site import Site
from tests.support.service import answer as answer_of
from tests.support.service import load, make_service

ENDPOINTS = {
    "/": {"get"},
    "/ping": {"get"},
    "/stream": {"post"},
    "/stream/{instance}": {"get"},
    "/batch": {"post"},
    "/batch/{instances}": {"get"},
    "/log": {"get"},
    "/emptyLog": {"get"},
    "/telemetry": {"get", "patch"},
    "/v2/repository/index": {"post"},
    "/v2/repository/models/{model}/load": {"post"},
    "/v2/repository/models/{model}/unload": {"post"},
    "/metrics": {"get"},
    "/drift": {"get"},
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
    "get /telemetry",
    "patch /telemetry",
    "post /v2/repository/index",
    "post /v2/repository/models/{model}/load",
    "post /v2/repository/models/{model}/unload",
}
MODELS = ("one_feature", "three_features", "mixed", "hostile")


@pytest.fixture(params=[*MODELS, None])
def spec(request: pytest.FixtureRequest) -> Any:
    model = request.getfixturevalue(request.param) if request.param else None
    return document(load(model) if model else None, name="linear-regressor", version="3" if model else None)


def operations(spec: Any) -> list[tuple[str, Any]]:
    return [
        (f"{method} {path}", operation)
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def contents(spec: Any) -> list[tuple[str, Any]]:
    """The content objects of all operations: each has a schema and may have examples."""
    places = []
    for name, operation in operations(spec):
        places += [
            (name, content) for content in operation.get("requestBody", {}).get("content", {}).values()
        ]
        for answer in operation["responses"].values():
            places += [(name, content) for content in answer.get("content", {}).values()]
    return places


def protected_operations(spec: Any) -> set[str]:
    """The operations that need a credential."""
    return {name for name, operation in operations(spec) if {} not in operation.get("security", [{}])}


def validator(spec: Any, schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": spec["components"]})


def test_document_is_valid_openapi(spec: Any) -> None:
    OpenAPIV31SpecValidator(spec).validate()


def test_document_is_json(spec: Any) -> None:
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec


def test_every_endpoint_is_described(spec: Any) -> None:
    assert {path: set(item) - {"parameters"} for path, item in spec["paths"].items()} == ENDPOINTS


def test_every_operation_has_a_unique_id_a_tag_and_a_summary(spec: Any) -> None:
    described = [operation for _, operation in operations(spec)]
    assert len({operation["operationId"] for operation in described}) == len(described)
    tags = {tag["name"] for tag in spec["tags"]}
    assert {tag for operation in described for tag in operation["tags"]} == tags
    assert all(operation["summary"] and operation["description"] for operation in described)
    assert all(tag["description"] for tag in spec["tags"])


def test_linters_find_what_they_ask_for(one_feature: LinearModel) -> None:
    """What spectral (spectral:oas) and redocly (recommended) warn of beside the rules of OpenAPI."""
    spec = document(load(one_feature), name="m", version="3", auth="required", has_feedback=True)
    assert spec["info"]["contact"]["name"]
    assert spec["info"]["license"]["identifier"] == "Apache-2.0"
    for name, operation in operations(spec):
        for requirement in operation.get("security", ()):
            assert not any(requirement.values()), f"{name}: schemes without OAuth have no scopes"


def test_every_example_matches_its_schema(spec: Any) -> None:
    examples = [
        (content, example["value"])
        for _, content in contents(spec)
        if "schema" in content
        for example in content.get("examples", {}).values()
    ]
    assert len(examples) > 20
    for content, example in examples:
        validator(spec, content["schema"]).validate(example)


def test_example_predictions_come_from_the_model(three_features: LinearModel) -> None:
    spec = document(load(three_features), name="m", version=None)
    batch = spec["paths"]["/batch"]["post"]
    rows = batch["requestBody"]["content"]["application/json"]["examples"]["rows"]["value"]["instances"]
    answer = batch["responses"]["200"]["content"]["application/json"]["examples"]["predictions"]["value"]
    expected = [938.25 * bmi - 0.5 * pressure + 12.0 * sex + 152.5 for bmi, pressure, sex in rows]
    assert answer["predictions"] == pytest.approx(expected)


def test_only_a_kind_with_explanations_describes_them(trees: TreeModel) -> None:
    described = document(load(trees), name="m", version="1")
    OpenAPIV31SpecValidator(described).validate()
    assert "/v1/models/{model}:explain" not in described["paths"]
    assert not [name for name in described["components"]["schemas"] if name.startswith("Expla")]
    assert described["info"]["description"] == "3 regression trees of depth 1 at most, for target."


def test_example_contributions_add_up(three_features: LinearModel) -> None:
    spec = document(load(three_features), name="m", version=None)
    answer = spec["paths"]["/v1/models/{model}:explain"]["post"]["responses"]["200"]["content"]
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
        ([{"bmi": 1, "sex": 2, "pressure": 3}], True),
        ([[1, 2, 3], {"sex": 1, "pressure": 2, "bmi": 3}], True),
        ([{"bmi": 1, "sex": 2}], False),
        ([{"bmi": 1, "sex": 2, "pressure": 3, "age": "old"}], True),
        ([{"bmi": 1, "sex": 2, "pressure": "3"}], False),
        ([], False),
        ([[]], False),
        (1, False),
    ],
)
def test_row_schema_fixes_the_row_length(three_features: LinearModel, instances: Any, valid: bool) -> None:
    spec = document(load(three_features), name="m", version=None)
    rows = validator(spec, {"$ref": "#/components/schemas/BatchRequest"})
    assert rows.is_valid({"instances": instances}) == valid


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"instances": [[1, 2, 3]], "tags": ["a"]}, True),
        ({"inputs": [[1, 2, 3]]}, True),
        ({"inputs": {"bmi": [1], "sex": [2], "pressure": [3]}}, True),
        ({"inputs": {"bmi": [1], "sex": [2]}}, False),
        ({"inputs": {"bmi": 1, "sex": 2, "pressure": 3}}, False),
        ({"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, False),
        ({}, False),
    ],
)
def test_v1_schema_takes_instances_or_inputs(three_features: LinearModel, body: Any, valid: bool) -> None:
    spec = document(load(three_features), name="m", version=None)
    assert validator(spec, {"$ref": "#/components/schemas/V1Request"}).is_valid(body) == valid


@pytest.mark.parametrize(
    ("row", "valid"),
    [
        ([30, 1.5, True, "Bern", "x"], True),
        ([30, None, None, None, "other"], True),
        ({"age": 30, "income": None, "member": False, "city": "Bern", "code": "x", "id": 7}, True),
        ([None, 1.5, True, "Bern", "x"], False),
        ([30, 1.5, True, "Basel", "x"], False),
        ([30, 1.5, "true", "Bern", "x"], False),
        ([30, 1.5, True, "Bern", None], False),
        ({"age": 30, "income": None, "member": False, "city": "Bern"}, False),
    ],
)
def test_schema_of_mixed_inputs_takes_what_the_server_takes(
    mixed: LinearModel, row: Any, valid: bool
) -> None:
    spec = document(load(mixed), name="m", version=None)
    rows = validator(spec, {"$ref": "#/components/schemas/BatchRequest"})
    body = {"instances": [row]}
    assert rows.is_valid(body) == valid
    assert (
        answer_of(make_service(model=mixed), native.batch, json.dumps(body).encode()).status == 200
    ) == valid


def test_examples_of_mixed_inputs_are_answered_as_they_say(mixed: LinearModel) -> None:
    service, spec = make_service(model=mixed), document(load(mixed), name="linear-regressor", version="7")
    for path, endpoint, example, result in (
        ("/batch", native.batch, "rows", "predictions"),
        ("/v1/models/{model}:predict", v1.predict, "rows", "predictions"),
        ("/v2/models/{model}/infer", v2.infer, "tensor", "tensor"),
    ):
        post = spec["paths"][path]["post"]
        sent = post["requestBody"]["content"]["application/json"]["examples"][example]["value"]
        expected = post["responses"]["200"]["content"]["application/json"]["examples"][result]["value"]
        assert json.loads(answer_of(service, endpoint, json.dumps(sent).encode()).body) == expected
    sent = spec["paths"]["/batch"]["post"]["requestBody"]["content"]["text/csv"]["examples"]["rows"]["value"]
    assert answer_of(service, native.batch, sent.encode(), RequestHeaders(CSV)).rows == 3


@pytest.mark.parametrize(
    ("instances", "valid"),
    [([1, 2], True), ([[1], [2]], True), ([[1, 2]], False), ([1, [2]], True), ([], False)],
)
def test_schema_for_one_feature_also_allows_a_flat_list(
    one_feature: LinearModel, instances: Any, valid: bool
) -> None:
    spec = document(load(one_feature), name="m", version=None)
    rows = validator(spec, {"$ref": "#/components/schemas/BatchRequest"})
    assert rows.is_valid({"instances": instances}) == valid


def test_row_schema_names_features_in_order(three_features: LinearModel) -> None:
    row = document(load(three_features), name="m", version=None)["components"]["schemas"]["Row"]
    assert [item["title"] for item in row["prefixItems"]] == ["bmi", "pressure", "sex"]
    assert "in mmHg, 60 to 140 in training" in row["prefixItems"][1]["description"]


def test_generators_find_what_they_need(one_feature: LinearModel) -> None:
    """What typed clients need beside the rules of OpenAPI, each from a generator that fails without it."""
    spec = document(load(one_feature), name="m", version="3", has_feedback=True)
    # oapi-codegen names the response of an operation like this.
    taken = {f"{operation['operationId']}Response".lower() for _, operation in operations(spec)}
    assert taken.isdisjoint(map(str.lower, spec["components"]["schemas"]))
    # openapi-python-client leaves out operations with content that has no schema.
    assert all("schema" in content for _, content in contents(spec))
    # openapi-generator for TypeScript makes one object of all alternatives of anyOf.
    assert '"anyOf"' not in json.dumps(spec)
    # Several know no parameter with content instead of a schema.
    for name, operation in operations(spec):
        assert all("schema" in parameter for parameter in operation.get("parameters", ())), name
    # oapi-codegen and others round numbers to single precision, and integers to 32 bits.
    formats = {(schema["type"], schema.get("format")) for schema in numeric_schemas(spec)}
    assert formats == {("number", "double"), ("integer", "int64")}


def numeric_schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas of numbers at any depth."""
    if isinstance(node, dict):
        if node.get("type") in ("number", "integer"):
            yield node
        for key, value in node.items():
            if key != "examples":
                yield from numeric_schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from numeric_schemas(value)


def test_every_error_uses_the_error_schema(spec: Any) -> None:
    for name, operation in operations(spec):
        for status, answer in operation["responses"].items():
            if status != "200":
                response = spec["components"]["responses"][answer["$ref"].rpartition("/")[2]]
                assert response["content"]["application/json"]["schema"] == {
                    "$ref": "#/components/schemas/ErrorResponse"
                }, name


def test_every_component_is_used(spec: Any) -> None:
    text = json.dumps(spec)
    for kind in ("schemas", "responses"):
        for name in spec["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text


def test_only_admin_operations_need_a_credential_by_default(spec: Any) -> None:
    assert protected_operations(spec) == ADMINISTRATION


def test_predictions_need_a_credential_when_auth_is_required(one_feature: LinearModel) -> None:
    spec = document(load(one_feature), name="m", version=None, auth="required")
    assert protected_operations(spec) == ADMINISTRATION | {
        "post /stream",
        "get /stream/{instance}",
        "post /batch",
        "get /batch/{instances}",
        "post /v1/models/{model}:predict",
        "post /v1/models/{model}:explain",
        "post /v2/models/{model}/infer",
        "post /v2/models/{model}/versions/{version}/infer",
    }
    answers = spec["paths"]["/stream"]["post"]["responses"]
    assert {"401", "403"} <= set(answers)


def test_optional_auth_allows_requests_without_a_credential(one_feature: LinearModel) -> None:
    spec = document(load(one_feature), name="m", version=None, auth="optional")
    assert spec["paths"]["/stream"]["post"]["security"] == [
        {"bearer": []},
        {"key": []},
        {},
    ]
    assert "needs the scope `predict`" in spec["paths"]["/stream"]["post"]["description"]
    assert protected_operations(spec) == ADMINISTRATION


def test_description_says_when_no_model_is_loaded() -> None:
    assert "No model is loaded" in document(None, name="m", version=None)["info"]["description"]


def test_feedback_is_described_only_when_it_is_recorded(one_feature: LinearModel) -> None:
    assert "/feedback" not in document(load(one_feature), name="m", version=None)["paths"]
    spec = document(load(one_feature), name="m", version=None, has_feedback=True)
    OpenAPIV31SpecValidator(spec).validate()
    assert "Feedback" in [tag["name"] for tag in spec["tags"]]
    request = spec["paths"]["/feedback"]["post"]["requestBody"]["content"]["application/json"]
    validator(spec, request["schema"]).validate(request["examples"]["labels"]["value"])


def test_the_index_is_described_by_the_answer_of_the_server(three_features: LinearModel) -> None:
    service = make_service(model=three_features)
    site, request = Site(service.handle), Request()
    described = json.loads(site.openapi(request).body)["paths"]["/"]["get"]["responses"]["200"]["content"]
    assert described["application/json"]["examples"]["index"]["value"] == json.loads(site.root(request).body)


def test_server_url_is_relative(spec: Any) -> None:
    assert spec["servers"] == [{"url": "."}]
    assert not re.search(r"https?://", json.dumps(spec))


def test_intervals_are_described_if_rows_were_held_out(one_feature: LinearModel) -> None:
    actual = np.arange(20.0)
    evaluation = Evaluation.of(actual, actual + 1, mean=9.5, digest="d", source="", created="")
    with_intervals = document(load(one_feature, "d", evaluation), name="m", version=None)
    for path in ("/stream", "/batch", "/stream/{instance}", "/batch/{instances}"):
        (operation,) = with_intervals["paths"][path].values()
        (parameter,) = [found for found in operation["parameters"] if found["in"] == "query"]
        assert parameter["schema"]["maximum"] == 20 / 21
    without = document(load(one_feature), name="m", version=None)
    assert without["paths"]["/stream"]["post"]["parameters"] == []
