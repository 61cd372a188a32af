"""The checks, one after the other; each says what it saw or what is wrong."""

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from delivery.smoke.rows import Rows
from delivery.smoke.target import Http, SmokeError, Target, grpc_predictions, median, require_ok

REQUESTS = 20
"""How many answers in a row a deployment has to give by the expected version, and how many are timed."""
CLOSED = ("/metrics", "/log", "/v2/repository/index")
_CLIENT_ERRORS = range(400, 500)


class Checks:
    """The checks of a deployed predictor."""

    def __init__(self, target: Target, http: Http) -> None:
        self._target = target
        self._http = http
        self._model = quote(target.model, safe="")
        self._rows = Rows.read(target.answers) if target.answers else None

    def run(self) -> Iterator[tuple[str, str | None, str]]:
        """Yield each check's name, its problem if it has one, and what it saw."""
        for name, check in self._all():
            try:
                yield name, None, _understood(check)
            except SmokeError as failed:
                yield name, str(failed), ""

    def served(self) -> str:
        """Return which release and version answer.

        Raises:
            SmokeError: others than the expected ones.
        """
        release = self._http.json("/v2")["version"]
        versions = self._http.json(f"/v2/models/{self._model}")["versions"]
        expected = self._target.release.replace("-rc.", "rc")
        if expected and release != expected:
            raise SmokeError(f"release {release} answers, not {expected}")
        if self._target.version and versions != [self._target.version]:
            raise SmokeError(f"version {', '.join(versions) or 'none'} answers, not {self._target.version}")
        return f"release {release}, version {', '.join(versions) or 'without a name'}"

    def _all(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "health", self._health
        yield "version", self.served
        yield "page and documents", self._page
        for name, ask in self._endpoints().items():
            yield name, lambda ask=ask: self._predict(ask)  # type: ignore[misc]
        yield "malformed input", self._malformed
        yield "closed paths", self._closed
        yield "latency", self._latency

    def _health(self) -> str:
        for path, key in (
            ("/v2/health/live", "live"),
            ("/v2/health/ready", "ready"),
            (f"/v2/models/{self._model}/ready", "ready"),
            (f"/v1/models/{self._model}", "ready"),
        ):
            if self._http.json(path)[key] is not True:
                raise SmokeError(f"{path} does not say {key}")
        return "live and ready"

    def _page(self) -> str:
        for path, media in (
            ("/", "text/html"),
            ("/docs", "text/html"),
            ("/openapi.json", "application/json"),
        ):
            answer = require_ok(self._http.get(path, accept=media))
            found = answer.headers.get("content-type", "")
            if not found.startswith(media):
                raise SmokeError(f"{path} is {found or 'of no type'}, not {media}")
        return "/, /docs, /openapi.json"

    def _endpoints(self) -> dict[str, Callable[[Rows], list[float]]]:
        asks: dict[str, Callable[[Rows], list[float]]] = {
            "/stream": self._stream,
            "/stream, line by line": self._lines,
            "/batch": lambda rows: self._list("/batch", rows),
            "/batch, CSV": self._csv,
            "V1": lambda rows: self._list(f"/v1/models/{self._model}:predict", rows),
            "V2": self._v2,
        }
        return {**asks, "gRPC": self._grpc} if self._target.grpc else asks

    def _predict(self, ask: Callable[[Rows], list[float]]) -> str:
        """Compare an endpoint's predictions with the known ones, or with those of the first endpoint."""
        rows = self._known()
        found = ask(rows)
        if not all(math.isfinite(value) for value in found):
            raise SmokeError(f"it predicts {found}")
        expected = rows.answers or self._stream(rows)
        if not rows.agree(found, expected):
            raise SmokeError(f"it predicts {found[:3]}, not {list(expected[:3])}")
        return f"{len(found)} rows"

    def _known(self) -> Rows:
        if self._rows is None:
            self._rows = Rows.typical(self._features())
        return self._rows

    def _features(self) -> list[dict[str, Any]]:
        features: list[dict[str, Any]] = self._http.json("/")["features"]
        return features

    def _stream(self, rows: Rows) -> list[float]:
        return [self._http.json("/stream", {"instance": row})["prediction"] for row in rows.rows]

    def _lines(self, rows: Rows) -> list[float]:
        records = "".join(f"{json.dumps({'instance': row})}\n" for row in rows.rows)
        answer = require_ok(self._http.post("/stream", records, "application/x-ndjson"))
        return [json.loads(line)["prediction"] for line in answer.text.splitlines()]

    def _list(self, path: str, rows: Rows) -> list[float]:
        found: list[float] = self._http.json(path, {"instances": rows.rows})["predictions"]
        return found

    def _csv(self, rows: Rows) -> list[float]:
        names = [one["name"] for one in self._features()]
        answer = require_ok(self._http.post("/batch", rows.csv(names), "text/csv"))
        return [float(line) for line in answer.text.splitlines()[1:]]

    def _v2(self, rows: Rows) -> list[float]:
        answer = self._http.json(f"/v2/models/{self._model}/infer", {"inputs": self._tensors(rows)})
        found: list[float] = answer["outputs"][0]["data"]
        return found

    def _grpc(self, rows: Rows) -> list[float]:
        found, version = grpc_predictions(self._target, self._tensors(rows))
        if self._target.version and version != self._target.version:
            raise SmokeError(f"version {version or 'none'} answers, not {self._target.version}")
        return found

    def _tensors(self, rows: Rows) -> list[dict[str, Any]]:
        return rows.tensors(self._http.json(f"/v2/models/{self._model}")["inputs"])

    def _malformed(self) -> str:
        status = self._http.post("/batch", '{"instances": [["x"', "application/json").status_code
        if status not in _CLIENT_ERRORS:
            raise SmokeError(f"malformed JSON gets the status {status}")
        return f"status {status}"

    def _closed(self) -> str:
        paths = [path for path in CLOSED if not (self._target.direct and path == "/metrics")]
        for path in paths:
            status = self._http.get(path).status_code
            if status not in _CLIENT_ERRORS:
                raise SmokeError(f"{path} answers with the status {status}")
        return ", ".join(paths)

    def _latency(self) -> str:
        body = {"instance": self._known().rows[0]}
        taken = self._http.milliseconds("/stream", body, REQUESTS)
        seen = f"median {median(taken):.1f} ms, longest {taken[-1]:.1f} ms of {REQUESTS}"
        if median(taken) > self._target.latency:
            raise SmokeError(f"{seen}; the median may be {self._target.latency:g} ms")
        return seen


def _understood(check: Callable[[], str]) -> str:
    """Run a check; a malformed answer is a failure, too."""
    try:
        return check()
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise SmokeError(f"the answer is malformed: {error!r}") from error


def await_served(
    target: Target,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Wait until only the expected release and version answer, on new connections.

    Args:
        target: what should answer.
        seconds: how long to wait.
        clock: the time in seconds.
        sleep: waits for seconds.

    Raises:
        SmokeError: they did not in time; it says what was seen last.
    """
    end = clock() + seconds
    in_a_row = 0
    while True:
        try:
            with target.client() as client:
                seen = _understood(Checks(target, Http(client)).served)
            in_a_row += 1
            if in_a_row == REQUESTS:
                return seen
        except SmokeError:
            in_a_row = 0
            if clock() >= end:
                raise
            sleep(min(1.0, max(0.0, end - clock())))
