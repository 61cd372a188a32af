# ruff: noqa: E501  lists of odd things read better in few lines
"""No form of a body keeps the event loop busy for long: it is answered quickly, or left to a thread."""

import contextlib
import gc
import io
import json
import math
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from predictor.codecs.cost import TooCostly
from predictor.endpoints import native, v1, v2
from predictor.endpoints.ndjson import Records, Unreadable
from predictor.errors import PredictorError
from predictor.messages import ARROW, BINARY, CSV, Request, RequestHeaders
from predictor.model.inputs import Input
from predictor.settings import Settings
from tests.support.arrow import arrow_stream
from tests.support.models import linear_model, mixed_model
from tests.support.service import Endpoint, make_service

pytestmark = pytest.mark.slow

LIMIT = 0.03
"""Seconds of processor time; the aim is 0.01, and a busy machine is slower."""

TRIES = 10
"""As the processor is shared, one try may take several times as long as another."""

SIZE = Settings().inline_bytes
SERVICES = {1: make_service(), 3: make_service((1.0, 2.0, 3.0))}
ROW = {1: "[1]", 3: "[1,1,1]"}
OBJECT = {1: '{"bmi":1}', 3: '{"s1":1,"bmi":1,"bp":1}'}


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """Garbage collection looks at new objects only, as in the server."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def fill(start: str, unit: str, end: str, between: str = ",", size: int = SIZE) -> bytes:
    """Repeat a unit until the body is as long as the event loop takes it."""
    count = (size - len(start) - len(end)) // len(unit + between)
    return f"{start}{between.join([unit] * count)}{end}".encode()


def rows(width: int) -> Iterator[bytes]:
    row, key = ROW[width], '{"instances":['
    for unit in (row, OBJECT[width], '""', "[]", "NaN", row.replace("1", "NaN"), row.replace(",", " , ")):
        yield fill(key, unit, "]}")
        yield fill(key, unit, ",null]}")
        yield fill(key, unit, f",{row.replace('1', '9' * 25)}]}}")
    yield fill(key, f"{row}, {row.replace('[', '[ ')}", "]}")
    yield fill(key, "[" * 900 + "]" * 900, "]}")
    yield fill("{", '"x":1', ',"instances":[1]}')
    yield fill('{"x":[', "1", '],"instances":[1]}')
    yield fill(key, row, "")
    yield fill('{"inputs":{"x":[', "1", "]}}")
    yield json.dumps({"inputs": {f"x{i}": [1] for i in range(SIZE // 12)}}).encode()


def tensors(width: int) -> Iterator[tuple[RequestHeaders, bytes]]:
    plain = RequestHeaders()
    for datatype in ("FP64", "FP16", "UINT8", "BOOL"):
        for unit in ("1", "[1]", "[[1]]", "true", "1.5", '"1"'):
            count = (SIZE - 200) // len(unit + ",") // width * width
            start = f'{{"inputs":[{{"name":"x","shape":[{count // width},{width}],"datatype":"{datatype}","data":['
            yield plain, f"{start}{','.join([unit] * count)}]}}]}}".encode()
    raw = b"\1" * ((SIZE - 200) // width * width)
    head = f'{{"inputs":[{{"name":"x","shape":[{len(raw) // width},{width}],"datatype":"BOOL","parameters":{{"binary_data_size":{len(raw)}}}}}]}}'
    yield RequestHeaders(BINARY, json_length=str(len(head)).encode()), head.encode() + raw
    yield plain, fill('{"inputs":[', "{}", "]}")
    yield plain, fill('{"inputs":[', '{"name":"a","shape":[1],"datatype":"FP64","data":[1]}', "]}")
    yield plain, fill('{"parameters":{', '"a":[1]', '},"inputs":[]}')


def tables(width: int) -> Iterator[bytes]:
    line = ROW[width].strip("[]")
    for unit in (line, f"{line}\n", line.replace("1", '"1"'), ",", "x,", "1,", '"\n",'):
        yield fill("", unit, "\n", between="\n")
        yield fill("", unit, "\n", between="\r")
        yield fill("", unit, "\n", between="")
    yield b"\n" * SIZE


def streams(width: int) -> Iterator[bytes]:
    names = ("bmi", "bp", "s1")[:width]
    for columns, size, count in (
        (names, 1, SIZE // 200),
        (names, 0, SIZE // 200),
        (range(500), 1, 1),
        (names, SIZE // width, 1),
    ):
        batch = pa.record_batch({str(name): pa.array([1] * size, pa.uint8()) for name in columns})
        out = io.BytesIO()
        with pa.ipc.new_stream(out, batch.schema) as writer:
            for _ in range(count):
                writer.write_batch(batch)
        yield out.getvalue()


def cases() -> Iterator[tuple[int, Endpoint, RequestHeaders, bytes]]:
    for width in SERVICES:
        for body in rows(width):
            for endpoint in (native.batch, v1.predict, v1.explain):
                yield width, endpoint, RequestHeaders(), body
            yield width, native.stream, RequestHeaders(), body.replace(b"instances", b"instance", 1)
        for headers, body in tensors(width):
            yield width, v2.infer, headers, body
        for media, bodies in ((CSV, tables(width)), (ARROW, streams(width))):
            for body in bodies:
                yield width, native.batch, RequestHeaders(media), body


CATEGORY = Input("city", 0, 1, type="category", categories=("a", "bb"), missing=1.0)
TYPED = {
    "category": make_service(model=linear_model(((1.0, 2.0),), features=[CATEGORY])),
    "mixed": make_service(model=mixed_model()),
}
VALUES = {"category": ['"a"', "null", "7", '"\\u0061"'], "mixed": ['1,null,null,"Bern","x"', '1,1,0,"",""']}


def typed_cases(kind: str, size: int) -> Iterator[tuple[Endpoint, RequestHeaders, bytes]]:
    """Bodies for a model of one category, or of mixed inputs."""
    key = '{"instances":['
    for values in VALUES[kind]:
        for unit in (f"[{values}]", f'{{"city":{values}}}', f'{{"x":"","city":{values}}}', values):
            for end in ("]}", ",{}]}", ""):
                yield native.batch, RequestHeaders(), fill(key, unit, end, size=size)
        yield v1.predict, RequestHeaders(), fill('{"inputs":{"city":[', values, "]}}", size=size)
        for unit in (values, f"[{values}]"):
            head = '{"inputs":[{"name":"city","shape":[9],"datatype":"BYTES","data":['
            yield v2.infer, RequestHeaders(), fill(head, unit, "]}]}", size=size)
    for line in ("a", '"a"', "", "1,,true,Bern,x", '1,,true,"Bern",x', "1,,,,", ",", "x,city"):
        yield native.batch, RequestHeaders(CSV), fill("", line, "\n", between="\n", size=size)
    raw = b"\1\0\0\0a" * (size // 5 - 60)
    head = f'{{"inputs":[{{"name":"city","shape":[{len(raw) // 5}],"datatype":"BYTES","parameters":{{"binary_data_size":{len(raw)}}}}}]}}'
    yield v2.infer, RequestHeaders(BINARY, json_length=str(len(head)).encode()), head.encode() + raw
    for count, column in (
        (size // 5, pa.array(["a"] * (size // 5))),
        (size, pa.array(["a"] * size).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))),
        (900_000, pa.nulls(900_000)),
        (size // 16, pa.array(["a"] * (size // 16), pa.string_view())),
        (8 * size, pa.array([True] * (8 * size))),
    ):
        more = (
            {}
            if kind == "category"
            else {name: pa.array([1] * count, pa.uint8()) for name in ("age", "code")}
        )
        yield (
            native.batch,
            RequestHeaders(ARROW),
            arrow_stream({"city": column, "member": column, "income": column, **more}),
        )


@pytest.mark.parametrize("kind", TYPED)
@pytest.mark.parametrize("size", [2**15 - 100, SIZE])  # what is decoded there, and what is left to a thread
def test_no_body_of_typed_inputs_takes_long_on_the_event_loop(kind: str, size: int) -> None:
    slow = {}
    for endpoint, headers, body in typed_cases(kind, size):
        request = Request(headers, body, inline=True)
        took = seconds(lambda: endpoint(TYPED[kind], request))  # noqa: B023  it is called at once
        if took > LIMIT:
            slow[f"{endpoint.__name__} {body[:60]!r} {len(body)}"] = took
    assert not slow


def seconds(work: Callable[[], object]) -> float:
    """The processor time of the first try within the limit, or the least of several, whatever comes out."""
    found: list[float] = []
    while min(found, default=math.inf) > LIMIT and len(found) < TRIES:
        started = time.thread_time()
        with contextlib.suppress(TooCostly, PredictorError):
            work()
        found.append(time.thread_time() - started)
    return min(found)


def test_no_body_takes_long_on_the_event_loop() -> None:
    slow = {}
    for width, endpoint, headers, body in cases():
        request = Request(headers, body, inline=True)
        took = seconds(lambda: endpoint(SERVICES[width], request))  # noqa: B023  it is called at once
        if took > LIMIT:
            slow[f"{width} {endpoint.__name__} {body[:60]!r}"] = took
    assert not slow


@pytest.mark.parametrize("width", [1, 3])
def test_no_step_of_a_stream_of_records_takes_long(width: int) -> None:
    units = (
        f'{{"instance":{ROW[width]}}}',
        f'{{"instance":{OBJECT[width]}}}',
        '{"instance":null}',
        "x",
        "",
        '{"instance":NaN}',
    )
    long = (
        "1," * 500_000,
        "NaN," * 250_000,
        "[" * 10**6,
        " " * 10**6,
        "1" * 10**6,
        ",".join(f'"{i}":1' for i in range(80_000)),
    )
    texts = [fill("", unit, "\n", between="\n") * 2 for unit in units]
    texts += [
        f'{{"instance":{start}{text}{end}}}\n'.encode()
        for text in long
        for start, end in (("[", "1]"), ("{", "}"), ("", "1"))
    ]
    for text in texts:
        assert any(longest_step(width, text) < LIMIT for _ in range(TRIES)), text[:60]


def longest_step(width: int, text: bytes) -> float:
    """The processor time of the longest step."""
    answers = Records(SERVICES[width]).feed(text)
    longest, ended = 0.0, False
    while not ended:
        started = time.thread_time()
        try:
            ended = next(answers, None) is None
        except Unreadable:  # too many errors
            ended = True
        longest = max(longest, time.thread_time() - started)
    return longest
