"""The guide to a model of one's own: its code and commands, run unchanged."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from components.train import kinds as trained
from components.train.kind import TrainingError
from components.train.kinds import parameters
from components.train.report import report
from components.train.training import train
from predictor.codecs.cost import TooCostly
from predictor.endpoints import native, v1
from predictor.messages import Request, RequestHeaders
from predictor.model import artifact
from predictor.model import kinds as served
from predictor.model.artifact import ArtifactError
from predictor.web.openapi import document
from predictor.web.page import page
from tests.support.datasets import write_dataset
from tests.support.server import start_predictor
from tests.support.service import answer, load, make_service

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/]+\.py)`\n\n```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
MODULES = ("predictor.model.kinds.neighbours", "components.train.kinds.neighbours")


@pytest.fixture
def neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add the guide's files to the packages of kinds."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(content)
    for package in (served, trained):
        place = tmp_path / package.__name__.replace(".", "/")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_guide_has_two_files_of_under_100_lines() -> None:
    assert list(FILES) == [f"{name.replace('.', '/')}.py" for name in MODULES]
    assert sum(content.count("\n") for content in FILES.values()) < 100


@pytest.mark.usefixtures("neighbours")
def test_the_kind_of_the_guide_is_trained_read_and_described(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    result = train(dataset, tmp_path / "model", kind="neighbours", k=3)
    model, digest = artifact.read(tmp_path / "model")
    assert (model, digest) == (result.model, result.digest)
    summary = "The mean target of the 3 nearest of 50 training rows."
    assert model.summary() == summary
    assert summary in report(result)
    X, y = dataset.train()
    distances = (((X - X[7]) / X.std(axis=0)) ** 2).sum(axis=1)
    assert model.rows(X)[7] == pytest.approx(y[np.argsort(distances)[:3]].mean())
    assert [model.row(row) for row in X[:5].tolist()] == model.rows(X[:5]).tolist()
    assert summary in page(load(model, digest), name="m", version="1").html.decode()
    described = document(load(model), name="m", version="1")
    assert described["info"]["description"] == summary
    assert "/v1/models/{model}:explain" not in described["paths"]


@pytest.mark.usefixtures("neighbours")
def test_the_kind_of_the_guide_answers_requests(tmp_path: Path) -> None:
    model = train(write_dataset(tmp_path / "dataset"), tmp_path / "model", kind="neighbours").model
    service, row = make_service(model=model), model.typical
    body = json.dumps({"instance": row}).encode()
    assert json.loads(answer(service, native.stream, body).body) == {"prediction": model.row(row)}
    assert answer(service, v1.explain, json.dumps({"instances": [row]}).encode()).status == 501
    many = json.dumps({"instances": [row] * 10_000}).encode()
    with pytest.raises(TooCostly):
        v1.predict(service, Request(RequestHeaders(), many, inline=True))


@pytest.mark.usefixtures("neighbours")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"k": 0}, "k must be from 1"),
        ({"k": 51}, "k must be from 1"),
        ({"k": 2.0}, "k must be a whole number"),
        ({"targets": []}, "a row needs a value of each input"),
        ({"rows": [[1.0]]}, "a row needs a value of each input"),
        ({"rows": [["a", 1.0]]}, "'a' is not a finite number"),
    ],
)
def test_the_kind_of_the_guide_refuses_a_forged_folder(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    model = train(write_dataset(tmp_path / "dataset"), tmp_path / "model", kind="neighbours").model
    forged = {**model.parameters(), **change}
    with pytest.raises(ValueError, match=reason):
        type(model).of(forged, model.inputs, model.target, model.reference)
    model.parameters = lambda: forged  # type: ignore[method-assign]
    with pytest.raises(ArtifactError, match=f"model.json: .*{reason}"):
        artifact.write(model, tmp_path / "forged")


@pytest.mark.usefixtures("neighbours")
def test_the_kind_of_the_guide_refuses_a_large_table(tmp_path: Path) -> None:
    assert parameters("neighbours", {}) == {"k": 5, "most_rows": 2000}
    with pytest.raises(TrainingError, match="50 training rows are more than most_rows=10"):
        train(write_dataset(tmp_path / "dataset"), tmp_path / "model", kind="neighbours", most_rows=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_of_the_guide_train_compare_and_serve(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for name in ("components", "predictor"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pipeline.py", checkout)
    for name, content in FILES.items():
        (checkout / name).write_text(content)
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    readme, (train_both, serve) = "python pipeline.py run\n", COMMANDS
    done = subprocess.run(
        ["bash", "-euc", readme + train_both],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Version 1 is the champion now") == 2
    assert "Version 2 is" in done.stdout
    words = shlex.split(serve.replace("\\\n", ""))
    folder, name = (words[words.index(flag) + 1] for flag in ("--model_dir", "--model_name"))
    assert words[:3] == ["python", "-m", "predictor"]
    with start_predictor(
        checkout / folder, environment=environment, place=tmp_path, flags=["--model_name", name]
    ) as server:
        base = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=base, trust_env=False, timeout=60) as client:
            row = {"instances": [[0.05, 0.02, 0.03]]}
            (predicted,) = client.post(f"/v1/models/{name}:predict", json=row).json()["predictions"]
            assert 25 < predicted < 346
            assert client.post(f"/v1/models/{name}:explain", json=row).status_code == 501
            assert "nearest of 422 training rows" in client.get("/", headers={"accept": "text/html"}).text
            assert "nearest of 422 training rows" in client.get("/docs").text
