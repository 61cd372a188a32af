"""The API reference."""

import csv
import html
import io
import re
import shlex
from typing import Any

import pytest

from predictor.model.kinds.linear import LinearModel
from predictor.web.docs_page import docs
from predictor.web.openapi import document
from tests.support.service import load


def curl_commands(page: str) -> dict[str, list[str]]:
    """The words of each curl command by the id of its element."""
    found = re.findall(r'<code id="([\w-]+)">(.*?)</code>', page, re.DOTALL)
    return {name: shlex.split(html.unescape(re.sub(r"<[^>]+>", "", line))) for name, line in found}


def rendered(model: LinearModel | None, name: str = "linear-regressor") -> str:
    return docs(document(load(model) if model else None, name=name, version="3")).html.decode()


def test_every_operation_is_listed_and_described(three_features: LinearModel) -> None:
    page, description = rendered(three_features), document(load(three_features), name="m", version="3")
    names = [
        operation["operationId"]
        for item in description["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert all(f'<article id="{name}">' in page and f'href="#{name}"' in page for name in names)


def test_curl_commands_can_be_pasted(one_feature: LinearModel) -> None:
    lines = curl_commands(rendered(one_feature))
    assert lines["predictOne-0"] == ["curl", "http://localhost:8080/stream", "-d", '{"instance": 0.04}']
    assert lines["predictOneByPath-0"] == ["curl", "http://localhost:8080/stream/0.04"]
    assert lines["predictManyByPath-0"][:2] == ["curl", "-g"]
    assert lines["v1Predict-0"][1] == "http://localhost:8080/v1/models/linear-regressor:predict"
    assert lines["log-0"][2:] == ["-H", "Authorization: Bearer $TOKEN"]


def test_csv_body_is_sent_as_binary_data(one_feature: LinearModel) -> None:
    line = curl_commands(rendered(one_feature))["predictMany-1"]
    assert line[2:] == ["-H", "Content-Type: text/csv", "--data-binary", "bmi\n0.04\n-0.025\n0.105"]


def test_every_linked_error_is_explained(one_feature: LinearModel) -> None:
    page = rendered(one_feature)
    linked = set(re.findall(r'href="#(error-\d+)"', page))
    assert linked == set(re.findall(r'id="(error-\d+)"', page))
    assert {"error-400", "error-404", "error-405", "error-413", "error-415", "error-503"} <= linked


def test_escapes_names_everywhere(hostile: LinearModel) -> None:
    page = rendered(hostile, name="<b>'$(reboot)'</b>")
    assert "<img" not in page
    assert "<b>" not in page
    assert curl_commands(page)["v1Ready-0"] == [
        "curl",
        "http://localhost:8080/v1/models/%3Cb%3E%27%24%28reboot%29%27%3C%2Fb%3E",
    ]
    header = next(csv.reader(io.StringIO(curl_commands(page)["predictMany-1"][-1])))
    assert header[:3] == [feature.name for feature in hostile.inputs][:3]


@pytest.mark.parametrize("model", ["one_feature", "three_features", "hostile", None])
def test_page_loads_no_external_resources(model: Any, request: pytest.FixtureRequest, read: Any) -> None:
    found = docs(document(load(request.getfixturevalue(model)) if model else None, name="m", version=None))
    for tag, attributes in read(found).elements:
        assert "src" not in attributes
        assert not {key for key in attributes if key == "style" or key.startswith("on")}
        assert not re.match(r"(https?:|//)", attributes.get("href") or ""), tag
    assert "unsafe" not in found.content_security_policy
