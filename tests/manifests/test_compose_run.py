"""The services of compose.yaml, run without Docker: the store's program, and the other images' commands."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.rendering import ROOT
from tests.support.ports import free_port
from tests.support.processes import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("versitygw"), reason="LEFT OUT: versitygw, the store's program, is not on the PATH"
    ),
]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRET = "only-for-tests"


def entrypoint(target: str) -> list[str]:
    """Return the entry point of an image's target."""
    stage = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
    found = re.search(r"^ENTRYPOINT (\[.*\])$", stage, re.MULTILINE)
    assert found
    words: list[str] = yaml.safe_load(found[1])
    return words


def command(service: str, **changes: str) -> list[str]:
    """Return the command line of a service, with addresses and folders of this machine."""
    definition = COMPOSE["services"][service]
    start = definition.get("entrypoint") or entrypoint(definition["build"]["target"])
    words = [*start, *definition.get("command", [])]
    for old, new in changes.items():
        words = [word.replace(old, new) for word in words]
    return [sys.executable if word == "python" else word for word in words]


@contextmanager
def running(words: list[str], address: str, environment: dict[str, str]) -> Iterator[None]:
    """Run a server until it answers at an address, and end it afterwards."""
    with subprocess.Popen(words, env={**os.environ, **environment}) as process:
        try:
            wait_until(lambda: _answers(address), 60, address)
            yield
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def environment(service: str, store: str) -> dict[str, str]:
    """Return a service's variables, as compose would fill them in."""
    given: dict[str, Any] = COMPOSE["services"][service]["environment"]
    filled = {key: SECRET if "STORE_SECRET_KEY" in value else str(value) for key, value in given.items()}
    return {key: value.replace("http://store:9000", store) for key, value in filled.items()}


def test_pipeline_registers_a_champion_in_the_store_which_is_then_copied_for_the_predictor(
    tmp_path: Path,
) -> None:
    ports = {"store": free_port(), "registry": free_port()}
    store, registry = (f"http://127.0.0.1:{port}" for port in ports.values())
    for folder in ("store", "registry", "model"):
        (tmp_path / folder).mkdir()
    serve = command("store")
    serve[serve.index(":9000")] = f"127.0.0.1:{ports['store']}"
    # The image's default command is its folder.
    serve.append(str(tmp_path / "store"))
    mlflow = command(
        "registry", **{"/data": str(tmp_path / "registry"), "--port=5000": f"--port={ports['registry']}"}
    )
    with (
        running(serve, f"{store}/health", environment("store", store)),
        running(mlflow, f"{registry}/health", environment("registry", store)),
    ):
        moved = {
            "http://registry:5000": registry,
            "/tmp/runs": str(tmp_path / "runs"),
            "/mnt/models": str(tmp_path / "model"),
        }
        for service in ("bucket", "pipeline", "champion"):
            variables = {**os.environ, **environment(service, store)}
            done = subprocess.run(
                command(service, **moved),
                env=variables,
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"
    assert {file.name for file in (tmp_path / "model").iterdir()} >= {"manifest.json", "model.json"}
