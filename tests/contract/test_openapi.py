"""The OpenAPI document describes what a running server does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import NAME, VERSION, Server, start_predictor

ROOT = Path(__file__).parents[2]
CONSTANT = ("/v1/models", "/v2/models", "/v2/health/live", "/v2/health/ready")
"""Paths without a model in them whose answer is the same at any time."""


def run_schemathesis(server: Server, phases: str, *options: str, examples: int = 10) -> None:
    """Run schemathesis with all its checks; its settings are in ``schemathesis.toml``."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", *options]
    command += ["--checks", "all", "--phases", phases, "--max-examples", str(examples), "--seed", "1"]
    # Of what is measured, only the server runs.
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    quiet["NO_COLOR"] = "1"
    found = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-8000:]


def test_schemathesis_finds_no_fault_in_few_examples(wide_server: Server) -> None:
    run_schemathesis(wide_server, "examples,fuzzing", examples=2)


@pytest.mark.slow
def test_schemathesis_finds_no_fault_with_one_feature_and_an_administrator(
    server: Server, admin_header: dict[str, str]
) -> None:
    # Unloading the model is what the document describes, too, but the other tests need the model.
    options = ["-H", f"Authorization: {admin_header['Authorization']}", "--exclude-path-regex", "/unload$"]
    run_schemathesis(server, "examples,coverage,fuzzing", *options)


@pytest.mark.slow
def test_schemathesis_finds_no_fault_with_three_features(wide_server: Server) -> None:
    run_schemathesis(wide_server, "examples,coverage")


@pytest.mark.slow
def test_schemathesis_finds_no_fault_in_the_feedback_path(tmp_path: Path) -> None:
    with start_predictor(feedback_url=tmp_path, feedback_seconds=0.001) as server:
        run_schemathesis(server, "examples,coverage", "--include-path", "/feedback")


def path_of(template: str) -> str:
    return template.replace("{model}", NAME).replace("{version}", VERSION)


def test_examples_of_constant_answers_are_the_answers(wide_client: httpx.Client) -> None:
    compared = 0
    for path, item in wide_client.get("/openapi.json").json()["paths"].items():
        answer = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if "{model}" in path or path in CONSTANT:
            for example in answer.get("application/json", {}).get("examples", {}).values():
                assert wide_client.get(path_of(path)).json() == example["value"], path
                compared += 1
    assert compared == 9


def test_examples_of_requests_are_answered_as_documented(wide_client: httpx.Client) -> None:
    compared = 0
    for path, item in wide_client.get("/openapi.json").json()["paths"].items():
        for media, sent, answers in examples(item.get("post", {})):
            headers = {"content-type": media, "accept": media}
            answer = wide_client.post(path_of(path), content=sent, headers=headers)
            assert answer.status_code == 200, (path, media, answer.text)
            assert answer.headers["content-type"].startswith(media)
            assert (answer.json() if media == "application/json" else answer.text) == answers[media]
            compared += 1
    assert compared == 8


def examples(operation: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return each example of a request: media type, content, and the examples of answers by media type."""
    answers = {
        media: example["value"]
        for media, content in operation.get("responses", {}).get("200", {}).get("content", {}).items()
        for example in content.get("examples", {}).values()
    }
    return [
        (media, json.dumps(example["value"]) if media == "application/json" else example["value"], answers)
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
        for example in content.get("examples", {}).values()
    ]
