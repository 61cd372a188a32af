# ruff: noqa: E501  tables of odd things read better than columns of them
"""What no client should send: malformed HTTP, attempts at smuggling, and requests corrupted at random."""

import gzip
import random

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
BODY = b'{"instance":0.5}'
HOT = b"POST /stream HTTP/1.1\r\nhost: x\r\n"


def _post(fields: bytes, rest: bytes) -> bytes:
    return HOT + fields + b"\r\n" + rest


def _chunked(rest: bytes) -> bytes:
    return _post(b"transfer-encoding: chunked\r\n", rest)


# Requests that two readers could understand differently: one of them must not see a second request.
SMUGGLING = [
    _post(b"content-length: 16\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"transfer-encoding: chunked\r\ncontent-length: 16\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"content-length: 16\r\ncontent-length: 0\r\n", SMUGGLED),
    _post(b"content-length: 0\r\ncontent-length: 16\r\n", SMUGGLED),
    _post(b"content-length: 0, 0\r\n", SMUGGLED),
    _post(b"content-length: +0\r\n", SMUGGLED),
    _post(b"content-length: -1\r\n", SMUGGLED),
    _post(b"content-length: 0x0\r\n", SMUGGLED),
    _post(b"content-length: 0 0\r\n", SMUGGLED),
    _post(b"content-length: 00000000000000000000000000000000000001e\r\n", SMUGGLED),
    _post(b"content-length: 99999999999999999999\r\n", SMUGGLED),
    _post(b"content-length : 0\r\n", SMUGGLED),
    _post(b"content-length\t: 0\r\n", SMUGGLED),
    _post(b" content-length: 0\r\n", SMUGGLED),
    _post(b"a: b\r\n content-length: 0\r\n", SMUGGLED),
    _post(b"content-length: \x0b0\r\n", SMUGGLED),
    _post(b"content_length: 0\r\ncontent-length: 35\r\n", SMUGGLED),
    _post(b"transfer-encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"transfer-encoding: chunked, identity\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"transfer-encoding: identity\r\n", SMUGGLED),
    _post(b"transfer-encoding : chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"transfer-encoding:\x0bchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"a: b\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"a: b\rtransfer-encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    _post(b"a: b\x00c\r\ncontent-length: 0\r\n", SMUGGLED),
    _chunked(b"0\n\n" + SMUGGLED),
    _chunked(b"0x0\r\n\r\n" + SMUGGLED),
    _chunked(b"-0\r\n\r\n" + SMUGGLED),
    _chunked(b"10000000000000000\r\n" + SMUGGLED),
    _chunked(b"1\r\n{\r\n0;\n\r\n\r\n" + SMUGGLED),
    _chunked(b"1\r\n{}0\r\n\r\n" + SMUGGLED),
    _chunked(b"1\n{\n0\n\n" + SMUGGLED),
    _chunked(b"0\r\na b\r\n\r\n" + SMUGGLED),
]

MALFORMED = [
    *SMUGGLING,
    b"",
    b"\r\n",
    b"\x00" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"GET  /  HTTP/1.1\r\n\r\n",
    b"GET http://other/ping HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET //ping HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /%00 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /% HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /stream/%F0%9F%92%A9 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /stream/" + b"%5B" * 1500 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET \xff HTTP/1.1\r\nhost: x\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"BREW /stream HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\r\n" + SMUGGLED,
    b"GET / HTTP/1.1\r\nhost: x\r\nrange: bytes=0-,0-,0-\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\naccept: " + b"text/html;q=0.1," * 400 + b"\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nhost: x\r\naccept: \xff\xfe;q=\xff\r\n\r\n",
    b"GET /stream/1 HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip;q=,zstd;q=x,\xff\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 10_000 + b"\r\n",
    b"GET / HTTP/1.1\r\na: " + b"x" * 100_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"x" * 100_000,
    HOT[:-2],
    _post(b"content-length: 16\r\n", BODY[:8]),
    _post(b"content-length: 16\r\nexpect: 100-continue\r\n", b""),
    _post(b"content-length: 16\r\nexpect: nothing\r\n", BODY),
    _post(b"content-length: 15\r\n", BODY),
    _post(b"content-length: 33554433\r\n", BODY),
    _post(b"content-type: \xff\xfe\r\ncontent-length: 16\r\n", BODY),
    _post(b"content-type: application/json; charset=\xff\r\ncontent-length: 16\r\n", BODY),
    _post(b"content-type: ;;;=;\r\ncontent-length: 16\r\n", BODY),
    _post(b"content-encoding: \xff\r\ncontent-length: 16\r\n", BODY),
    _post(b"inference-header-content-length: " + b"9" * 5000 + b"\r\ncontent-length: 16\r\n", BODY),
    _post(b"authorization: Bearer " + b"a.b.c" * 500 + b"\r\ncontent-length: 16\r\n", BODY),
    _post(b"authorization: \xff\xff\r\ncontent-length: 16\r\n", BODY),
    _chunked(b"10"),
    _chunked(b"10\r\n" + BODY),
    _chunked(b"10\r\n" + BODY + b"xx0\r\n\r\n"),
    _chunked(b"zz\r\n" + BODY),
    _chunked(b"\r\n"),
    _chunked(b"10;" + b"x" * 20_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    _chunked(b"1\r\n{\r\n" * 2000 + b"0\r\n\r\n"),
    _chunked(b"0\r\n" + b"a: b\r\n" * 5000 + b"\r\n"),
    _chunked(b"FFFFFFFF\r\n" + BODY),
]

EVENT = b"ce-specversion: 1.0\r\nce-type: x\r\nce-source: x\r\nce-id: 1\r\n"
V1, V2 = b"/v1/models/linear-regressor:predict", b"/v2/models/linear-regressor/infer"
TENSOR = b'{"inputs":[{"name":"instances","shape":[1,1],"datatype":"FP64","data":[0.5]}]}'
BINARY = (
    b'{"inputs":[{"name":"instances","shape":[1,1],"datatype":"FP64","parameters":{"binary_data_size":8}}]}'
)
ROWS = b'{"instances":[[0.5],[1]]}'


def _request(path: bytes, body: bytes, fields: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b" % (path, fields, len(body), body)


SEEDS = [
    *(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path for path in (
        b"/", b"/ping", b"/docs", b"/metrics", b"/openapi.json", b"/stream/0.5", b"/batch/[0.5,1]", b"/v1/models", b"/v2",
        b"/v1/models/linear-regressor", b"/v2/models/linear-regressor", b"/v2/health/ready", b"/log", b"/nowhere/at/all?x=1",
        b"/v2/models/linear-regressor/versions/7/ready",
    )),
    b"HEAD /docs HTTP/1.1\r\nhost: x\r\naccept: text/html\r\n\r\n",
    b"GET /ping HTTP/1.0\r\n\r\n",
    _request(b"/stream", BODY),
    _request(b"/stream", BODY, b"connection: close\r\n"),
    _request(b"/stream", BODY, b"content-type: application/json; charset=utf-8\r\naccept-encoding: gzip, zstd\r\n"),
    _request(b"/stream", b'{"instance":1}\n{"instance":2}\n', b"content-type: application/x-ndjson\r\n"),
    _request(b"/batch", ROWS),
    _request(b"/batch", b"bmi\n0.5\n", b"content-type: text/csv\r\naccept: application/json\r\n"),
    _request(b"/batch", gzip.compress(ROWS), b"content-encoding: gzip\r\n"),
    _request(V1, ROWS),
    _request(V1.replace(b"predict", b"explain"), ROWS),
    _request(V2, TENSOR),
    _request(V2, BINARY + bytes(8), b"inference-header-content-length: %d\r\n" % len(BINARY)),
    _request(V1, ROWS, EVENT),
    _request(V1, b'{"specversion":"1.0","type":"x","source":"x","id":"1","data":%b}' % ROWS,
        b"content-type: application/cloudevents+json\r\n"),
    _request(b"/v2/repository/index", b"{}", b"authorization: Bearer x\r\n"),
    _chunked(b"10\r\n" + BODY + b"\r\n0\r\n\r\n"),
    _chunked(b"8;a=b\r\n" + BODY[:8] + b"\r\n8\r\n" + BODY[8:] + b"\r\n0\r\nx: y\r\n\r\n"),
]  # fmt: skip

TOKENS = (b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\x00", b":", b": ", b";", b",", b"%", b"%0A", b"%2F", b"/", b"..", b"?",
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"expect: 100-continue\r\n",
    b"connection: close\r\n", b"connection: upgrade\r\nupgrade: h2c\r\n", b"host: y\r\n", b"0\r\n\r\n", b"5\r\n", b"\xff", b"\x80",
    b"content-type: text/csv\r\n", b"content-type: application/vnd.apache.arrow.stream\r\n", b"content-encoding: zstd\r\n",
    b"inference-header-content-length: 3\r\n", b"accept: */*;q=0\r\n", EVENT, b"A" * 300, b"[" * 200, b'"', b"{", b"}", b"NaN", b"-1",
    b"99999999999999999999", b"content-type: application/cloudevents+json\r\n", b"content-type: application/x-ndjson\r\n",
    b"GET ", b"POST ", b"OPTIONS ")  # fmt: skip


def corrupted(random_: random.Random) -> bytes:
    """A request, or a few in a row, corrupted by one edit or a few."""
    found = bytearray(b"".join(random_.choices(SEEDS, k=random_.choice((1, 1, 1, 2, 3)))))
    for _ in range(random_.choice((1, 1, 2, 3, 6))):
        place = random_.randrange(len(found) + 1)
        match random_.randrange(7):
            case 0:
                found[place:place] = random_.choice(TOKENS)
            case 1:
                del found[place : place + random_.randrange(1, 12)]
            case 2 if place < len(found):
                found[place] = random_.randrange(256)
            case 3 if place < len(found):
                found[place] ^= 1 << random_.randrange(8)
            case 4:
                found[place:place] = found[place : place + random_.randrange(1, 200)]
            case 5:
                del found[place:]
            case _:
                end = found.find(b"\r\n", place)
                found[max(end, 0) : max(end, 0)] = b"\r\n" + random_.choice(TOKENS).rstrip(b"\r\n")
    return bytes(found)
