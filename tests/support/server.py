"""A predictor in a process of its own."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.model.base import Model
from tests.support import processes
from tests.support.http import PATIENCE, Connection, exchange
from tests.support.models import write_model

if TYPE_CHECKING:
    import httpx

NAME = "linear-regressor"
VERSION = "7"


@dataclass
class Server:
    """A running predictor."""

    process: "subprocess.Popen[bytes]"
    port: int
    grpc_port: int
    log: Path
    folder: Path

    @property
    def url(self) -> str:
        """The base URL over plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self) -> "httpx.Client":
        """A new client for the base URL."""
        import httpx

        # No certificates are needed; to load those of all authorities takes longer than most tests.
        return httpx.Client(base_url=self.url, timeout=PATIENCE, verify=False, trust_env=False)

    def connect(self, *, receive_buffer: int | None = None) -> Connection:
        """Open a raw connection."""
        return Connection(self.port, receive_buffer=receive_buffer)

    def exchange(self, request: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes on a connection of their own, and return all that comes back until it is closed."""
        return exchange(self.port, request, half_close=half_close)

    def metric(self, sample: str) -> float:
        """Return the value of a sample of ``/metrics``, named with its labels."""
        return read_metric(self.port, sample)

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        return processes.resident_bytes(self.process.pid)

    def end(self, seconds: float = 120) -> int:
        """End the process as Kubernetes does; returns its exit code."""
        return processes.end(self.process, seconds)


def read_metric(port: int, sample: str) -> float:
    """Return the value of a sample of a predictor's ``/metrics``, named with its labels."""
    import httpx

    lines = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE, trust_env=False).text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} "))


@contextlib.contextmanager
def start_predictor(
    model: Model | Path | None = None,
    *,
    place: Path | None = None,
    python: str = sys.executable,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    launcher: Sequence[str] = (),
    **settings: object,
) -> Iterator[Server]:
    """Start a predictor, wait until it listens, and end it afterwards.

    Args:
        model: a model, or the folder of one; by default ``linear_model()``, as version 7.
        place: a folder for the model and the log; by default a temporary one.
        python: the interpreter.
        flags: more flags for the command line.
        environment: variables beside those of this process, whose ``PREDICTOR_*`` are left out.
        launcher: a command that starts the predictor, such as ``("taskset", "-c", "0")``.
        settings: ``PREDICTOR_*`` settings, in lower case without the prefix; ``drain_seconds`` is 0 by
            default.

    Raises:
        RuntimeError: the process ended before it listened.
    """
    with contextlib.ExitStack() as stack:
        place = place or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = model if isinstance(model, Path) else write_model(place / VERSION, model)
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PREDICTOR_")}
        settings = {"drain_seconds": 0, **settings}
        variables |= {f"PREDICTOR_{name.upper()}": str(value) for name, value in settings.items()}
        command = [*launcher, python, "-m", "predictor", "--model_name", NAME, "--model_dir", str(folder)]
        command += ["--http_port", "0", "--grpc_port", "0", *flags]
        log = place / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=variables | dict(environment or {}), stdout=output, stderr=output, cwd=place
            )
        stack.callback(processes.end, process)
        what = f"a server that logs to {log}"
        ports = processes.wait_until(lambda: _ports(process, log), what=what, interval=0.05)
        yield Server(process, *ports, log, folder)


def _ports(process: "subprocess.Popen[bytes]", log: Path) -> tuple[int, int] | None:
    """Return the ports of HTTP and gRPC once the log names them."""
    ended = process.poll() is not None
    lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
    for line in map(json.loads, lines):
        if line["message"] == "serving":
            return int(line["http_port"]), int(line["grpc_port"] or 0)
    if ended:
        raise RuntimeError(f"the predictor ended at once:\n{log.read_text()}")
    return None


def api_key_line(key: str, name: str, scopes: str) -> str:
    """Return the line of an API key in the file that the setting ``api_keys`` names."""
    return f"{hashlib.sha256(key.encode()).hexdigest()} {name} {scopes}\n"
