"""The costly forms of JSON, CSV, NDJSON and compressed text over HTTP."""

import gzip
from collections.abc import Iterator

import zstandard

from tests.support.worst.form import EXPLAIN, LONGEST_BODY, ROWS, V1, V2, Form, Make, fill, rows

_BATCH = "/batch"
_INTERVALS = "/batch?interval=0.9"
_CSV = {"Content-Type": "text/csv"}
_NDJSON = {"Content-Type": "application/x-ndjson"}
_EVENT = {"Content-Type": "application/cloudevents+json"}
_BINARY_EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}

_LIST = b'{"instances":['
_FLAT = rows(_LIST, b"", b",", b"1]}")
_NESTED = rows(_LIST, b"[", b"],", b"[1]]}")
_NULL = rows(_LIST, b"", b",", b"null]}")
_HALFWAY = b"9007199254740993.%b1,"
"""A number just beyond the middle between two doubles: a parser has to look at every digit."""


def forms() -> Iterator[Form]:
    """Yield all of them."""
    yield from _json()
    yield from _answers()
    yield from _v1()
    yield from _v2()
    yield from _csv()
    yield from _records()
    yield from _feedback()
    yield from _coded()


def _json() -> Iterator[Form]:
    for name, make in {
        "flat": _FLAT,
        "rows": _NESTED,
        "spaces": rows(_LIST, b"\n", b" ,", b"1]}"),
        "rows, written in two ways": rows(_LIST, b"[", b"],", b"[ 1 ] , [1]]}"),
        "null at the end": _NULL,
        "a row of two at the end": rows(_LIST, b"[", b"],", b"[1,1]]}"),
        "comma at the end": rows(_LIST, b"", b",", b"]}"),
        "cut off": rows(_LIST, b"", b",", b""),
        "not UTF-8 at the end": rows(_LIST, b"", b",", b'"\xff"]}'),
        "1e5": fill(_LIST, b"1e5,", b"1]}"),
        "17 digits": fill(_LIST, b"0.12345678901234567,", b"1]}"),
        "halfway, 33 digits": fill(_LIST, _HALFWAY % (b"0" * 16), b"1]}"),
        "halfway, 700 digits": fill(_LIST, _HALFWAY % (b"0" * 683), b"1]}"),
        "integers of 64 bits": fill(_LIST, b"18446744073709551615,", b"1]}"),
        "integers beyond 64 bits": fill(_LIST, b"118446744073709551615,", b"1]}"),
        "an integer of very many digits": fill(_LIST, b"1", b"]}"),
        "strings": fill(_LIST, b'"",', b"1]}"),
        "escapes": fill(b'{"instances":"', b"\\u0061", b'"}'),
        "objects": fill(_LIST, b"{},", b"1]}"),
        "empty rows": fill(_LIST, b"[],", b"[1]]}"),
        "nested without end": fill(b"", b"["),
        "a key again and again": fill(b"{", b'"a":1,', b'"instances":[1]}'),
        "one long row": fill(b'{"instances":[[', b"1,", b"1]]}"),
        "white space": fill(b"", b" ", b'{"instances":[1]}'),
    }.items():
        yield Form(f"JSON, {name}", _BATCH, make)


def _answers() -> Iterator[Form]:
    for name, headers in {
        "CSV": {"Accept": "text/csv"},
        "Arrow": {"Accept": "application/vnd.apache.arrow.stream"},
    }.items():
        yield Form(f"JSON, answered as {name}", _BATCH, _FLAT, headers)
        yield Form(f"JSON, answered as {name} with intervals", _INTERVALS, _FLAT, headers)
    yield Form("JSON, answered with intervals", _INTERVALS, _FLAT)
    for coding in ("gzip", "zstd"):
        accepted = {"Accept-Encoding": coding}
        yield Form(f"JSON, answered in {coding}", _BATCH, _varied, accepted)
        yield Form(f"JSON, answered in {coding} with intervals", _INTERVALS, _varied, accepted)
    yield Form("explanations of 100,000 rows", EXPLAIN, fill(_LIST, b"1,", b"1]}", 99_999))


