"""What a server counts, logs and records: observed from outside, before and after a request."""

import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.support.http import head
from tests.support.processes import wait_until
from tests.support.server import Server

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_AUDITED = ("message", "client", "endpoint", "status", "principal")

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


@dataclass
class Observation:
    """What has changed; counters by their labels.

    Attributes:
        requests: by endpoint and status.
        transports: requests by transport.
        rows: by endpoint.
        rejected: by reason.
        audit: lines of the audit log, without their time.
        errors: other lines of the log that are errors.
    """

    requests: dict[tuple[str, str], float] = field(default_factory=dict)
    transports: dict[str, float] = field(default_factory=dict)
    rows: dict[str, float] = field(default_factory=dict)
    rejected: dict[str, float] = field(default_factory=dict)
    audit: list[dict[str, object]] = field(default_factory=list)
    errors: list[dict[str, object]] = field(default_factory=list)


@contextmanager
def observe(server: Server, *, alone: bool = False) -> Iterator[Observation]:
    """Observe a server while something is asked of it; the observation itself is left out.

    A call is counted when its response is sent, which the client may know before the server does.

    Args:
        server: the server.
        alone: whether no request is in progress when the observation begins; those that end are waited for.
    """
    observation = Observation()
    before = wait_until(lambda: _when_alone(server), what="earlier calls to end") if alone else scrape(server)
    position = server.log.stat().st_size
    yield observation
    after = wait_until(lambda: _when_idle(server, before), what="the calls to be counted")
    counted = _changes(before, after, "predictor_requests_total", "endpoint", "code")
    observation.requests = {key: value for key, value in counted.items() if key[0] != "metrics"}
    transported = _changes(before, after, "predictor_requests_total", "traffic", "transport")
    observation.transports = {
        transport: count for (traffic, transport), count in transported.items() if traffic != "scrape"
    }
    observation.rows = {
        key: value
        for (key,), value in _changes(before, after, "predictor_request_rows_sum", "endpoint").items()
    }
    observation.rejected = {
        key: value
        for (key,), value in _changes(before, after, "predictor_rejections_total", "reason").items()
    }
    lines = [json.loads(line) for line in server.log.read_bytes()[position:].splitlines()]
    observation.audit = [
        {name: line[name] for name in _AUDITED if name in line}
        for line in lines
        if line["logger"] == "predictor.audit"
    ]
    observation.errors = [line for line in lines if line["level"] == "error"]


def _when_alone(server: Server) -> Samples | None:
    """Return the samples if the scrape is the only request in progress."""
    samples = scrape(server)
    return samples if samples["predictor_requests_in_progress"][()] == 1 else None


def _when_idle(server: Server, before: Samples) -> Samples | None:
    samples, name = scrape(server), "predictor_requests_in_progress"
    return samples if samples[name][()] <= before[name][()] else None


def scrape(server: Server) -> Samples:
    """Return the samples of ``/metrics`` by name and labels."""
    with server.connect() as connection:
        connection.send(head("/metrics", method="GET"))
        response = connection.read_response()
    assert response.status == 200
    samples: Samples = {}
    for name, labels, value in _SAMPLE.findall(response.body.decode()):
        samples.setdefault(name, {})[tuple(_LABEL.findall(labels))] = float(value)
    return samples


def _changes(before: Samples, after: Samples, name: str, *labels: str) -> dict[Any, float]:
    changes: defaultdict[Any, float] = defaultdict(float)
    for key, value in after.get(name, {}).items():
        if change := value - before.get(name, {}).get(key, 0):
            changes[tuple(dict(key)[label] for label in labels)] += change
    return dict(changes)


def wait_for_memory(server: Server, size: int) -> None:
    """Wait until bodies take so many bytes."""
    wait_until(lambda: scrape(server)["predictor_body_memory_bytes"][()] == size, what=f"{size} bytes in use")


def recorded_rows(server: Server, name: str, count: int, by: str = "_id") -> dict[int, float]:
    """Return the rows that are recorded under the name of a request, once there are so many.

    Args:
        server: the server.
        name: of the request, or of its trace.
        count: how many rows.
        by: the column of the name.
    """
    folder = server.log.parent / "store" / "predictions"

    def find() -> dict[int, float] | None:
        rows = [row for file in folder.glob("*/*.parquet") for row in _rows(file) if row[by] == name]
        return {row["_row"]: row["bmi"] for row in rows} if len(rows) >= count else None

    return wait_until(find, what=f"the rows of {name}")


@functools.cache
def _rows(file: Path) -> list[dict[str, Any]]:
    return pq.ParquetFile(file).read().to_pylist()
