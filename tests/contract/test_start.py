"""What the predictor says when it can't start, or starts with variables that mean nothing to it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models import write_model
from tests.support.server import start_predictor


def start(folder: Path, *flags: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREDICTOR_")}
    command = [sys.executable, "-m", "predictor", "--model_dir", str(folder), *flags]
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_port_that_is_taken_gives_one_line_and_status_1(transport: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"http_port": "0", "grpc_port": "0", f"{transport}_port": str(port)}
        flags = [word for name, number in ports.items() for word in (f"--{name}", number)]
        ended = start(write_model(tmp_path / "1"), *flags)
    assert ended.returncode == 1
    errors = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    (error,) = (line for line in errors if line["level"] == "error")
    assert str(port) in error["message"]
    assert "exception" not in error
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_a_mistyped_setting_ends_the_start(tmp_path: Path) -> None:
    ended = start(write_model(tmp_path / "1"), PREDICTOR_AUHT="required")
    assert ended.returncode == 2
    assert ended.stderr == (
        "predictor: error: unknown setting PREDICTOR_AUHT; did you mean PREDICTOR_AUTH?\n"
    )


def test_other_variables_are_named_in_one_warning() -> None:
    others = {"PREDICTOR_TEAM": "x", "PREDICTOR_MODEL_NAME": "m", "PREDICTOR_SERVICE_HOST": "10.0.0.1"}
    with start_predictor(environment=others) as server:
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    warnings = [line["message"] for line in lines if line["level"] == "warning"]
    assert warnings == ["variables that are no settings have no effect: PREDICTOR_MODEL_NAME, PREDICTOR_TEAM"]
