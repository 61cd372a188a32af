"""The services of compose.yaml, run without Docker: each image's entry point with its service's command."""

import json
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
from tests.support.environments import install_lock
from tests.support.ports import free_port
from tests.support.processes import end, wait_until

# `make test-slow` builds it beside Python.
PROGRAMS = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
STORE = shutil.which("versitygw", path=PROGRAMS)
pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not STORE, reason="LEFT OUT: versitygw, the store's program, was not built"),
]
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRET = "only-for-tests"


class Compose:
    """The services, with addresses and folders of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The other images' packages are in this environment, too.
        self.registry = install_lock("registry", folder / "venv")
        self.ports = {service: free_port() for service in ("store", "registry", "predictor", "grpc")}
        for volume in ("store", "registry", "models"):
            (folder / volume).mkdir()

    def address(self, service: str) -> str:
        """Return where a service answers."""
        return f"http://127.0.0.1:{self.ports[service]}"

    @contextmanager
    def running(self, service: str, path: str) -> Iterator[None]:
        """Run a service until it answers, and end it afterwards."""
        log = self.folder / f"{service}.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                self._command(service),
                cwd=ROOT,
                env=self._environment(service),
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                answers = f"{self.address(service)}{path}"
                wait_until(lambda: _is_up(answers) or process.poll() is not None, 300, answers, interval=0.2)
                assert process.poll() is None, log.read_text()
                yield
            finally:
                end(process)

    def run(self, service: str) -> None:
        """Run a service to its end."""
        done = subprocess.run(
            self._command(service),
            cwd=ROOT,
            env=self._environment(service),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"

    def _command(self, service: str) -> list[str]:
        definition = SERVICES[service]
        target = definition["image"].removeprefix("linear-regressor/").partition(":")[0]
        start = definition.get("entrypoint") or _instruction(target, "ENTRYPOINT")
        words = [*start, *(definition.get("command") or _instruction(target, "CMD"))]
        python = self.registry if service == "registry" else sys.executable
        programs = {"python": str(python), "versitygw": str(STORE)}
        return [programs.get(word) or self._moved(word, service) for word in map(str, words)]

    def _environment(self, service: str) -> dict[str, str]:
        given: dict[str, Any] = SERVICES[service].get("environment", {})
        filled = {
            key: SECRET if "STORE_SECRET_KEY" in str(value) else str(value) for key, value in given.items()
        }
        return {**os.environ, **{key: self._moved(value, service) for key, value in filled.items()}}

    def _moved(self, text: str, service: str) -> str:
        """Replace the addresses and folders of a container by those of this machine."""
        changes = {
            "http://store:9000": self.address("store"),
            "http://registry:5000": self.address("registry"),
            ":9000": f"127.0.0.1:{self.ports['store']}",
            "--port=5000": f"--port={self.ports['registry']}",
            "8080": str(self.ports["predictor"]),
            "8081": str(self.ports["grpc"]),
            "/mnt/models": str(self.folder / "models"),
            "/tmp/runs": str(self.folder / "runs"),
            "/data": str(self.folder / service),
        }
        return re.sub("|".join(map(re.escape, changes)), lambda found: changes[found[0]], text)


def _instruction(target: str, name: str) -> list[str]:
    """Return the words of an instruction in the Dockerfile's stage of this name; none where it has none."""
    stage = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
    found = re.search(rf"^{name} (\[.*\])$", stage, re.MULTILINE)
    words: list[str] = json.loads(found[1]) if found else []
    return words


def _is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_compose_trains_a_model_and_serves_it(tmp_path: Path) -> None:
    compose = Compose(tmp_path)
    with compose.running("store", "/health"), compose.running("registry", "/health"):
        for service in ("bucket", "pipeline", "champion"):
            compose.run(service)
        with compose.running("predictor", "/v2/models/linear-regressor/ready"):
            request = urllib.request.Request(
                f"{compose.address('predictor')}/stream", data=b'{"instance": 0.05}', method="POST"
            )
            with urllib.request.urlopen(request, timeout=10) as response:
                answer = json.load(response)
    assert answer["prediction"] == pytest.approx(200, abs=20)
    stored = {file.name for file in (tmp_path / "store" / "models").rglob("*") if file.is_file()}
    assert {"manifest.json", "model.json"} <= stored
