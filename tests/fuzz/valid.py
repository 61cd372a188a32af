"""Bodies that are generated from rows, so that the predictions follow from the rows alone.

Some carry a flaw for which they must be refused.
"""

import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.fuzz.client import Rows
from tests.support.models import FEATURES

CSV, ARROW, JSON = "text/csv", "application/vnd.apache.arrow.stream", "application/json"

_FLAW_RATE = st.sampled_from([False] * 5 + [True])


class Request(NamedTuple):
    """A body, its headers, and the rows that it holds; none where the server must refuse it."""

    body: bytes
    headers: dict[str, str]
    rows: Rows | None


def _column(dtype: Any, count: int) -> st.SearchStrategy[Any]:
    """A column of any finite values."""
    elements = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    return hnp.arrays(dtype, count, elements=elements, fill=st.nothing())


def _matrix(dtype: Any, count: int, width: int) -> st.SearchStrategy[Any]:
    return _column(dtype, count * width).map(lambda values: values.reshape(count, width))


def _stacked(columns: list[Any]) -> Rows:
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


_SPELLINGS: list[Callable[[float], str]] = [
    repr, repr, "{:+}".format, "{:.17e}".format, '"{!r}"'.format, " {!r}\t".format, "{:.17E}".format,
]  # fmt: skip
_ENDS = ["\n", "\n", "\r\n", "\r\n", "\r", "\n\n", "\r\n\n"]
_NO_NUMBERS = [
    "a",
    "nan",
    "-inf",
    "1e999",
    "1_000",
    "0x10",
    "1;2",
    "null",
    "true",
    "=1+1",
    "1 2",
    "[1]",
    "1]",
]


@st.composite
def csv_tables(draw: st.DrawFn, width: int) -> Request:
    """CSV with or without a header, in several spellings."""
    X = draw(_matrix("f8", draw(st.integers(1, 12)), width))
    spelling = st.sampled_from(_SPELLINGS)
    order = draw(st.permutations(range(width)))
    header = draw(st.booleans())
    lines = [[draw(spelling)(row[i]) for i in (order if header else range(width))] for row in X.tolist()]
    if flaw := draw(_FLAW_RATE):
        line = draw(st.sampled_from(lines))
        if draw(st.booleans()):
            line[draw(st.integers(0, width - 1))] = draw(st.sampled_from(_NO_NUMBERS))
        else:
            line.append("1")
    if header:
        lines.insert(0, [FEATURES[i] for i in order])
    end = draw(st.sampled_from(_ENDS))
    text = draw(st.sampled_from(["", "", "\ufeff"])) + end.join(map(",".join, lines))
    text += draw(st.sampled_from(["", end]))
    accept = draw(st.sampled_from([CSV, JSON, ARROW, "*/*"]))
    return Request(text.encode(), {"content_type": CSV, "accept": accept}, None if flaw else X)


_NUMBERS = ["f2", "f4", "f8", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


@st.composite
def arrow_tables(draw: st.DrawFn, width: int) -> Request:
    """Arrow streams with columns of any number type, in any order and in several record batches."""
    count = draw(st.integers(0, 12))
    columns = [draw(_column(draw(st.sampled_from(_NUMBERS)), count)) for _ in range(width)]
    names = list(FEATURES[:width])
    order = draw(st.permutations(range(width)))
    table = pa.table({names[i]: columns[i] for i in order})
    flaw, compression = draw(_FLAW_RATE) and count > 0, None
    if flaw:
        match draw(st.sampled_from(["null", "text", "name", "compression"])):
            case "null":
                table = table.set_column(0, names[order[0]], pa.array([None] * count, pa.float64()))
            case "text":
                table = table.set_column(0, names[order[0]], pa.array(["1"] * count))
            case "name":
                table = table.rename_columns(["age", *table.column_names[1:]])
            case _:
                compression = "zstd"
    out = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(out, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=draw(st.integers(1, 12)))
    accept = draw(st.sampled_from([CSV, JSON, ARROW, "*/*"]))
    headers = {"content_type": ARROW, "accept": accept}
    return Request(out.getvalue(), headers, None if flaw else _stacked(columns))


_TYPES = {"f8": "FP64", "f4": "FP32", "f2": "FP16", "i8": "INT64", "i4": "INT32", "i2": "INT16", "i1": "INT8",
    "u8": "UINT64", "u4": "UINT32", "u2": "UINT16", "u1": "UINT8"}  # fmt: skip
_MEMBERS: list[dict[str, Any]] = [
    {},
    {},
    {"id": "7"},
    {"outputs": [{"name": "predictions"}]},
    {"outputs": [{"name": "output-0"}]},
    {"parameters": {"data": [7, 7]}, "x": [[{"data": [7]}]]},
    {"parameters": {"binary_data_output": True}},
    {"outputs": [{"name": "predictions", "parameters": {"binary_data": True}}]},
]
_FLAWS: list[dict[str, Any]] = [
    {"shape": [99, 1]},
    {"shape": [-1]},
    {"datatype": "BYTES"},
    {"data": [None]},
    {"data": 1},
]


@st.composite
def v2_requests(draw: st.DrawFn, width: int) -> Request:
    """Requests of the Open Inference Protocol: one tensor or one for each feature, as JSON or binary."""
    count = draw(st.integers(0, 5))
    if draw(st.booleans()):
        X = draw(_matrix(draw(st.sampled_from(_NUMBERS)), count, width))
        shapes = [[count, width], *([[count]] if width == 1 else [])]
        shape = draw(st.sampled_from(shapes))
        names = ["instances", "input-0"] if len(shape) > 1 else ["instances"]
        tensors = [(draw(st.sampled_from(names)), X, shape)]
        rows = X.astype(np.float64)
    else:
        columns = [draw(_column(draw(st.sampled_from(_NUMBERS)), count)) for _ in range(width)]
        shapes = [[count], [count, 1]]
        tensors = [
            (FEATURES[i], columns[i], draw(st.sampled_from(shapes)))
            for i in draw(st.permutations(range(width)))
        ]
        rows = _stacked(columns)
    inputs, raw = [], b""
    for name, values, shape in tensors:
        tensor = {"name": name, "shape": shape, "datatype": _TYPES[values.dtype.str[1:]]}
        if draw(st.booleans()):
            raw += values.tobytes()
            inputs.append(tensor | {"parameters": {"binary_data_size": values.nbytes}})
        else:
            inputs.append(
                tensor | {"data": values.tolist() if draw(st.booleans()) else values.ravel().tolist()}
            )
    if flaw := draw(_FLAW_RATE):
        inputs[-1] |= draw(st.sampled_from(_FLAWS))
    head = json.dumps(draw(st.sampled_from(_MEMBERS)) | {"inputs": inputs}).encode()
    headers = {"inference_header_content_length": str(len(head))} if raw or draw(st.booleans()) else {}
    return Request(head + raw, headers, None if flaw else rows)
