"""The parts of the fuzzing: each sends its cases to a server, and fails at the first answer that is wrong."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import bodies, reference, wire
from tests.fuzz.client import Client, Fault, exchange

ROOT = Path(__file__).parents[2]
MODEL = "linear-regressor"
V1, V2 = f"/v1/models/{MODEL}:predict", f"/v2/models/{MODEL}/infer"
EXPLAIN = f"/v1/models/{MODEL}:explain"
ARROW = "application/vnd.apache.arrow.stream"
BODY_LIMIT = 2**22
"""The server's limit, low enough for bombs to be quick."""

Part = Callable[[Client, int, int], None]
_SECOND = re.compile(rb"HTTP/1\.1 404 ")


def _told(client: Client, path: str, body: bytes, expected: list[float] | None, **headers: str) -> None:
    """Ask, whole or in chunks, and compare with what must be answered."""
    answer = client.post(path, body, chunks=len(body) % 23 * 7, **headers)
    found = json.loads(answer.body)
    if answer.status == 200:
        values = [found["prediction"]] if path == "/stream" else found["predictions"]
        if values != expected:
            raise Fault(f"{path} {body!r}: {values}, expected {expected}")
    elif expected is not None or answer.status not in (400, 413) or list(found) != ["error"]:
        raise Fault(f"{path} {body!r}: {answer.status} {found}, expected {expected}")


def _search(count: int, number: int, strategy: st.SearchStrategy[object], check: Callable[..., None]) -> None:
    """Check ``count`` examples of a strategy; ``number`` chooses which."""
    test = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )(seed(number)(given(strategy)(check)))
    test()


def json_bodies(client: Client, count: int, number: int) -> None:
    """JSON on every path that reads it, compared with a second reader."""
    width = client.target.width

    def stream(body: bytes) -> None:
        _told(client, "/stream", body, reference.predictions(client.target, body, "instance"))

    def batch(body: bytes) -> None:
        _told(client, "/batch", body, reference.predictions(client.target, body, "instances"))

    def v1(body: bytes) -> None:
        expected = reference.predictions(client.target, body, "instances", others=True)
        _told(client, V1, body, expected)
        answer = client.post(EXPLAIN, body)
        if (answer.status == 200) != (expected is not None):
            raise Fault(f"{EXPLAIN} {body!r}: {answer.status}, expected {expected}")

    for key, check in (("instance", stream), ("instances", batch), ("instances", v1)):
        _search(count // 4, number, bodies.documents(width, key), check)


def records(client: Client, count: int, number: int) -> None:
    """NDJSON: a line for each line, each as it would be answered alone."""

    def check(body: bytes) -> None:
        answer = client.post("/stream", body, chunks=1 + len(body) % 40, content_type="application/x-ndjson")
        asked = [line for line in body.split(b"\n") if line.strip(b" \t\r\n\x0b\x0c")]
        told = answer.body.splitlines()
        if answer.status != 200 or len(asked) != len(told):
            raise Fault(f"{body!r}: {answer}")
        for line, found in zip(asked, map(json.loads, told), strict=True):
            expected = reference.predictions(client.target, line, "instance")
            if ([found["prediction"]] if "prediction" in found else None) != expected:
                raise Fault(f"{line!r} in {body!r}: {found}, expected {expected}")

    _search(count, number, bodies.lines(client.target.width), check)


def csv_bodies(client: Client, count: int, number: int) -> None:
    """CSV."""

    def check(body: bytes) -> None:
        client.post("/batch", body, content_type="text/csv")

    _search(count, number, bodies.tables(client.target.width), check)


def arrow_bodies(client: Client, count: int, number: int) -> None:
    """Arrow streams."""

    def check(body: bytes) -> None:
        client.post("/batch", body, content_type=ARROW, accept="*/*")

    _search(count, number, bodies.arrow_streams(client.target.width), check)


def tensors(client: Client, count: int, number: int) -> None:
    """V2 with JSON and with binary tensors."""
    width = client.target.width

    def as_json(body: bytes) -> None:
        client.post(V2, body)

    def as_binary(whole: tuple[str, bytes]) -> None:
        client.post(V2, whole[1], inference_header_content_length=whole[0])

    _search(count // 2, number, bodies.v2_documents(width), as_json)
    _search(count // 2, number, bodies.v2_binaries(width), as_binary)


def encodings(client: Client, count: int, number: int) -> None:
    """Compressed bodies, answered compressed."""

    def check(whole: tuple[str, bytes]) -> None:
        client.post("/batch", whole[1], content_encoding=whole[0], accept_encoding="zstd, gzip;q=0.5")

    _search(count, number, bodies.compressed(bodies.documents(client.target.width, "instances")), check)


def bombs(client: Client, count: int, _number: int) -> None:
    """Compressed bodies beyond every limit."""
    found = bodies.bombs(BODY_LIMIT)
    for i in range(count):
        coding, media, body = found[i % len(found)]
        answer = client.post("/batch", body, content_encoding=coding, content_type=media)
        if answer.status not in (400, 413):
            raise Fault(f"a bomb was answered {answer.status}: {answer.body[:200]!r}")


def malformed(client: Client, count: int, number: int) -> None:
    """Malformed and spoilt HTTP on connections of their own."""
    random_ = random.Random(number)
    for i in range(count):
        data = wire.MALFORMED[i] if i < len(wire.MALFORMED) else wire.spoilt(random_)
        answer = exchange(client.target, data)
        client.count += 1
        if data in wire.SMUGGLING and _SECOND.search(answer):
            raise Fault(f"a second request was seen in {data!r}: {answer[:1000]!r}")


def document(client: Client, count: int, number: int) -> None:
    """What the OpenAPI document says (schemathesis, all checks); ``count`` examples for each path."""
    url = f"http://127.0.0.1:{client.target.port}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", url, "--checks", "all", "--no-color"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(count), "--seed", str(number)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if told.returncode:
        raise Fault(told.stdout[-8000:])
    found = re.search(r"([\d,]+) generated", told.stdout)
    client.count += int(found[1].replace(",", "")) if found else 0
