"""CloudEvents: whatever a client sends is read, or refused as its fault, and data keep every byte."""

import json
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.codecs.cost import TooCostly
from predictor.endpoints import v1, v2
from predictor.errors import InvalidInput, PredictorError, UnsupportedMediaType
from predictor.identity import Identity
from predictor.kserve_compat import cloud_events
from predictor.messages import BINARY, Request, RequestHeaders, Response
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.service.inference import InferenceService
from predictor.settings import Settings
from tests.support.models import linear_model

ATTRIBUTES = {"specversion": "1.0", "id": "order-17", "source": "/orders", "type": "example"}
STRUCTURED = b"application/cloudevents+json"


class Reader:
    """A handler that remembers what it was given."""

    def __init__(self, response: Response | None = None) -> None:
        self.response = response or Response(b"{}")
        self.body: bytes | bytearray = b""
        self.headers = RequestHeaders()

    def __call__(self, request: Request) -> Response:
        self.body, self.headers = request.body, request.headers
        return self.response


@pytest.fixture(scope="module")
def service() -> InferenceService:
    handle = ModelHandle("linear-regressor", Path("models/7"))
    handle.loaded = LoadedModel(linear_model(), "digest", 0.0)
    return InferenceService(handle, Settings())


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def request_of(fields: dict[bytes, bytes], body: bytes) -> Request:
    return Request(RequestHeaders.of(fields), body, fields, identity=Identity.of_fields(fields))


def structured(body: bytes, content_type: bytes = STRUCTURED) -> Request:
    return request_of({b"content-type": content_type}, body)


def event(data: bytes = b"{}", name: str = "data", **more: object) -> bytes:
    """Write an event in the JSON format whose data are bytes of JSON."""
    return b'%b,"%b":%b}' % (json.dumps(ATTRIBUTES | more)[:-1].encode(), name.encode(), data)


def binary(body: bytes = b"{}", **attributes: str) -> Request:
    fields = {f"ce-{name}".encode(): value.encode() for name, value in (ATTRIBUTES | attributes).items()}
    return request_of(fields, body)


def with_equal_keys(values: list[str]) -> str:
    members = [f'"a": {value}' for value in values]
    return f"{{{','.join(members)}}}"


JSON_TEXT = st.recursive(
    st.sampled_from(["1e999", "-0.0", "1E+400", "9" * 400, '"\\u00e9"', "null", "true", "0.10", ' "x" '])
    | st.text().map(json.dumps).filter(lambda text: "\\ud" not in text),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: f"[ {' , '.join(parts)}]")
        | st.lists(inner, max_size=4).map(with_equal_keys)
    ),
    max_leaves=20,
)


@given(text=JSON_TEXT)
def test_data_keep_every_byte(service: InferenceService, reader: Reader, text: str) -> None:
    """Numbers that no Python type holds among them, and keys that are there twice."""
    cloud_events.wrap(reader, service)(structured(event(text.encode())))
    assert reader.body == text.strip().encode()


@given(data=st.binary())
def test_data_base64_is_decoded(service: InferenceService, reader: Reader, data: bytes) -> None:
    body = event(b'"%b"' % b64encode(data), "data_base64", datacontenttype="application/octet-stream")
    cloud_events.wrap(reader, service)(structured(body))
    assert (reader.body, reader.headers.media) == (data, BINARY)


NAMES = st.sampled_from([*ATTRIBUTES, "data", "data_base64", "datacontenttype", "time", "x"])
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("1.0") | st.lists(st.none())
)
FIELDS = st.dictionaries(
    NAMES.map(lambda name: f"ce-{name}".encode()) | st.just(b"content-type"),
    st.binary() | st.just(b"1.0") | st.sampled_from([STRUCTURED, b"application/cloudevents-batch+json"]),
)