def _v1() -> Iterator[Form]:
    yield Form("V1, null at the end", V1, _NULL)
    yield Form("V1, rows and null", V1, rows(_LIST, b"[", b"],", b"null]}"))
    yield Form("V1, another member before", V1, fill(b'{"tags":[', b"1,", b'1],"instances":[1]}'))
    yield Form("V1, another member behind", V1, fill(b'{"instances":[1],"tags":[', b"{},", b"1]}"))
    yield Form("V1, very many members", V1, _members)
    event = b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":'
    yield Form("CloudEvent, explained", EXPLAIN, fill(event + _LIST, b"1,", b"1]}}", 99_999), _EVENT)
    yield Form("CloudEvent", V1, rows(event + _LIST, b"", b",", b"1]}}"), _EVENT)
    yield Form("CloudEvent, null at the end", V1, rows(event + _LIST, b"", b",", b"null]}}"), _EVENT)
    yield Form("CloudEvent, binary, null at the end", V1, _NULL, _BINARY_EVENT)


def _v2() -> Iterator[Form]:
    for name, make in {
        "flat": _tensor(b"FP64", b"", b",", b"1"),
        "nested": _tensor(b"FP64", b"[", b"],", b"[1]"),
        "FP32": _tensor(b"FP32", b"", b",", b"1"),
        "INT32": _tensor(b"INT32", b"", b",", b"1"),
        "INT64": _tensor(b"INT64", b"[", b"],", b"[1]"),
        "BOOL": _tensor(b"BOOL", b"", b",", b"true"),
        "null at the end": _tensor(b"FP64", b"", b",", b"null"),
        "6.8 at the end of INT32": _tensor(b"INT32", b"", b",", b"6.8"),
        "very many inputs": fill(b'{"inputs":[', b"{},", b"{}]}"),
        "very many outputs": fill(b'{"inputs":[],"outputs":[', b'{"name":"predictions"},', b"{}]}"),
        "a long parameter": fill(b'{"parameters":{"a":[', b"1,", b'1]},"inputs":[]}'),
        "data in a parameter": fill(b'{"parameters":{"data":[', b"[1],", b'1]},"inputs":[]}'),
        "a long id": fill(b'{"id":"', b"\\u00e9", b'","inputs":[]}'),
    }.items():
        yield Form(f"V2, {name}", V2, make)


def _csv() -> Iterator[Form]:
    for name, make in {
        "plain": rows(b"", b"", b"\n", b"1\n"),
        "a blank line": rows(b"1\n\n", b"", b"\n", b"1\n"),
        "blank lines": fill(b"1\n", b"\n", b"1\n"),
        "CR LF": rows(b"", b"", b"\r\n", b"1\r\n"),
        "CR": rows(b"", b"", b"\r", b"1\r"),
        "quoted": rows(b"", b'"', b'"\n', b'"1"\n'),
        "spaces": rows(b"", b" ", b"\n", b"1\n"),
        "a word at the end": rows(b"", b"", b"\n", b"one\n"),
        "not UTF-8 at the end": rows(b"", b"", b"\n", b"\xff\n"),
        "two fields at the end": rows(b"", b"", b"\n", b"1,1\n"),
        "under a header": rows(b"bmi\n", b"", b"\n", b"1\n"),
        "quoted under a header": rows(b"bmi\n", b'"', b'"\n', b'"1"\n'),
        "a header of very many columns": fill(b"bmi", b",a", b"\n1\n"),
        "a row of very many columns": fill(b"1", b",1", b"\n1\n"),
        "an open quote": fill(b'"', b"1\n"),
        "doubled quotes": fill(b'"', b'""', b'"\n'),
        "underscores": rows(b"", b"", b"\n", b"1_0\n"),
        "one long field": fill(b"", b"1"),
        "infinity at the end": rows(b"", b"", b"\n", b"inf\n"),
    }.items():
        yield Form(f"CSV, {name}", _BATCH, make, _CSV)
    yield Form("CSV, answered as JSON", _BATCH, rows(b"", b"", b"\n", b"1\n"), _CSV | {"Accept": "*/*"})


