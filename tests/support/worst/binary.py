"""The costly forms of binary tensors, of Arrow streams and of whole connections over HTTP."""

import io
import json
import struct
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tests.support.http import head, post
from tests.support.worst.form import ROWS, V2, Form, Make, fill

_BATCH = "/batch"
_ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
_JSON_BACK = {"Accept": "application/json"}
_LENGTH = "Inference-Header-Content-Length"
_CONTINUATION = 0xFFFFFFFF
_END = struct.pack("<II", _CONTINUATION, 0)


def forms() -> Iterator[Form]:
    """Yield all of them."""
    yield from _tensors()
    yield from _arrow()
    yield from _connections()


def _tensors() -> Iterator[Form]:
    for datatype, itemsize in (("UINT8", 1), ("FP16", 2), ("FP64", 8)):
        yield _binary(datatype, itemsize, {})
    yield _binary("UINT8", 1, {"binary_data_output": True})
    tensor = b'{"name":"a","shape":[0],"datatype":"UINT8","parameters":{"binary_data_size":0}},'
    yield Form("V2, very many binary tensors", V2, _all_json(fill(b'{"inputs":[', tensor, b"{}]}")), raw=True)


def _binary(datatype: str, itemsize: int, parameters: dict[str, bool]) -> Form:
    """Return the form of a document with one binary tensor."""

    def text(count: int) -> bytes:
        size = {"binary_data_size": count * itemsize}
        tensor = {"name": "instances", "shape": [count, 1], "datatype": datatype, "parameters": size}
        return json.dumps({"inputs": [tensor], "parameters": parameters}).encode()

    def make(size: int) -> bytes:
        count = min(ROWS, max(1, (size - len(text(ROWS))) // itemsize))
        return _with_tensors(text(count), b"\1" * (count * itemsize))

    return Form(f"V2, binary {datatype}{', and back' * bool(parameters)}", V2, make, raw=True)


def _all_json(make: Make) -> Make:
    return lambda size: _with_tensors(make(size), b"")


def _with_tensors(text: bytes, content: bytes) -> bytes:
    fields = {"Content-Type": "application/octet-stream", _LENGTH: str(len(text))}
    return post(V2, text + content, fields)


def _arrow() -> Iterator[Form]:
    yield Form("Arrow, INT8", _BATCH, _bytes, _ARROW)
    yield Form("Arrow, INT8, answered as JSON", _BATCH, _bytes, _ARROW | _JSON_BACK)
    yield Form("Arrow, null at the end", _BATCH, _null, _ARROW)
    yield Form("Arrow, very many batches", _BATCH, _batches, _ARROW)
    yield Form("Arrow, very many empty batches", _BATCH, _empty_batches, _ARROW)
    yield Form("Arrow, very many columns", _BATCH, _columns, _ARROW)
    yield Form("Arrow, one column very often", _BATCH, _shared_column, _ARROW)


def _stream(*batches: pa.RecordBatch) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return out.getvalue()


def _bytes(size: int) -> bytes:
    """One column of a byte a row."""
    return _stream(pa.record_batch({"bmi": np.ones(min(ROWS, max(1, size - 512)), np.int8)}))


def _null(size: int) -> bytes:
    rows = min(ROWS, max(2, (size - 512) * 8 // 9))
    missing = np.arange(rows) == rows - 1
    return _stream(pa.record_batch({"bmi": pa.array(np.ones(rows, np.int8), mask=missing)}))


def _batches(size: int) -> bytes:
    return _repeated(pa.record_batch({"bmi": np.ones(1)}), size)


def _empty_batches(size: int) -> bytes:
    return _repeated(pa.record_batch({"bmi": np.ones(0)}), size)


def _repeated(batch: pa.RecordBatch, size: int) -> bytes:
    one, two = _stream(batch), _stream(batch, batch)
    message = two[len(one) - len(_END) : -len(_END)]
    return fill(one[: -len(_END)], message, _END)(size)


def _columns(size: int) -> bytes:
    """A schema with very many different columns."""
    schema = pa.schema([(f"{i:07d}", pa.float64()) for i in range(max(1, (size - 512) // 80))])
    return schema.serialize().to_pybytes()


def _shared_column(size: int) -> bytes:
    """A schema that names one column again and again: each time takes four bytes.

    Tables follow https://flatbuffers.dev/internals, with the fields of Arrow's Message.fbs and Schema.fbs.
    """
    count = max(1, (size - 128) // 4)
    message = struct.pack("<I 6H i hBx I", 16, 12, 12, 4, 6, 8, 0, 12, 4, 1, 12)
    schema = struct.pack("<4H iI", 8, 8, 0, 4, 8, 4)
    first = len(message) + len(schema) + 4
    field = first + 4 * count + 12
    offsets = np.arange(field - first, field - first - 4 * count, -4).astype("<u4").tobytes()
    column = struct.pack("<6H iII B3x", 12, 16, 4, 0, 12, 8, 12, 28, 16, 3)
    number = struct.pack("<3H2x i h2x", 6, 8, 4, 8, 2)
    name = struct.pack("<I3sx", 3, b"bmi")
    metadata = message + schema + struct.pack("<I", count) + offsets + column + number + name
    metadata += bytes(-len(metadata) % 8)
    return struct.pack("<II", _CONTINUATION, len(metadata)) + metadata + _END


def _connections() -> Iterator[Form]:
    yield Form("pipelined, a row each", "/stream", _pipelined("/stream", b'{"instance":1}'), raw=True)
    few = fill(b'{"instances":[', b"1,", b"1]}")(1000)
    yield Form("pipelined, few rows each", _BATCH, _pipelined(_BATCH, few), raw=True)
    body = fill(b'{"instances":[', b"1,", b"1]}")

    def chunks_of_a_byte(size: int) -> bytes:
        return post(_BATCH, body(max(20, size // 6)), chunk_size=1)

    yield Form("chunks of a byte", _BATCH, chunks_of_a_byte, raw=True)
    fields = {f"a{i}": "" for i in range(400)}
    yield Form("very many fields", _BATCH, lambda size: post(_BATCH, body(size), fields), raw=True)


def _pipelined(path: str, body: bytes) -> Make:
    return fill(b"", head(path, {"content-length": str(len(body))}) + body)
