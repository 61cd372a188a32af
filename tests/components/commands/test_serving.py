import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.commands import serving
from predictor import artifact
from predictor.artifact import Column, Distribution, LinearModel, Reference


@pytest.fixture
def champion(tmp_path: Path) -> Path:
    seen = Distribution.of(np.linspace(-1, 1, 50))
    model = LinearModel(
        weights=(1.0, 2.0),
        intercept=0.0,
        features=(Column("a", -1.0, 1.0), Column("b", -1.0, 1.0)),
        target=Column("y", -1.0, 1.0),
        reference=Reference(rows=50, features={"a": seen, "b": seen}, prediction=seen),
    )
    artifact.write(model, tmp_path / "1")
    return tmp_path / "1"


def test_the_lines_for_curl_are_words_of_a_shell_with_json_of_the_right_width(champion: Path) -> None:
    lines = serving.usage(champion, "m", 8080)
    posts = {words[1]: json.loads(words[3]) for words in map(shlex.split, lines) if "-d" in words}
    base = "http://localhost:8080"
    assert set(posts) == {
        f"{base}{path}" for path in ("/stream", "/batch", "/v1/models/m:predict", "/v2/models/m/infer")
    }
    assert len(posts[f"{base}/stream"]["instance"]) == 2
    assert posts[f"{base}/v2/models/m/infer"]["inputs"][0]["shape"] == [2, 2]


def test_the_process_becomes_a_predictor_of_the_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, words: executed.append([program, *words]))
    become: Callable[..., object] = serving.become_predictor
    become("/models/1", "m", 8080, 8081)
    ((program, *words),) = executed
    assert program == words[0]
    assert words[1:3] == ["-m", "predictor"]
    assert words[3:] == [
        "--model_name", "m", "--model_dir", "/models/1", "--http_port", "8080", "--grpc_port", "8081",
    ]  # fmt: skip
