"""A table of mixed values in every form in which a client can send it."""

import csv
import io
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.messages import ARROW, BINARY, CSV, JSON, NDJSON
from tests.support.models import MIXED
from tests.support.server import NAME

V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
GRPC = "gRPC"
"""Instead of a path: the body is a message for ModelInfer."""

Row = Sequence[Any]
"""The values of ``MIXED``; None where one is missing."""


class Form(NamedTuple):
    """A table in a form: its name, where it is sent, its body, its media type, and the length of its JSON."""

    name: str
    path: str
    body: bytes
    media: bytes = JSON
    json_length: bytes | None = None


MIXED_ROWS: list[Row] = [
    (30.5, None, True, "Zürich", "7"),
    (18, 2.25, None, None, "x"),
    (90.0, 0, False, "Genf, Nord", "other"),
    (41.125, 1e-3, True, "Bern", "ß"),
]


def prediction(row: Row) -> float:
    """Predict a row as ``mixed_model`` does, without the predictor."""
    age, income, member, city, code = row
    return float(
        0.5 * age
        + 2.0 * (0.5 if income is None else income)
        - 3.0 * (True if member is None else member)
        + {"Bern": 1.0, "Zürich": 2.0, "Genf, Nord": 4.0, None: 4.0}[city]
        + {"x": 10.0, "7": 20.0}.get(code, 0.0)
        + 100.0
    )


def forms(rows: Sequence[Row]) -> Iterator[Form]:
    """Yield every form of a table."""
    names = MIXED.names
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    objects = [dict(zip(("id", *reversed(names)), ("one", *reversed(row)), strict=True)) for row in rows]
    for path in ("/batch", V1):
        yield Form("lists", path, _json({"instances": rows}))
        yield Form("objects", path, _json({"instances": objects}))
    yield Form("columns", V1, _json({"inputs": {"id": [[1]], **columns}}))
    yield from _lines(rows, objects)
    yield from _csv(rows)
    yield from _arrow(columns)
    yield from _tensors(columns)
    yield from _messages(columns)


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _lines(rows: Sequence[Row], objects: Sequence[dict[str, Any]]) -> Iterator[Form]:
    for name, instances in (("lists", rows), ("objects", objects)):
        lines = b"".join(_json({"instance": instance}) + b"\n" for instance in instances)
        yield Form(f"NDJSON of {name}", "/stream", lines, NDJSON)


def _csv(rows: Sequence[Row]) -> Iterator[Form]:
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        for header in (None, [*MIXED.names], ["id", *MIXED.names, "42"]):
            out = io.StringIO(newline="")
            writer = csv.writer(out, quoting=quoting)
            more = header is not None and "id" in header
            writer.writerows([header] if header else [])
            writer.writerows([["a,b", *row, 3] if more else row for row in rows])
            name = f"CSV, {header}, {'all' if quoting == csv.QUOTE_ALL else 'some'} quoted"
            yield Form(name, "/batch", out.getvalue().encode(), CSV)


def _arrow(columns: dict[str, list[Any]]) -> Iterator[Form]:
    rows = len(columns["age"])
    for kind in (
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string()),
    ):
        table = {name: pa.array(values) for name, values in reversed(columns.items())}
        for name in ("city", "code"):
            texts = pa.array(columns[name], pa.string())
            table[name] = (texts.dictionary_encode() if pa.types.is_dictionary(kind) else texts).cast(kind)
        table["view"] = pa.array(["a text that is longer than a view"] * rows, pa.string_view())
        table["list"] = pa.array([[{"a": [1]}]] * rows)
        for at_once in (None, max(1, rows // 3)):
            yield Form(f"Arrow, {kind}, {at_once}", "/batch", _stream(pa.table(table), at_once), ARROW)


def _stream(table: Any, at_once: int | None) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=at_once)
    return out.getvalue()


_TYPES = {"age": "FP64", "income": "FP64", "member": "BOOL", "city": "BYTES", "code": "BYTES"}


def _tensors(columns: dict[str, list[Any]]) -> Iterator[Form]:
    rows = len(columns["age"])
    for shape in ([rows], [rows, 1]):
        nested = len(shape) > 1
        tensors = [
            {
                "name": name,
                "shape": shape,
                "datatype": _TYPES[name],
                "data": [[value] for value in values] if nested else values,
            }
            for name, values in columns.items()
        ]
        yield Form(f"V2, {len(shape)} sizes", V2, _json({"inputs": tensors}))
    raw = {name: _raw(name, values) for name, values in columns.items()}
    heads = [
        {
            "name": name,
            "shape": [rows],
            "datatype": _sent_type(name),
            "parameters": {"binary_data_size": len(content)},
        }
        for name, content in raw.items()
    ]
    head = _json({"inputs": heads})
    yield Form("V2, binary", V2, head + b"".join(raw.values()), BINARY, str(len(head)).encode())


def _sent_type(name: str) -> str:
    return "FP32" if name == "member" else _TYPES[name]  # a NaN is a missing value


def _raw(name: str, values: list[Any]) -> bytes:
    if _TYPES[name] == "BYTES":
        texts = [(value or "").encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    numbers = np.array(values, np.float64)
    return numbers.astype("<f4" if name == "member" else "<f8").tobytes()


def _messages(columns: dict[str, list[Any]]) -> Iterator[Form]:
    rows = len(columns["age"])
    typed, raw = pb.ModelInferRequest(model_name=NAME), pb.ModelInferRequest(model_name=NAME)
    for name, values in columns.items():
        kind = _sent_type(name)
        raw.inputs.add(name=name, datatype=kind, shape=[rows])
        raw.raw_input_contents.append(_raw(name, values))
        contents = typed.inputs.add(name=name, datatype=kind, shape=[rows]).contents
        if kind == "BYTES":
            contents.bytes_contents.extend([(value or "").encode() for value in values])
        elif kind == "FP32":
            contents.fp32_contents.extend(np.array(values, np.float64).tolist())
        else:
            contents.fp64_contents.extend(np.array(values, np.float64).tolist())
    yield Form("gRPC, typed", GRPC, typed.SerializeToString())
    yield Form("gRPC, raw", GRPC, raw.SerializeToString())


def predictions(form: Form, body: bytes) -> list[float]:
    """Read the predictions in the body of the response to a form."""
    if form.path == GRPC:
        message = pb.ModelInferResponse.FromString(body)
        raw = message.raw_output_contents
        return np.frombuffer(raw[0]).tolist() if raw else list(message.outputs[0].contents.fp64_contents)
    if form.media == CSV:
        return [float(line) for line in body.split()[1:]]
    if form.media == NDJSON:
        return [json.loads(line)["prediction"] for line in body.splitlines()]
    if form.media == ARROW:
        column: list[float] = pa.ipc.open_stream(body).read_all()["prediction"].to_pylist()
        return column
    document = json.loads(body)
    found: list[float] = (
        document["predictions"] if "predictions" in document else document["outputs"][0]["data"]
    )
    return found