@given(
    fields=FIELDS,
    body=st.binary()
    | st.dictionaries(NAMES, VALUES).map(lambda given: json.dumps(ATTRIBUTES | given).encode())
    | JSON_TEXT.map(lambda text: event(b'{"instances":%b,"inputs":%b}' % (text.encode(), text.encode()))),
    content_type=st.just(STRUCTURED) | st.binary(),
)
def test_refuses_whatever_is_wrong_as_the_fault_of_the_client(
    service: InferenceService, fields: dict[bytes, bytes], body: bytes, content_type: bytes
) -> None:
    for handler in (v1.predict, v1.explain, v2.infer):
        handle = cloud_events.wrap(lambda request, handler=handler: handler(service, request), service)  # type: ignore[misc]
        for given_fields in (fields, {b"content-type": content_type}):
            try:
                request = request_of(given_fields, body)
                response = handle(request)
            except PredictorError as error:
                assert 400 <= error.status < 500  # noqa: PT017  a success is no failure of the test
            else:
                assert response.status == 200


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "the body is empty"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `specversion`"),
        (event(id=""), "Expected `str` of length >= 1 - at `$.id`"),
        (event(type=1), "Expected `str`, got `int` - at `$.type`"),
        (event(specversion="2.0"), "unsupported specversion"),
        (event(b'"\\ud800"'), "half of a surrogate pair"),
        (event(b'"\xff"'), "the body is not UTF-8"),
        (event(b"[" * 100_000), "nested too deeply"),
        (event(b'"a secret"', "data_base64"), "Invalid base64"),
        (event(b'"e30=","data":1', "data_base64"), "both data and data_base64"),
        (json.dumps(ATTRIBUTES).encode(), "has no data"),
    ],
)
def test_says_what_is_wrong_with_an_event_without_its_values(
    service: InferenceService, reader: Reader, given: bytes, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        cloud_events.wrap(reader, service)(structured(given))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "media", ["application/cloudevents-batch+json", "application/cloudevents+avro", "application/cloudevents"]
)
def test_refuses_batches_and_other_formats(service: InferenceService, reader: Reader, media: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"use application/cloudevents\+json, with one event"):
        cloud_events.wrap(reader, service)(structured(b"[]", media.encode()))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("order-18", "order-18"),
        ("order%2D18", "order-18"),
        ('"order\\-18"', "order-18"),
        ('"order%2d18"', "order-18"),
    ],
)
def test_the_id_of_an_event_names_its_rows(
    service: InferenceService, reader: Reader, given: str, name: str
) -> None:
    for request in (binary(id=given), structured(event(id=name))):
        cloud_events.wrap(reader, service)(request)
        assert request.id == name
    request = request_of({**binary().fields, b"x-request-id": b"mine"}, b"{}")
    cloud_events.wrap(reader, service)(request)
    assert request.id == "mine"


@pytest.mark.parametrize("value", [b"%C0%A0", b"\xff", b'"%ff"'])
def test_refuses_a_header_field_that_is_not_utf8(
    service: InferenceService, reader: Reader, value: bytes
) -> None:
    fields = {**binary().fields, b"ce-extension": value}
    with pytest.raises(InvalidInput, match="not UTF-8"):
        cloud_events.wrap(reader, service)(request_of(fields, b"{}"))


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ('a%"b\r\n\x7f', "a%25%22b%0D%0A%7F"),
        ("!#~/:", "!#~/:"),
    ],
)
def test_percent_encodes_the_header_fields_of_a_response(reader: Reader, name: str, encoded: str) -> None:
    service = InferenceService(ModelHandle(name, Path("models/7")), Settings())
    response = cloud_events.wrap(reader, service)(binary())
    assert dict(response.headers)[b"ce-source"] == f"io.kserve.inference.{encoded}".encode()


def test_a_binary_response_is_base64_in_a_structured_event(service: InferenceService) -> None:
    reader = Reader(Response(b"\0\xff", content_type=BINARY, rows=3))
    response = cloud_events.wrap(reader, service)(structured(event()))
    document = json.loads(response.body)
    assert (document["datacontenttype"], document["data_base64"]) == ("application/octet-stream", "AP8=")
    assert (response.content_type, response.rows) == (STRUCTURED, 3)


def test_can_be_repeated_in_a_thread(service: InferenceService) -> None:
    """A handler that needs a thread finds the same request there."""
    request = structured(event(b'{"a":1}'))
    bodies = []

    def handler(given: Request) -> Response:
        bodies.append(given.body)
        raise TooCostly

    for _ in range(2):
        with pytest.raises(TooCostly):
            cloud_events.wrap(handler, service)(request)
    assert bodies == [b'{"a":1}'] * 2
    assert (request.body, request.headers.media) == (event(b'{"a":1}'), b"application/json")


def test_type_and_source_of_responses_are_settings(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CE_TYPE", "forecast")
    monkeypatch.setenv("CE_SOURCE", "/forecasts")
    service = InferenceService(ModelHandle("linear-regressor", Path("models/7")), Settings())
    response = cloud_events.wrap(reader, service)(structured(event()))
    found = json.loads(response.body)
    assert (found["type"], found["source"]) == ("forecast", "/forecasts")
