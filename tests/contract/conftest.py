"""A real predictor in a process of its own, and what it serves."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from predictor.model import artifact
from predictor.model.artifact import Column, Distribution, LinearModel, Reference

NAME = "linear-regressor"
ADMIN_TOKEN = "let-me-in"


def linear_model(weights: tuple[float, ...] = (938.25,), intercept: float = 152.0) -> LinearModel:
    seen = Distribution(mean=0.0, deviation=0.05, edges=(-0.05, 0.05), proportions=(0.25, 0.5, 0.25))
    names = ("bmi", "bp", "s1")[: len(weights)]
    reference = Reference(rows=422, features=dict.fromkeys(names, seen), prediction=seen)
    columns = tuple(Column(name, -0.1, 0.2) for name in names)
    return LinearModel(weights, intercept, columns, Column("target", 25.0, 346.0), reference)


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
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def exchange(self, request: bytes, *, half_close: bool = False) -> bytes:
        """Send raw bytes on a connection of their own; everything that comes back until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as wire:
            wire.sendall(request)
            if half_close:
                wire.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: wire.recv(65536), b""))

    def memory(self) -> int:
        """The resident bytes of the process."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


StartServer = Callable[..., contextlib.AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """Start a predictor of a model, or of a folder, with settings from the environment."""

    @contextlib.contextmanager
    def start(
        model: LinearModel | Path | None = None,
        *,
        python: str = sys.executable,
        flags: tuple[str, ...] = (),
        **settings: object,
    ) -> Iterator[Server]:
        place = tmp_path_factory.mktemp("predictor")
        folder = model if isinstance(model, Path) else place / "7"
        if not isinstance(model, Path):
            artifact.write(model or linear_model(), folder)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREDICTOR_")}
        environment |= {f"PREDICTOR_{name.upper()}": str(value) for name, value in settings.items()}
        environment.setdefault("PREDICTOR_DRAIN_SECONDS", "0")
        command = [python, "-m", "predictor", "--model_name", NAME, "--model_dir", str(folder), *flags]
        server = _started(command, environment, place / "log", folder)
        try:
            yield server
        finally:
            _end(server.process)

    return start


def _started(command: list[str], environment: dict[str, str], log: Path, folder: Path) -> Server:
    """A predictor that answers; another port is tried where somebody took the one that was free."""
    for _ in range(5):
        port, grpc_port = free_port(), free_port()
        ports = ["--http_port", str(port), "--grpc_port", str(grpc_port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *ports], env=environment, stdout=output, stderr=output, cwd=log.parent
            )
        server = Server(process, port, grpc_port, log, folder)
        try:
            while not _answers(server, secure="--ssl_certfile" in command):
                time.sleep(0.05)
        except BaseException:
            _end(process)
            raise
        if process.poll() is None:
            return server
        told = log.read_text()
        if "ddress already in use" not in told and "Failed to bind" not in told:
            break
    raise RuntimeError(f"the predictor ended at once:\n{log.read_text()}")


def _answers(server: Server, *, secure: bool) -> bool:
    """Whether a predictor answers, or has ended; one that speaks TLS answers when it takes connections."""
    if server.process.poll() is not None:
        return True
    try:
        if secure:
            socket.create_connection(("127.0.0.1", server.port), timeout=30).close()
            return True
        return server.exchange(b"GET /ping HTTP/1.0\r\n\r\n").endswith(b"pong")
    except OSError:
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> Iterator[Server]:
    """One feature: prediction = 938.25 * bmi + 152."""
    with start_server(admin_token=ADMIN_TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def wide_server(start_server: StartServer) -> Iterator[Server]:
    """Three features: prediction = 2 * bmi + 3 * bp + 5 * s1 + 7."""
    with start_server(linear_model((2.0, 3.0, 5.0), 7.0)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.http as client:
        yield client


@pytest.fixture
def wide(wide_server: Server) -> Iterator[httpx.Client]:
    with wide_server.http as client:
        yield client


@pytest.fixture
def admin() -> dict[str, str]:
    """The header that opens what only an administrator may see."""
    return {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture(scope="session")
def make_model() -> Callable[..., LinearModel]:
    return linear_model
