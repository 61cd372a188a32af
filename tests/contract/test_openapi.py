"""The OpenAPI document tells the truth of a running server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


def explore(url: str, phases: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run schemathesis with all its checks; its settings are in ``schemathesis.toml``."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", "all"]
    command += ["--phases", phases, "--max-examples", "10", "--seed", "1", *options]
    quiet = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)


def test_a_server_of_one_feature_is_as_its_document_says(server: Any, admin: dict[str, str]) -> None:
    # Unloading the model is what the document says, too, but the rest of the tests need it.
    options = ["-H", f"Authorization: {admin['Authorization']}", "--exclude-path-regex", "/unload$"]
    found = explore(server.url, "examples,coverage,fuzzing", *options)
    assert found.returncode == 0, found.stdout[-8000:]


def test_a_server_of_three_features_is_as_its_document_says(wide_server: Any) -> None:
    found = explore(wide_server.url, "examples,coverage")
    assert found.returncode == 0, found.stdout[-8000:]


def test_every_fact_shown_is_a_fact(wide: httpx.Client) -> None:
    told = 0
    for path, item in wide.get("/openapi.json").json()["paths"].items():
        answer = (
            item.get("get", {})
            .get("responses", {})
            .get("200", {})
            .get("content", {})
            .get("application/json", {})
        )
        if "{model}" in path or path in ("/v1/models", "/v2/models", "/v2/health/live", "/v2/health/ready"):
            for example in answer.get("examples", {}).values():
                found = wide.get(path.replace("{model}", "linear-regressor").replace("{version}", "7"))
                assert found.json() == example["value"], path
                told += 1
    assert told == 9


def test_every_example_is_answered_as_the_document_shows(wide: httpx.Client) -> None:
    document = wide.get("/openapi.json").json()
    asked = 0
    for path, item in document["paths"].items():
        for media, sent, answers in examples(item.get("post", {})):
            target = path.replace("{model}", "linear-regressor").replace("{version}", "7")
            answer = wide.post(target, content=sent, headers={"content-type": media, "accept": media})
            assert answer.status_code == 200, (path, media, answer.text)
            assert answer.headers["content-type"].startswith(media)
            assert (answer.json() if media == "application/json" else answer.text) == answers[media]
            asked += 1
    assert asked == 8


def examples(operation: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """For each example of a request its media type, its content, and the example of the answer."""
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
