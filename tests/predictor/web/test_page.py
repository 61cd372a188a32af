"""The page on which to try the model."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from predictor.messages import Request, RequestHeaders
from predictor.model.base import Distribution, Model, Reference
from predictor.model.evaluation import Evaluation
from predictor.model.inputs import Column, Input
from predictor.model.kinds.linear import LinearModel
from predictor.model.kinds.trees import TreeModel
from predictor.web.html import Page
from predictor.web.page import index, page
from predictor.web.site import Site
from tests.support.models import linear_model
from tests.support.service import load, make_service

Read = Callable[[Page], Any]


def render(model: Model, name: str = "linear-regressor", version: str | None = "3") -> Page:
    return page(load(model, "ab12" * 16), name=name, version=version)


def script_data(reader: Any) -> Any:
    scripts = reader.named("script")
    assert [script.get("type") for script in scripts] == ["application/json", None]
    return json.loads(reader.texts["script"][0])


def test_page_shows_name_version_and_digest(one_feature: LinearModel) -> None:
    html = render(one_feature).html.decode()
    assert "<bdi>linear-regressor</bdi>" in html
    assert "version 3" in html
    assert "ab12" * 16 in html


def test_page_says_when_there_is_no_version(one_feature: LinearModel) -> None:
    assert "no version" in render(one_feature, version=None).html.decode()


def test_feature_shows_its_unit_and_training_range(three_features: LinearModel) -> None:
    html = render(three_features).html.decode()
    assert "<bdi>mmHg</bdi> · 60 to 140" in html
    assert "no unit · −0.09 to 0.17" in html  # noqa: RUF001
    assert "Numbers without a unit were plain numbers in training" in html


def test_page_says_when_no_feature_has_a_unit(one_feature: LinearModel) -> None:
    assert "The number has no unit" in render(one_feature).html.decode()


def test_booleans_and_categories_are_chosen_from_lists(one_feature: LinearModel) -> None:
    inputs = (
        Input("garden", 0, 1, type="boolean"),
        Input("city", 0, 1, type="category", categories=("<Bern>", "Genf"), missing=0.0),
    )
    shares = Distribution.of_input(inputs[0], np.array([0.0, 1.0, 1.0]))
    cities = Distribution.of_input(inputs[1], np.array([0.0, 1.0, 1.0]))
    model = LinearModel(
        (1.0, (2.0, 3.0)),
        0.0,
        inputs,
        one_feature.target,
        Reference(3, {"garden": shares, "city": cities}, shares),
    )
    html = render(model).html.decode()
    assert '<option value="0">false</option><option value="1">true</option></select>' in html
    assert '<option value="0">&lt;Bern&gt;</option><option value="1">Genf</option>' in html
    assert '<option value="">missing</option>' in html
    assert "2 categories · may be missing" in html
    assert "{&quot;instance&quot;: [true, &quot;Genf&quot;]}" in html


def test_quality_stands_on_the_page(one_feature: LinearModel, read: Read) -> None:
    evaluation = Evaluation.of(
        np.full(9, 3.0),
        np.zeros(9),
        mean=8.0,
        digest="",
        source="<b>.csv",
        created="2026-01-02T03:04:05+00:00",
    )
    found = page(load(one_feature, "d", evaluation), name="m", version="1")
    html = found.html.decode()
    assert "<dd>3 (root mean squared)</dd>" in html
    assert "<dt>Error of always predicting the mean</dt><dd>5</dd>" in html
    assert "<bdi>&lt;b&gt;.csv</bdi>" in html
    assert script_data(read(found))["interval"] == {"level": 0.9, "half": 3.0}
    few = replace(evaluation, rows=8, ranks=(8,), residuals=(3.0,))
    found = page(load(one_feature, "d", few), name="m", version="1")
    assert script_data(read(found))["interval"] is None
    assert "not evaluated on held-out rows" in render(one_feature).html.decode()


def test_counts_are_whole_numbers(one_feature: LinearModel, read: Read) -> None:
    rooms = Distribution.of(np.arange(1.0, 10.0), bins=4)
    model = LinearModel(
        (1.0,), 0.0, (Input("rooms", 1, 9),), one_feature.target, Reference(9, {"rooms": rooms}, rooms)
    )
    assert script_data(read(render(model)))["features"][0]["whole"]
    assert not script_data(read(render(one_feature)))["features"][0]["whole"]


def test_formula_shows_every_weight_and_its_sign(three_features: LinearModel) -> None:
    formula = re.search(r'<p class="formula">(.*?)</p>', render(three_features).html.decode(), re.DOTALL)
    assert formula
    words = re.sub(r"<[^>]+>", "", formula[1])
    assert words == "progression = 938.25 × bmi − 0.5 × pressure + 12 × sex + 152.5"  # noqa: RUF001


def test_table_shows_the_exact_weights(three_features: LinearModel) -> None:
    html = render(three_features).html.decode()
    assert '<th scope="row"><bdi>pressure</bdi></th><td>-0.5</td><td>mmHg</td><td>60.0</td>' in html


def test_curl_example_uses_the_training_means(three_features: LinearModel) -> None:
    html = render(three_features).html.decode()
    assert "{&quot;instance&quot;: [0.04, 100, 1.5]}" in html
    assert "/stream<span" in html


def test_script_gets_the_data_it_draws(one_feature: LinearModel, read: Read) -> None:
    model = script_data(read(render(one_feature)))
    (feature,) = model["features"]
    assert model["explain"] == "v1/models/linear-regressor:explain"
    assert model["target"] == {"name": "progression", "unit": None, "minimum": 25.0, "maximum": 346.0}
    assert (feature["typical"], feature["minimum"], feature["maximum"]) == (pytest.approx(0.04), -0.09, 0.17)
    assert feature["curve"][0] == [-0.09, 938.25 * -0.09 + 152.5]
    assert feature["curve"][-1] == [0.17, 938.25 * 0.17 + 152.5]
    assert len(feature["proportions"]) == len(feature["edges"]) + 1


def test_a_kind_without_weights_is_drawn_by_asking_it(trees: TreeModel, read: Read) -> None:
    html = render(trees).html.decode()
    assert "3 regression trees of depth 1 at most, for target." in html
    assert '<th scope="col">Splits</th>' in html
    assert 'class="formula"' not in html
    assert '<section id="sums" class="sums" hidden' in html
    model = script_data(read(render(trees)))
    assert model["explain"] is None
    values, predictions = zip(*model["features"][1]["curve"], strict=True)
    assert (values[0], values[-1]) == (60.0, 140.0)
    assert set(predictions) == {trees.row(trees.typical)}


def test_a_model_of_very_many_inputs_has_a_short_page() -> None:
    model = linear_model([1.0] * 300, features=[f"x{i}" for i in range(300)])
    assert len(render(model).html) < 2_000_000


def test_every_input_has_a_label(three_features: LinearModel, read: Read) -> None:
    reader = read(render(three_features))
    labelled = {label.get("for") for label in reader.named("label")}
    inputs = [
        item for item in reader.named("input") if item["id"] not in ("key", "csv-file")
    ]  # these stand in their labels
    assert len(inputs) == 6
    assert all(item["id"] in labelled or item.get("aria-label") for item in inputs)


def test_references_between_elements_resolve(three_features: LinearModel, read: Read) -> None:
    reader = read(render(three_features))
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in reader.elements:
        for key in ("for", "aria-labelledby", "aria-describedby", "data-copy"):
            assert set((attributes.get(key) or "").split()) <= set(ids)


def test_page_has_every_element_the_script_uses(one_feature: LinearModel) -> None:
    html = render(one_feature).html.decode()
    asked = set(re.findall(r'byId\("([\w-]+)"\)', html))
    assert asked
    assert asked <= set(re.findall(r'id="([\w-]+)"', html))


def test_escapes_names_everywhere(hostile: LinearModel, read: Read) -> None:
    found = render(hostile, name="<b>&</b>", version="<u>1</u>")
    reader = read(found)
    plain = read(render(hostile, name="m", version="1"))
    assert not reader.named("img")
    assert [tag for tag, _ in reader.elements] == [tag for tag, _ in plain.elements]
    assert [feature["name"] for feature in script_data(reader)["features"]][:3] == [
        column.name for column in hostile.inputs
    ][:3]


def test_template_syntax_in_names_is_not_expanded(hostile: LinearModel) -> None:
    assert "$style ${data} {model} %s" in render(hostile).html.decode()


def test_security_policy_allows_only_the_script_and_style_of_the_page(one_feature: LinearModel) -> None:
    found = render(one_feature)
    html, policy = found.html.decode(), found.content_security_policy
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


def test_page_stays_within_its_security_policy(three_features: LinearModel, read: Read) -> None:
    reader = read(render(three_features))
    for tag, attributes in reader.elements:
        assert "style" not in attributes
        assert not any(key.startswith("on") for key in attributes)
        assert "src" not in attributes
        address = attributes.get("href") or ""
        assert not re.match(r"(https?:|//|/)", address), f"{tag} refers to {address}"


def test_headers_hold_content_type_policy_and_etag(
    one_feature: LinearModel, three_features: LinearModel
) -> None:
    for_browsers = Request(RequestHeaders(accept=(b"text/html",)))
    answers = [
        Site(make_service(model=model).handle).root(for_browsers)
        for model in (one_feature, one_feature, three_features)
    ]
    assert {answer.content_type for answer in answers} == {b"text/html; charset=utf-8"}
    headers, again, others = (dict(answer.headers) for answer in answers)
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'; script-src 'sha256-")
    assert headers[b"etag"] == again[b"etag"] != others[b"etag"]


@pytest.mark.parametrize("value", [1.7e308, 5e-324, 0.0, -1.0])
def test_renders_constant_and_extreme_features(value: float, read: Read) -> None:
    spread = Distribution(mean=value, deviation=0.0, edges=(), proportions=(1.0,))
    column = Input("x", value, value)
    model = LinearModel((1.0,), 0.0, (column,), Column("y", 0.0, 1.0), Reference(1, {"x": spread}, spread))
    assert script_data(read(render(model)))["features"][0]["minimum"] == value


def test_index_lists_features_target_and_links(three_features: LinearModel) -> None:
    found = index(load(three_features), name="linear-regressor", version="3")
    assert [feature["name"] for feature in found["features"]] == ["bmi", "pressure", "sex"]
    assert found["features"][1]["unit"] == "mmHg"
    assert found["target"]["name"] == "progression"
    assert found["ready"]
    assert found["links"]["v2"] == "v2/models/linear-regressor"


def test_index_without_a_model_is_not_ready() -> None:
    found = index(None, name="a model/1", version=None)
    assert not found["ready"]
    assert found["features"] == []
    assert found["links"]["v1"] == "v1/models/a%20model%2F1"
