import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from components.operations.cli import serving
from predictor.model.inputs import Input
from tests.support.models import linear_model, tree_model, write_model


@pytest.fixture
def champion(tmp_path: Path) -> Path:
    return write_model(tmp_path / "1", linear_model((1.0, 2.0), 0.0))


def test_usage_prints_curl_commands_with_json_of_the_right_width(champion: Path) -> None:
    lines = serving.usage(champion, "m", 8080)
    posts = {words[1]: json.loads(words[3]) for words in map(shlex.split, lines) if "-d" in words}
    base = "http://localhost:8080"
    assert set(posts) == {
        f"{base}{path}" for path in ("/stream", "/batch", "/v1/models/m:predict", "/v2/models/m/infer")
    }
    assert len(posts[f"{base}/stream"]["instance"]) == 2
    assert posts[f"{base}/v2/models/m/infer"]["inputs"][0]["shape"] == [2, 2]


def test_usage_prints_values_as_clients_send_them(tmp_path: Path) -> None:
    city = Input("city", 0, 1, type="category", categories=("Bern", "Genf"))
    inputs = [Input("age", 0.0, 90.0), Input("member", 0, 1, type="boolean"), city]
    folder = write_model(tmp_path / "1", tree_model(1, inputs))
    posts = [
        json.loads(words[3]) for words in map(shlex.split, serving.usage(folder, "m", 1)) if "-d" in words
    ]
    assert posts[1] == {"instances": [[45.0, True, "Genf"], [71.2, False, "Bern"]]}
    assert [(one["name"], one["datatype"], one["data"]) for one in posts[3]["inputs"]] == [
        ("age", "FP64", [45.0, 71.2]),
        ("member", "BOOL", [True, False]),
        ("city", "BYTES", ["Genf", "Bern"]),
    ]


def test_replaces_the_process_by_a_predictor_of_the_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, words: executed.append([program, *words]))
    become: Callable[..., object] = serving.become_predictor
    become("/models/1", "m", 8080, 8081)
    program, *words = executed[0]
    assert program == words[0]
    assert words[1:3] == ["-m", "predictor"]
    assert words[3:] == [
        "--model_name", "m", "--model_dir", "/models/1", "--http_port", "8080", "--grpc_port", "8081",
    ]  # fmt: skip