def _records() -> Iterator[Form]:
    good = b'{"instance":1}\n'
    for name, make in {
        "plain": fill(b"", good),
        "a bad one in sixteen": fill(b"", good * 15 + b"1\n"),
        "every other one bad": fill(b"", good + b"1\n"),
        "bad ones": fill(b"", b"1\n"),
        "null": fill(b"", b'{"instance":null}\n'),
        "spaces": fill(b"", b'{"instance":\t1}\r\n'),
        "another member": fill(b"", b'{"instance":1,"a":1}\n'),
        "blank lines": fill(b"", b"\n"),
        "no end": fill(b"", b"1"),
        "brackets": fill(b"", b"[[[[\n"),
    }.items():
        yield Form(f"NDJSON, {name}", "/stream", make, _NDJSON)


def _feedback() -> Iterator[Form]:
    for name, make in {
        "very many ids": fill(b'{"feedback":[', b'{"id":"a","target":1},', b'{"id":"a","target":1}]}'),
        "very many targets": rows(b'{"id":"a","targets":[', b"", b",", b"1]}"),
        "null at the end": rows(b'{"id":"a","targets":[', b"", b",", b"null]}"),
    }.items():
        yield Form(f"feedback, {name}", "/feedback", make)


def _coded() -> Iterator[Form]:
    gzipped, zstd = {"Content-Encoding": "gzip"}, {"Content-Encoding": "zstd"}
    yield Form("gzip, empty members", _BATCH, fill(b"", gzip.compress(b"", mtime=0)), gzipped)
    yield Form("gzip, members of one byte", _BATCH, fill(b"", gzip.compress(b"1", mtime=0)), gzipped)
    yield Form(
        "gzip, cut off",
        _BATCH,
        lambda size: gzip.compress(bytes(min(LONGEST_BODY, 400 * size)))[:-9],
        gzipped,
    )
    yield Form(
        "gzip, JSON", _BATCH, lambda size: gzip.compress(_FLAT(min(LONGEST_BODY, 20 * size)), 1), gzipped
    )
    yield Form("zstd, empty frames", _BATCH, fill(b"", zstandard.compress(b"")), zstd)
    yield Form(
        "zstd, JSON", _BATCH, lambda size: zstandard.compress(_FLAT(min(LONGEST_BODY, 20 * size))), zstd
    )


def _varied(size: int) -> bytes:
    """Make a document of different numbers, whose predictions can hardly be compressed."""
    numbers = (b"%04d" % (1000 + i * 7919 % 8999) for i in range(min(ROWS, (size - len(_LIST)) // 5 - 1)))
    return _LIST + b",".join(numbers) + b"]}"


def _members(size: int) -> bytes:
    """Make a V1 document with very many different members."""
    members = b"".join(b'"%07d":0,' % i for i in range(max(1, (size - 20) // 12)))
    return b'{%b"instances":[1]}' % members


def _tensor(datatype: bytes, before: bytes, after: bytes, last: bytes) -> Make:
    """Return what makes V2 documents of one tensor, whose shape has the number of its rows."""

    def make(size: int) -> bytes:
        shape = b"[0000000,1]"
        head = b'{"inputs":[{"name":"instances","datatype":"%b","shape":%b,"data":[' % (datatype, shape)
        document = rows(head, before, after, last + b"]}]}")(size)
        count = document.count(after, len(head)) + 1
        # A JSON number has no leading zeros.
        return document.replace(shape, (b"[%d,1]" % count).ljust(len(shape)), 1)

    return make
