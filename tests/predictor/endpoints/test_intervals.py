"""Intervals around the predictions of ``/stream`` and ``/batch``."""

import io
import json
from dataclasses import replace
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from predictor.endpoints.routing import Routes, interval_of
from predictor.errors import InvalidInput, PredictorError
from predictor.messages import ARROW, CSV, NDJSON, Request, RequestHeaders, Response
from predictor.model.evaluation import Evaluation
from predictor.service.inference import InferenceService
from predictor.web.site import Site
from tests.support.service import make_service

ERRORS = np.arange(1.0, 31.0)
HALF = 28.0
"""Of 30 held-out rows the residual of rank ceil(31 * 0.9)."""


def service_of(rows: int) -> InferenceService:
    service = make_service()
    loaded = service.handle.require()
    evaluation = Evaluation.of(
        ERRORS[:rows], np.zeros(rows), mean=0.0, digest=loaded.digest, source="", created=""
    )
    service.handle.loaded = replace(loaded, evaluation=evaluation)
    return service


SERVICE = service_of(30)


def answer(
    path: str,
    body: bytes = b"",
    *,
    query: bytes = b"interval=0.9",
    media: bytes = b"",
    service: InferenceService = SERVICE,
) -> Response:
    headers = RequestHeaders(media) if media else RequestHeaders()
    route = Routes(service, Site(service.handle)).find(path, query)
    return route.handler("POST" if body else "GET")(Request(headers, body))


def test_one_prediction_has_an_interval() -> None:
    found = json.loads(answer("/stream", b'{"instance": 0.5}').body)
    assert found == {"prediction": 621.125, "interval": [621.125 - HALF, 621.125 + HALF]}
    assert json.loads(answer("/stream/0.5").body) == found


def test_many_predictions_have_an_interval_each() -> None:
    found = json.loads(answer("/batch/", b'{"instances": [0.5, 0]}').body)
    assert found == {
        "predictions": [621.125, 152.0],
        "intervals": [[621.125 - HALF, 621.125 + HALF], [152.0 - HALF, 152.0 + HALF]],
    }
    assert json.loads(answer("/batch/[0.5,0]").body) == found


def test_csv_and_arrow_have_the_ends_in_columns() -> None:
    lines = answer("/batch", b"0.5\n0\n", media=CSV).body.decode().splitlines()
    assert lines == ["prediction,low,high", "621.125,593.125,649.125", "152.0,124.0,180.0"]
    out = io.BytesIO()
    batch = pa.record_batch({"bmi": pa.array([0.5, 0.0])})
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    table = pa.ipc.open_stream(answer("/batch", out.getvalue(), media=ARROW).body).read_all()
    assert table.to_pydict() == {
        "prediction": [621.125, 152.0],
        "low": [593.125, 124.0],
        "high": [649.125, 180.0],
    }


@pytest.mark.parametrize(
    ("service", "query", "message"),
    [
        (
            service_of(8),
            b"interval=0.9",
            "interval: 0.9 needs 9 held-out rows; this model was evaluated on 8",
        ),
        (SERVICE, b"interval=0.99", "needs 99 held-out rows"),
        (SERVICE, b"interval=1", "expected a probability between 0 and 1, got 1"),
        (SERVICE, b"interval=wide", 'interval: "wide" is not a number'),
        (make_service(), b"interval=0.9", "it is not known how good this model is"),
    ],
)
@pytest.mark.parametrize("path", ["/stream", "/batch", "/stream/0.5", "/batch/[0.5]"])
def test_an_interval_that_cannot_be_given_is_refused(
    path: str, service: InferenceService, query: bytes, message: str
) -> None:
    body = {"/stream": b'{"instance": 0.5}', "/batch": b'{"instances": [0.5]}'}.get(path, b"")
    with pytest.raises(PredictorError, match=message) as raised:
        answer(path, body, query=query, service=service)
    assert raised.value.status == 400


def test_a_stream_of_records_has_no_intervals() -> None:
    routes = Routes(SERVICE, Site(SERVICE.handle))
    assert routes.find("/stream").takes_records
    assert not routes.find("/stream", b"interval=0.9").takes_records
    with pytest.raises(PredictorError, match="unsupported content type application/x-ndjson"):
        answer("/stream", b'{"instance": 0.5}\n', media=NDJSON)


def test_other_queries_and_paths_are_as_without_one() -> None:
    routes = Routes(SERVICE, Site(SERVICE.handle))
    assert routes.find("/stream", b"x=1") is routes.find("/stream")
    assert routes.find("/streams", b"interval=0.9").endpoint == "unknown"
    assert interval_of(b"interval=0.5&x=1&interval=0.9") == "0.9"
    assert interval_of(b"x=1&interval=") == ""
    assert interval_of(b"int=1&level=0.9&v=2&_=17&" + b"&".join(b"x%d=1" % i for i in range(3000))) == ""


@pytest.mark.parametrize("path", ["/stream", "/batch", "/stream/0.5", "/batch/[0.5]"])
@pytest.mark.parametrize("name", ["intervall", "Interval", "intervals", "inteval", "interval\ud7ff"])
def test_a_mistyped_interval_is_refused_and_not_ignored(path: str, name: str) -> None:
    body = {"/stream": b'{"instance": 0.5}', "/batch": b'{"instances": [0.5]}'}.get(path, b"")
    query = f"x=1&{quote(name)}=0.9".encode()
    with pytest.raises(
        InvalidInput, match=r'unknown query parameter ".+"; did you mean "interval"\?'
    ) as raised:
        answer(path, body, query=query)
    assert raised.value.status == 400
    route = Routes(SERVICE, Site(SERVICE.handle)).find(path, query)
    assert (route.small, route.takes_records, route.scope) == (None, False, "predict")
    assert list(route.handlers) == ["POST" if body else "GET"]
