"""The page on which to try the model."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from predictor.model.artifact import Column, Distribution, LinearModel, Reference
from predictor.web.html import Page
from predictor.web.page import index, page

Read = Callable[[Page], Any]


def made(model: LinearModel, name: str = "linear-regressor", version: str | None = "3") -> Page:
    return page(model, name=name, version=version, digest="ab12" * 16)


def facts(reader: Any) -> Any:
    scripts = reader.named("script")
    assert [script.get("type") for script in scripts] == ["application/json", None]
    return json.loads(reader.texts["script"][0])


def test_the_page_shows_name_version_and_digest(one_feature: LinearModel) -> None:
    html = made(one_feature).html.decode()
    assert "<bdi>linear-regressor</bdi>" in html
    assert "version 3" in html
    assert "ab12" * 16 in html


def test_a_model_without_a_version_says_so(one_feature: LinearModel) -> None:
    assert "no version" in made(one_feature, version=None).html.decode()


def test_a_feature_shows_its_unit_and_training_range(three_features: LinearModel) -> None:
    html = made(three_features).html.decode()
    assert "<bdi>mmHg</bdi> · 60 to 140" in html
    assert "no unit · −0.09 to 0.17" in html  # noqa: RUF001
    assert "Features without a unit were plain numbers in training" in html


def test_a_model_whose_features_have_no_unit_says_so(one_feature: LinearModel) -> None:
    assert "The feature has no unit" in made(one_feature).html.decode()


def test_the_formula_holds_every_weight_and_its_sign(three_features: LinearModel) -> None:
    formula = re.search(r'<p class="formula">(.*?)</p>', made(three_features).html.decode(), re.DOTALL)
    assert formula
    words = re.sub(r"<[^>]+>", "", formula[1])
    assert words == "progression = 938.25 × bmi − 0.5 × pressure + 12 × sex + 152.5"  # noqa: RUF001


def test_the_table_holds_the_exact_weights(three_features: LinearModel) -> None:
    html = made(three_features).html.decode()
    assert '<th scope="row"><bdi>pressure</bdi></th><td>-0.5</td><td>mmHg</td><td>60.0</td>' in html


def test_the_curl_line_asks_for_the_training_means(three_features: LinearModel) -> None:
    html = made(three_features).html.decode()
    assert "{&quot;instance&quot;: [0.04, 100, 1.5]}" in html
    assert "/stream<span" in html


def test_the_script_gets_what_it_draws(one_feature: LinearModel, read: Read) -> None:
    model = facts(read(made(one_feature)))
    (feature,) = model["features"]
    assert model["intercept"] == 152.5
    assert model["target"] == {"name": "progression", "unit": None, "minimum": 25.0, "maximum": 346.0}
    assert (feature["weight"], feature["minimum"], feature["maximum"]) == (938.25, -0.09, 0.17)
    assert len(feature["proportions"]) == len(feature["edges"]) + 1


def test_every_input_has_a_label(three_features: LinearModel, read: Read) -> None:
    reader = read(made(three_features))
    labelled = {label.get("for") for label in reader.named("label")}
    inputs = [item for item in reader.named("input") if item["id"] != "key"]  # this one stands in its label
    assert len(inputs) == 6
    assert all(item["id"] in labelled or item.get("aria-label") for item in inputs)


def test_every_reference_between_elements_holds(three_features: LinearModel, read: Read) -> None:
    reader = read(made(three_features))
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in reader.elements:
        for key in ("for", "aria-labelledby", "aria-describedby", "data-copy"):
            assert set((attributes.get(key) or "").split()) <= set(ids)


def test_the_script_finds_every_element_it_asks_for(one_feature: LinearModel) -> None:
    html = made(one_feature).html.decode()
    asked = set(re.findall(r'byId\("([\w-]+)"\)', html))
    assert asked
    assert asked <= set(re.findall(r'id="([\w-]+)"', html))


def test_a_name_is_text_wherever_it_stands(hostile: LinearModel, read: Read) -> None:
    found = made(hostile, name="<b>&</b>", version="<u>1</u>")
    reader = read(found)
    plain = read(made(hostile, name="m", version="1"))
    assert not reader.named("img")
    assert [tag for tag, _ in reader.elements] == [tag for tag, _ in plain.elements]
    assert [feature["name"] for feature in facts(reader)["features"]][:3] == [
        column.name for column in hostile.features
    ][:3]


def test_a_name_in_a_template_s_own_language_stays_as_it_is(hostile: LinearModel) -> None:
    assert "$style ${data} {model} %s" in made(hostile).html.decode()


def test_the_policy_allows_this_script_and_this_style_alone(one_feature: LinearModel) -> None:
    found = made(one_feature)
    html, policy = found.html.decode(), found.content_security_policy
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


def test_nothing_on_the_page_needs_more_than_the_policy_allows(
    three_features: LinearModel, read: Read
) -> None:
    reader = read(made(three_features))
    for tag, attributes in reader.elements:
        assert "style" not in attributes
        assert not any(key.startswith("on") for key in attributes)
        assert "src" not in attributes
        address = attributes.get("href") or ""
        assert not re.match(r"(https?:|//|/)", address), f"{tag} refers to {address}"


def test_the_headers_name_policy_type_and_a_tag_of_the_content(
    one_feature: LinearModel, three_features: LinearModel
) -> None:
    headers, others = made(one_feature).headers, made(three_features).headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == made(one_feature).content_security_policy
    assert headers["etag"] == made(one_feature).headers["etag"] != others["etag"]


@pytest.mark.parametrize("value", [1.7e308, 5e-324, 0.0, -1.0])
def test_a_feature_of_a_single_value_or_an_extreme_one_has_a_page(value: float, read: Read) -> None:
    spread = Distribution(mean=value, deviation=0.0, edges=(), proportions=(1.0,))
    column = Column("x", value, value)
    model = LinearModel((1.0,), 0.0, (column,), Column("y", 0.0, 1.0), Reference(1, {"x": spread}, spread))
    assert facts(read(made(model)))["features"][0]["minimum"] == value


def test_the_index_names_features_target_and_links(three_features: LinearModel) -> None:
    found = index(three_features, name="linear-regressor", version="3", digest="ab12")
    assert [feature["name"] for feature in found["features"]] == ["bmi", "pressure", "sex"]
    assert found["features"][1]["unit"] == "mmHg"
    assert found["target"]["name"] == "progression"
    assert found["ready"]
    assert found["links"]["v2"] == "v2/models/linear-regressor"


def test_the_index_without_a_model_says_that_it_is_not_ready() -> None:
    found = index(None, name="a model/1", version=None, digest=None)
    assert not found["ready"]
    assert found["features"] == []
    assert found["links"]["v1"] == "v1/models/a%20model%2F1"
