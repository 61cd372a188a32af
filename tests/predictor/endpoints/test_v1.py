import json
from typing import Any

import numpy as np
import pytest

from predictor.codecs.cost import TooCostly
from predictor.endpoints import v1
from predictor.errors import DeadlineExceeded
from predictor.messages import Request, RequestHeaders
from tests.support.models import tree_model
from tests.support.service import answer, make_service

ONE, TWO = make_service(), make_service((1.0, 10.0))


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[0.5, 1], [2, 3]]},
        {"instances": [{"bmi": 0.5, "bp": 1}, {"bp": 3, "bmi": 2}]},
        {"inputs": [[0.5, 1], [2, 3]]},
        {"inputs": [{"bmi": 0.5, "bp": 1}, {"bp": 3, "bmi": 2}]},
        {"inputs": {"bp": [1, 3], "bmi": [0.5, 2]}},
        {"parameters": {}, "inputs": {"bp": [1, 3], "bmi": [0.5, 2]}, "x": [1]},
    ],
)
def test_takes_rows_and_columns(document: Any) -> None:
    response = answer(TWO, v1.predict, json.dumps(document).encode())
    assert json.loads(response.body) == {"predictions": [162.5, 184.0]}
    explained = json.loads(answer(TWO, v1.explain, json.dumps(document).encode()).body)["explanations"]
    assert [item["prediction"] for item in explained] == [162.5, 184.0]
    assert explained[1]["contributions"] == {"bmi": 2.0, "bp": 30.0}


def test_a_kind_without_exact_explanations_answers_501() -> None:
    service = make_service(model=tree_model())
    response = answer(service, v1.explain, b'{"instances":[[0.5]]}')
    assert (response.status, json.loads(response.body)) == (
        501,
        {"error": "a model of the kind trees has no exact explanation of its predictions"},
    )
    assert response.error is not None
    assert response.error.grpc_code == "UNIMPLEMENTED"
    assert json.loads(answer(service, v1.predict, b'{"instances":[[0.5]]}').body) == {"predictions": [1.0]}


def test_predictions_that_take_longer_than_reading_leave_the_event_loop() -> None:
    service = make_service(model=tree_model(trees=100))
    request = Request(RequestHeaders(), b'{"instances":[' + b",".join([b"[1]"] * 20_000) + b"]}", inline=True)
    with pytest.raises(TooCostly):
        v1.predict(service, request)
    request.inline = False
    assert v1.predict(service, request).rows == 20_000
    request.abandoned = True
    with pytest.raises(DeadlineExceeded):
        service.predict(request, np.ones((20_000, 1)))


@pytest.mark.parametrize("count", [3, 100_000])
def test_takes_columns_of_any_length(count: int) -> None:
    columns = {"bp": [1] * count, "bmi": [0.5] * count}
    for document in ({"inputs": columns}, {"x": [[1, 2]] * count, "inputs": columns}):
        response = answer(TWO, v1.predict, json.dumps(document).encode())
        assert json.loads(response.body) == {"predictions": [162.5] * count}


def test_explains_few_rows_on_the_event_loop() -> None:
    body = json.dumps({"instances": [1] * 5000}).encode()
    with pytest.raises(TooCostly):
        v1.explain(ONE, Request(body=body, inline=True))
    assert answer(ONE, v1.explain, body).rows == 5000


def test_explains_a_tenth_of_the_rows_that_are_predicted() -> None:
    service = make_service(max_rows=100)
    body = json.dumps({"instances": [1] * 11}).encode()
    assert answer(service, v1.predict, body).status == 200
    for more in (b"", b" " * 2000):
        assert answer(service, v1.explain, body + more).status == 413
