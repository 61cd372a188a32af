# ruff: noqa: E501  tables of odd things read better than columns of them
"""Odd bodies of every format: valid, nearly valid, and invalid ones."""

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard
from hypothesis import strategies as st

from tests.support.models import FEATURES

ODD_NUMBERS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-0", "-0.0", "01", "1.", "+1", ".5", "1e5", "1E+2", "0x10",
    "1_000", "9" * 25, "9" * 400, "1e-400", "5e-324", "1.7976931348623157e308", "-1e308", "18446744073709551616",
    "1" * 5000, "0." + "3" * 800, "1e", "--1", "nan", "inf",
)  # fmt: skip
ODD_TEXTS = (
    "null",
    "true",
    "false",
    '""',
    '"0.5"',
    "{}",
    "[]",
    '"\\ud800"',
    '"\\u0000"',
    '{"a": 1, "a": 2}',
    "'x'",
)
SPACES = st.sampled_from(["", "", "", " ", "\n", "\t\r\n", "\x0b", "\u00a0", "/**/"])

LONG_SPACES = tuple(" " * size for size in (300, 1100, 2**14, 2**17, 2**19, 2**20))
"""They lead a body to other readers than the one for short ones; few do, as they take long."""
SHORT_SPACES = ("", "", "", " ") * 15

doubles = st.floats(allow_nan=False, allow_infinity=False, width=64)
numbers = st.one_of(doubles.map(repr), st.integers().map(str), st.sampled_from(ODD_NUMBERS))
good_numbers = st.one_of(st.floats(-1e6, 1e6).map(repr), st.integers(-1000, 1000).map(str))


def _list(parts: list[str], space: str) -> str:
    return f"[{space}{f'{space},{space}'.join(parts)}{space}]"


def _object(parts: list[str], names: list[str], space: str) -> str:
    members = (f'"{name}"{space}:{part}' for name, part in zip(names, parts, strict=True))
    return f"{{{space}{f'{space},{space}'.join(members)}}}"


