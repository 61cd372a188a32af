"""compose.yaml starts from this repository alone: its own images, free ports, and passwords of its own."""

import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from delivery import version
from tests.manifests.rendering import ROOT

# Used by macOS itself (AirPlay).
TAKEN = {"5000", "7000"}
PORT = re.compile(r"127\.0\.0\.1:\$\{[A-Z_]+:-(?P<host>\d+)\}:\d+")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of compose.yaml."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


def test_every_image_is_built_here_or_named_by_digest(services: dict[str, Any]) -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    built = {service["image"] for service in services.values() if "build" in service}
    for name, service in services.items():
        image = service["image"]
        assert image in built or re.fullmatch(r".+@sha256:[0-9a-f]{64}", image), (name, image)
        if "build" in service:
            assert image == f"linear-regressor/{service['build']['target']}:{version.current(ROOT)}"
            assert service["build"]["target"] in targets


def test_published_ports_are_local_chosen_by_variables_and_free_on_macos(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    for port in ports:
        match = PORT.fullmatch(port)
        assert match, port
        assert match["host"] not in TAKEN


def test_services_are_restricted_as_on_a_cluster(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name


def test_no_password_is_written_down(services: dict[str, Any]) -> None:
    secrets = [
        value
        for service in services.values()
        for key, value in service.get("environment", {}).items()
        if "SECRET" in key or "PASSWORD" in key
    ]
    assert secrets
    assert all(value.startswith("${STORE_SECRET_KEY:?") for value in secrets)


@pytest.mark.skipif(not shutil.which("make"), reason="LEFT OUT: make is not on the PATH")
def test_make_writes_a_new_password_once_and_for_its_owner_only(tmp_path: Path) -> None:
    def write() -> str:
        command = ["make", "-s", "-f", str(ROOT / "Makefile"), "-I", str(ROOT), ".env"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return (tmp_path / ".env").read_text()

    first = write()
    assert re.fullmatch(r"STORE_SECRET_KEY=[0-9a-f]{48}\n", first)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert write() == first
    (tmp_path / ".env").unlink()
    assert write() != first


@pytest.mark.skipif(not shutil.which("make"), reason="LEFT OUT: make is not on the PATH")
def test_push_names_the_registry_of_the_images() -> None:
    def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["make", "-s", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
        )

    done = make("push", "REGISTRY=registry.example.com/team", "PUSH=echo pushed", "TAG=7")
    assert done.stdout.splitlines() == [
        f"pushed registry.example.com/team/linear-regressor/{image}:7"
        for image in ("predictor", "pipeline", "registry")
    ]
    refused = make("push", "REGISTRY=", "PUSH=echo pushed")
    assert refused.returncode != 0
    assert "REGISTRY is not set" in refused.stderr
