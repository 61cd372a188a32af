"""The servers that are measured, each a process on one core, and wrk on the other."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.benchmarks.stock_server import INTERCEPT, WEIGHT
from tests.support import processes
from tests.support.models import linear_model, write_model
from tests.support.ports import free_port
from tests.support.server import NAME, api_key_line, start_predictor

KEY = "benchmark"
PLAIN_GRPC = "plain gRPC"
UNCOUNTED = "predictor, uncounted"
HERE = Path(__file__).parent
WITHOUT = HERE / "without.py"
SERVER_CORE, CLIENT_CORE = "0", "1"
PINNED = ("taskset", "-c", SERVER_CORE)
"""Runs a command on the servers' core."""
_LARGE = 2**16
_NGINX = """
daemon off; worker_processes 1; error_log /dev/null; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {folder};
  proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen {port}; location / {{
    default_type application/json; return 200 '{{"prediction":621.125}}'; }} }} }}
"""


@dataclass
class Server:
    """A running server."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    grpc_port: int
    first_answer: float

    def rate(
        self, path: str, body: bytes, headers: dict[str, str], folder: Path, seconds: int, more: str = ""
    ) -> float:
        """Right answers a second over 16 connections; over 3 where a body is large, as many as may wait.

        Args:
            path, body, headers: the request.
            folder: where to write the script of wrk.
            seconds: how long to send requests.
            more: lines for that script.

        Raises:
            RuntimeError: an answer that was not 2xx, or a connection that failed.
        """
        content, script = folder / "body", folder / "wrk.lua"
        content.write_bytes(body)
        sent = "".join(
            f'wrk.headers["{name}"] = "{value}"\n' for name, value in (headers | {"X-API-Key": KEY}).items()
        )
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = io.open("{content}", "rb"):read("*a")\n{sent}{more}'
        )
        url = f"http://127.0.0.1:{self.port}{path}"
        command = [
            "taskset",
            "-c",
            CLIENT_CORE,
            "wrk",
            "-t1",
            f"-c{16 if len(body) < _LARGE else 3}",
            f"-d{seconds}s",
            "--timeout",
            "30s",
            "-s",
            str(script),
            url,
        ]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if failed := re.search(r"Non-2xx.*|Socket errors.*", report):
            raise RuntimeError(f"{self.name} {path}: {failed[0]}")
        found = re.search(r"Requests/sec:\s+([0-9.]+)", report)
        return float(found[1]) if found else 0.0

    def processor_seconds(self) -> float:
        """The processor time that the process has taken, and those that it started."""
        return processes.processor_seconds(self.process.pid)

    def memory(self) -> int:
        """The resident bytes of the process."""
        return processes.resident_bytes(self.process.pid)


@contextlib.contextmanager
def running(name: str, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server by its name and wait for its first right answer.

    Args:
        name: which server.
        folder: where its files are.
        environment: more variables of a predictor.
    """
    with contextlib.ExitStack() as stack:
        if name.startswith("predictor"):
            model, settings = _model(folder), _settings(name, folder)
            started = time.perf_counter()
            launcher = (*PINNED, sys.executable, "-P", str(WITHOUT)) if name == UNCOUNTED else PINNED
            predictor = stack.enter_context(
                start_predictor(model, launcher=launcher, environment=environment, **settings)
            )
            process, port, grpc_port = predictor.process, predictor.port, predictor.grpc_port
        else:
            port, grpc_port = free_port(), free_port()
            command = _command(name, folder, port, grpc_port)
            started = time.perf_counter()
            process = subprocess.Popen(
                [*PINNED, *command],
                cwd=HERE.parents[1],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(processes.end, process)
        yield Server(name, process, port, grpc_port, _first_answer(process, name, port, grpc_port) - started)


def _model(folder: Path) -> Path:
    """The folder of the model that all predictors serve."""
    model = folder / "model" / "1"
    return model if model.exists() else write_model(model, linear_model((WEIGHT,), INTERCEPT))


def _settings(name: str, folder: Path) -> dict[str, Any]:
    """The settings of a predictor: those of this process, and over them those of the benchmark."""
    given = {name: value for name, value in os.environ.items() if name.startswith("PREDICTOR_")}
    settings: dict[str, Any] = {name.removeprefix("PREDICTOR_").lower(): given[name] for name in given}
    settings |= {"auth": "required", "api_keys": str(write_keys(folder))}
    if name == "predictor, JWT":
        settings |= _tokens(folder)
    if name == "predictor, feedback":
        settings |= {"feedback_url": str(folder / "feedback")}
    if name == "predictor, no drift":
        settings |= {"drift_seconds": "0"}
    if name == "predictor, threads":
        settings |= {"inline_bytes": "1"}
    return settings


def write_keys(folder: Path) -> Path:
    """Write the file of API keys, with ``KEY``; returns its path."""
    keys = folder / "keys"
    if not keys.exists():
        keys.write_text(api_key_line(KEY, "benchmark", "predict,explain"))
    return keys


def _command(name: str, folder: Path, port: int, grpc_port: int) -> list[str]:
    """The command that starts another server."""
    if name == "stock":
        ports = ["--http_port", str(port), "--grpc_port", str(grpc_port)]
        return [sys.executable, "-m", "tests.benchmarks.stock_server", *ports]
    if name == "plain":
        return [sys.executable, "-m", "tests.benchmarks.plain_server", str(port)]
    if name == PLAIN_GRPC:
        return [sys.executable, "-m", "tests.benchmarks.plain_grpc_server", str(grpc_port)]
    nginx = shutil.which("nginx")
    if nginx is None:
        raise RuntimeError("nginx is not installed: apt-get install nginx")
    place = folder / "nginx"
    place.mkdir(exist_ok=True)
    (place / "conf").write_text(_NGINX.format(folder=place, port=port))
    return [nginx, "-c", str(place / "conf")]


def _tokens(folder: Path) -> dict[str, str]:
    """Settings to accept tokens, and a token in the file ``token``."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(ECAlgorithm.to_jwk(private.public_key())) | {"kid": "benchmark"}
    (folder / "jwks").write_text(json.dumps({"keys": [public]}))
    claims = {"iss": "benchmark", "aud": NAME, "scope": "predict", "exp": time.time() + 86_400}
    (folder / "token").write_text(jwt.encode(claims, private, "ES256", headers={"kid": "benchmark"}))
    return {
        "jwks": str(folder / "jwks"),
        "jwt_issuer": "benchmark",
        "jwt_audience": NAME,
    }


def _first_answer(process: "subprocess.Popen[bytes]", name: str, port: int, grpc_port: int) -> float:
    """Return when a server first gave the right answer."""
    while process.poll() is None:
        if _answers_grpc(grpc_port) if name == PLAIN_GRPC else _answers(name, port):
            return time.perf_counter()
        time.sleep(0.01)
    raise RuntimeError(f"{name} ended before it answered")


def _answers(name: str, port: int) -> bool:
    path = "/stream" if name in ("plain", "nginx") else f"/v1/models/{NAME}:predict"
    body, headers = {"instances": [[0.5]]}, {"X-API-Key": KEY}
    try:
        answer = httpx.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and "621.125" in answer.text


def _answers_grpc(port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            GRPCInferenceServiceStub(channel).ModelInfer(pb.ModelInferRequest())
        except grpc.RpcError:
            return False
    return True