def rows(width: int, number: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Rows of ``width`` numbers; some have another width, and some are no rows."""
    numbers_of_row = st.lists(number, min_size=width, max_size=width)
    row = st.builds(_list, numbers_of_row, SPACES) | st.builds(
        _object, numbers_of_row, st.permutations(FEATURES[:width]), SPACES
    )
    other = st.one_of(
        st.builds(_list, st.lists(number, max_size=4), SPACES), number, st.sampled_from(ODD_TEXTS)
    )
    some = st.one_of(row, row, row, row, other)
    return st.builds(_list, st.lists(some, max_size=8) | st.lists(row, min_size=1, max_size=60), SPACES)


def values(width: int) -> st.SearchStrategy[str]:
    """The value of a member: rows, or any other JSON."""
    plain = rows(width, good_numbers)
    anything = st.recursive(
        numbers | st.sampled_from(ODD_TEXTS),
        lambda inner: st.builds(_list, st.lists(inner, max_size=4), SPACES),
        max_leaves=12,
    )
    return st.one_of(plain, rows(width, numbers), good_numbers, anything)


def documents(width: int, key: str, *, long: bool = True) -> st.SearchStrategy[bytes]:
    """JSON objects with a member ``key``, mostly; some are ``long`` by their white space."""
    name = st.sampled_from(
        [key, key, key, key, key, "instances", "instance", "inputs", "\\u0069nstance", "x"]
    )
    member = st.builds('{3}"{0}"{3}:{3}{1}{2}'.format, name, values(width), SPACES, SPACES)
    members = st.one_of(member.map(lambda text: [text]), st.lists(member, max_size=3))
    space = st.sampled_from([*SHORT_SPACES, *(LONG_SPACES if long else ())]) | SPACES
    whole = st.builds(lambda parts, space: f"{space}{{{','.join(parts)}}}{space}", members, space)
    return edited(whole.map(str.encode))


@st.composite
def _edits(draw: st.DrawFn, body: bytes) -> bytes:
    found = bytearray(body)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(found)))
        match draw(st.sampled_from(["put", "cut", "change", "end", "twice"])):
            case "put":
                found[place:place] = draw(st.sampled_from(TOKENS))
            case "cut":
                del found[place : place + draw(st.integers(1, 8))]
            case "change" if place < len(found):
                found[place] = draw(st.integers(0, 255))
            case "end":
                del found[place:]
            case _:
                found[place:place] = found[place : place + draw(st.integers(1, 40))]
    return bytes(found)


TOKENS = (b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\x00", b"\xff", b"\xef\xbb\xbf", b"e", b"-", b".", b"\n", b"\r\n",
    b"null", b"[" * 3000, b"{" * 500, b"1" * 300, b'"instances":', b"\xed\xa0\x80", b" " * 300)  # fmt: skip


def edited(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bodies as they are, or corrupted by a few edits."""
    return st.one_of(whole, whole.flatmap(_edits))


def lines(width: int) -> st.SearchStrategy[bytes]:
    """Lines of records, some of them invalid."""
    one = st.one_of(
        documents(width, "instance", long=False), st.sampled_from([b"", b" ", b"\r", b"null", b"{", b"[1]"])
    )
    single = one.map(lambda line: line.replace(b"\n", b" "))
    return st.builds(b"\n".join, st.lists(single, max_size=12))


def tables(width: int) -> st.SearchStrategy[bytes]:
    """CSV with and without a header, and text that is nearly CSV."""
    cell = st.one_of(
        good_numbers, numbers, st.sampled_from(["", " ", '"1"', '"', "a", "1;2", "\u0661", "=1+1"])
    )
    good = st.lists(good_numbers, min_size=width, max_size=width).map(",".join)
    line = st.one_of(good, good, good, st.lists(cell, max_size=4).map(",".join))
    head = st.sampled_from(
        ["", ",".join(FEATURES[:width]), ",".join(FEATURES[:width][::-1]), "bmi,bmi", "age", '"bmi']
    )
    end = st.sampled_from(["\n", "\r\n", "\r"])
    text = st.builds(lambda first, rest, end: end.join([first, *rest]), head, st.lists(line, max_size=8), end)
    return edited(text.map(str.encode))


_TYPES = (pa.float64(), pa.float32(), pa.int64(), pa.uint8(), pa.string(), pa.bool_(), pa.list_(pa.float64()))


@st.composite
def _arrow(draw: st.DrawFn, width: int) -> bytes:
    names = draw(
        st.sampled_from(
            [FEATURES[:width], FEATURES[:width], FEATURES[:width][::-1], ("bmi", "age"), ("bmi", "bmi"), ()]
        )
    )
    kind = draw(st.sampled_from(_TYPES[:4] * 3 + _TYPES))
    schema = pa.schema([(name, kind) for name in names])
    options = pa.ipc.IpcWriteOptions(compression=draw(st.sampled_from([None, None, None, "zstd"])))
    out = io.BytesIO()
    with pa.ipc.new_stream(out, schema, options=options) as writer:
        for size in draw(st.lists(st.integers(0, 5), max_size=3)):
            nulls = draw(st.sampled_from([False, False, False, True]))
            writer.write_batch(
                pa.record_batch([_column(kind, size, nulls=nulls) for _ in names], schema=schema)
            )
    return out.getvalue()


def _column(kind: pa.DataType, size: int, *, nulls: bool) -> pa.Array:
    if pa.types.is_string(kind):
        content: list[Any] = ["a"] * size
    elif pa.types.is_list(kind):
        content = [[1.0]] * size
    elif pa.types.is_boolean(kind):
        content = [True] * size
    else:
        content = [float(i) if pa.types.is_floating(kind) else i for i in range(size)]
    return pa.array([None] * size if nulls else content, kind)


def arrow_streams(width: int) -> st.SearchStrategy[bytes]:
    """Arrow streams as they are, or corrupted by a few edits."""
    return edited(_arrow(width))


SIZES = st.one_of(st.integers(0, 4), st.sampled_from([-1, 2**31, 2**63, 2**64, 10**30]))
V2_TYPES = ("FP64", "FP64", "FP64", "FP32", "FP16", "INT8", "UINT64", "BYTES", "BOOL", "fp64", "")


@st.composite
def _tensor(draw: st.DrawFn, width: int) -> str:
    count = draw(st.integers(0, 4))
    shape = draw(st.one_of(st.just([count, width]), st.just([count]), st.lists(SIZES, max_size=3)))
    name = draw(st.sampled_from(["instances", "instances", "instances", "bmi", "", "x\\u0000"]))
    data = draw(st.one_of(values(width), st.lists(good_numbers, min_size=count * width, max_size=count * width).map(
        lambda parts: _list(parts, ""))))  # fmt: skip
    kind = draw(st.sampled_from(V2_TYPES))
    return f'{{"name":"{name}","shape":{shape},"datatype":"{kind}","data":{data}}}'


def v2_documents(width: int) -> st.SearchStrategy[bytes]:
    """Requests of the Open Inference Protocol as JSON."""
    more = st.sampled_from(["", "", '"id":"7",', '"id":7,', '"outputs":[{"name":"predictions"}],', '"outputs":3,',
        '"parameters":{"binary_data_output":true},', '"parameters":[],'])  # fmt: skip
    inputs = st.lists(_tensor(width), max_size=3)
    whole = st.builds(lambda more, parts: f'{{{more}"inputs":[{",".join(parts)}]}}'.encode(), more, inputs)
    return edited(whole)


@st.composite
def v2_binaries(draw: st.DrawFn, width: int) -> tuple[str, bytes]:
    """The header that holds the length of the JSON part, and a body with raw tensors after that."""
    kind = draw(st.sampled_from(V2_TYPES))
    count = draw(st.integers(0, 4))
    size = draw(st.one_of(st.just(count * width * 8), st.just(count * width * 8), SIZES))
    raw = draw(
        st.one_of(st.binary(max_size=64), st.just(struct.pack(f"<{count * width}d", *range(count * width))))
    )
    tensor = f'{{"name":"instances","shape":[{count},{width}],"datatype":"{kind}","parameters":{{"binary_data_size":{size}}}}}'
    document = draw(edited(st.just(f'{{"inputs":[{tensor}]}}'.encode())))
    length = draw(
        st.one_of(
            st.just(len(document)), st.just(len(document)), SIZES, st.sampled_from(["x", "", "1e3", "+5"])
        )
    )
    return str(length), document + raw


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(body)


def _deflate(body: bytes) -> bytes:
    return zlib.compress(body)


def compressed(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[str, bytes]]:
    """A content coding, and a body compressed by it, intact or corrupted."""
    makers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "zstd": _zstd,
        "x-gzip": gzip.compress,
        "deflate": _deflate,
        "gzip, gzip": gzip.compress,
    }
    coding = st.sampled_from(["gzip", "zstd", "gzip", "zstd", *makers])
    return coding.flatmap(lambda name: st.tuples(st.just(name), edited(inner.map(makers[name]))))


def bombs(limit: int) -> list[tuple[str, str, bytes]]:
    """Small bodies that decompress to large ones: content coding, content type and body."""
    blank, deep = b" " * (4 * limit), b'{"instances":' + b"[" * (limit // 8)
    numbers = b'{"instances":[' + b"0," * limit + b"0]}"
    found = []
    for body in (blank, deep, numbers, gzip.compress(blank)):
        found += [
            ("gzip", "application/json", gzip.compress(body, 9)),
            ("zstd", "application/json", _zstd(body)),
        ]
    found += [
        ("zstd", "text/csv", _zstd(b"\n" * (4 * limit))),
        ("gzip", "text/csv", gzip.compress(b"," * limit)),
    ]
    huge = np.zeros(limit // 8 + 1).tobytes()
    found += [("zstd", "application/vnd.apache.arrow.stream", _zstd(huge))]
    # A frame whose header announces more than any memory holds.
    found += [("zstd", "application/json", b"\x28\xb5\x2f\xfd\xc0\xff" + b"\xff" * 8 + b"\x01\x00\x00")]
    return found
