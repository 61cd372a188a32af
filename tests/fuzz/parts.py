"""The parts of the fuzzing: each sends its cases to a server, and fails at the first wrong answer."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import answers, bodies, reference, valid, wire
from tests.fuzz import heads as odd_heads
from tests.fuzz.client import Client, Fault, exchange, responses
from tests.fuzz.valid import ARROW, CSV, Request
from tests.support.server import NAME

ROOT = Path(__file__).parents[2]
V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
EXPLAIN = f"/v1/models/{NAME}:explain"
NDJSON = "application/x-ndjson"
BODY_LIMIT = 2**22
"""The server's limit, low enough for bombs to be quick."""

Part = Callable[[Client, int, int], None]
_SECOND = re.compile(rb"HTTP/1\.1 404 ")


def _compare(client: Client, path: str, body: bytes, expected: list[float] | None, **headers: str) -> None:
    """Send a body, whole or in chunks, and compare the answer with what it must be."""
    answer = client.post(path, body, chunk_size=len(body) % 23 * 7, **headers)
    found = answers.predictions(path, answer)
    if found != expected:
        raise Fault(f"{path} {headers} {body!r}: {answer}, expected {expected}")


def _check(client: Client, path: str, body: bytes, **headers: Any) -> None:
    """Send a body of which only the server knows whether it is valid; the answer must make sense."""
    answers.predictions(path, client.post(path, body, **headers))


def _valid(client: Client, path: str, request: Request) -> None:
    """Send a body that was made from rows, and compare the answer with the predictions for those."""
    _compare(client, path, request.body, client.target.predictions(request.rows), **request.headers)


def _search(count: int, number: int, strategy: st.SearchStrategy[object], check: Callable[..., None]) -> None:
    """Check ``count`` examples of a strategy; ``number`` chooses which."""
    test = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )(seed(number)(given(strategy)(lambda case: check(case))))
    test()


def json_bodies(client: Client, count: int, number: int) -> None:
    """JSON on every path that reads it, compared with a second reader."""
    width = client.target.width

    def stream(body: bytes) -> None:
        _compare(client, "/stream", body, reference.predictions(client.target, body, "instance"))

    def batch(body: bytes) -> None:
        _compare(client, "/batch", body, reference.predictions(client.target, body, "instances"))

    def v1(body: bytes) -> None:
        expected = reference.predictions(client.target, body, "instances", others=True)
        _compare(client, V1, body, expected)
        answer = client.post(EXPLAIN, body)
        if (answer.status == 200) != (expected is not None):
            raise Fault(f"{EXPLAIN} {body!r}: {answer.status}, expected {expected}")

    for key, check in (("instance", stream), ("instances", batch), ("instances", v1)):
        _search(count // 4, number, bodies.documents(width, key), check)


def records(client: Client, count: int, number: int) -> None:
    """NDJSON: one line of the answer for each, the same as if it were sent alone."""

    def check(body: bytes) -> None:
        answer = client.post(
            "/stream", body, chunk_size=1 + len(body) % 40, content_type="application/x-ndjson"
        )
        asked = [line for line in body.split(b"\n") if line.strip(b" \t\r\n\x0b\x0c")]
        lines = answer.body.splitlines()
        if answer.status != 200 or len(asked) != len(lines):
            raise Fault(f"{body!r}: {answer}")
        for line, found in zip(asked, map(json.loads, lines), strict=True):
            expected = reference.predictions(client.target, line, "instance")
            if ([found["prediction"]] if "prediction" in found else None) != expected:
                raise Fault(f"{line!r} in {body!r}: {found}, expected {expected}")

    _search(count, number, bodies.lines(client.target.width), check)


def csv_bodies(client: Client, count: int, number: int) -> None:
    """CSV: predictions for valid tables, sensible answers to odd ones."""
    width = client.target.width
    _search(count // 2, number, valid.csv_tables(width), partial(_valid, client, "/batch"))
    _search(count // 2, number, bodies.tables(width), partial(_check, client, "/batch", content_type=CSV))


def arrow_bodies(client: Client, count: int, number: int) -> None:
    """Arrow: predictions for valid tables, sensible answers to odd streams."""
    width = client.target.width
    _search(count // 2, number, valid.arrow_tables(width), partial(_valid, client, "/batch"))
    odd = bodies.arrow_streams(width)
    _search(count // 2, number, odd, partial(_check, client, "/batch", content_type=ARROW, accept="*/*"))


def tensors(client: Client, count: int, number: int) -> None:
    """V2: predictions for valid tensors, sensible answers to odd ones, in JSON and in binary."""
    width = client.target.width

    def binary(whole: tuple[str, bytes]) -> None:
        _check(client, V2, whole[1], inference_header_content_length=whole[0])

    _search(count // 2, number, valid.v2_requests(width), partial(_valid, client, V2))
    _search(count // 4, number, bodies.v2_documents(width), partial(_check, client, V2))
    _search(count // 4, number, bodies.v2_binaries(width), binary)


def encodings(client: Client, count: int, number: int) -> None:
    """Compressed bodies, answered compressed."""

    def check(whole: tuple[str, bytes]) -> None:
        _check(client, "/batch", whole[1], content_encoding=whole[0], accept_encoding="zstd, gzip;q=0.5")

    _search(count, number, bodies.compressed(bodies.documents(client.target.width, "instances")), check)


def bombs(client: Client, count: int, _number: int) -> None:
    """Compressed bodies beyond every limit."""
    found = bodies.bombs(BODY_LIMIT)
    for i in range(count):
        coding, media, body = found[i % len(found)]
        answer = client.post("/batch", body, content_encoding=coding, content_type=media)
        if answer.status not in (400, 413):
            raise Fault(f"a bomb was answered {answer.status}: {answer.body[:200]!r}")


def heads(client: Client, count: int, number: int) -> None:
    """Odd spellings of heads: the same predictions as ever, or one refusal for those with a flaw."""
    random_, target = random.Random(number), client.target
    for _ in range(count):
        case = odd_heads.case(random_, target.width)
        found = responses(target, case.packets)
        client.count += 1
        expected = [target.predict([value] * target.width) for value in case.values]
        if not case.values and [answer.status for answer in found] != [400]:
            raise Fault(f"expected one refusal, got {found}, sent {case.packets}")
        if case.values and [json.loads(answer.body).get("prediction") for answer in found] != expected:
            raise Fault(f"expected {expected}, got {found}, sent {case.packets}")


def malformed(client: Client, count: int, number: int) -> None:
    """Malformed and corrupted HTTP on connections of their own."""
    random_ = random.Random(number)
    for i in range(count):
        data = wire.MALFORMED[i] if i < len(wire.MALFORMED) else wire.corrupted(random_)
        answer = exchange(client.target, data)
        client.count += 1
        if data in wire.SMUGGLING and _SECOND.search(answer):
            raise Fault(f"a second request was seen in {data!r}: {answer[:1000]!r}")


def document(client: Client, count: int, number: int) -> None:
    """What the OpenAPI document says (schemathesis, all checks); ``count`` examples for each path."""
    url = f"http://127.0.0.1:{client.target.server.port}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", url, "--checks", "all", "--no-color"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(count), "--seed", str(number)]
    report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if report.returncode:
        raise Fault(report.stdout[-8000:])
    found = re.search(r"([\d,]+) generated", report.stdout)
    client.count += int(found[1].replace(",", "")) if found else 0
