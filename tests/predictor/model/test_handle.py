from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import TooLarge, Unavailable
from predictor.model import artifact, evaluation
from predictor.model.evaluation import Evaluation
from predictor.model.handle import ModelHandle
from tests.support.models import linear_model, write_model


def test_version_defaults_to_a_numeric_folder_name() -> None:
    assert ModelHandle("m", Path("models/7")).version == "7"
    assert ModelHandle("m", Path("models/latest")).version is None
    assert ModelHandle("m", Path("models/7"), "canary").version == "canary"


def test_failed_reload_keeps_the_previous_model(tmp_path: Path) -> None:
    handle = ModelHandle("m", write_model(tmp_path / "1"))
    assert handle.load()
    before = handle.loaded
    (tmp_path / "1" / "model.json").unlink()
    assert not handle.load()
    assert handle.loaded is before
    assert handle.ready
    assert "model.json is missing" in handle.error


def test_handle_without_a_model_says_why(tmp_path: Path) -> None:
    handle = ModelHandle("m", tmp_path / "1")
    with pytest.raises(Unavailable, match="not loaded yet"):
        handle.require()
    assert not handle.load()
    with pytest.raises(Unavailable, match="is not a folder"):
        handle.require()
    write_model(tmp_path / "1")
    assert handle.load()
    handle.unload()
    with pytest.raises(Unavailable, match="it was unloaded"):
        handle.require_ready()


def test_draining_server_answers_but_is_not_ready(tmp_path: Path) -> None:
    handle = ModelHandle("m", write_model(tmp_path / "1"))
    handle.load()
    handle.draining = True
    assert handle.require() is handle.loaded
    assert not handle.ready
    with pytest.raises(Unavailable, match="the server is shutting down"):
        handle.require_ready()


@pytest.mark.parametrize(("features", "limit"), [(1, 1000), (8, 1000), (16, 500)])
def test_row_limit_shrinks_with_more_than_eight_features(tmp_path: Path, features: int, limit: int) -> None:
    names = [f"x{i}" for i in range(features)]
    model = linear_model([1.0] * features, 0.0, features=names)
    handle = ModelHandle("m", write_model(tmp_path / "1", model), max_rows=1000)
    handle.load()
    handle.check_rows(limit)
    with pytest.raises(TooLarge, match=f"more than {limit} rows"):
        handle.check_rows(limit + 1)
    with pytest.raises(TooLarge, match=f"more than {limit // 10} rows"):
        handle.check_rows(limit, share=10)


def test_loads_how_good_the_model_is(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "1")
    handle = ModelHandle("m", folder)
    assert handle.load()
    loaded = handle.require()
    assert loaded.evaluation is None
    found = Evaluation.of(
        np.array([1.0]), np.zeros(1), mean=0.0, digest=loaded.digest, source="x.csv", created="2026-01-01"
    )
    file = folder / "evaluation.json"
    file.write_bytes(evaluation.encode(found))
    assert handle.load()
    assert handle.require().evaluation == found
    file.write_bytes(evaluation.encode(replace(found, digest="another")))
    assert not handle.load()
    assert "evaluation.json: it is about another model" in handle.error
    assert handle.require().evaluation == found


def test_the_evaluation_may_be_a_link_as_the_other_files_are(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "1")
    digest = artifact.read(folder)[1]
    found = Evaluation.of(np.ones(1), np.zeros(1), mean=0.0, digest=digest, source="", created="")
    (folder / "evaluation.json").write_bytes(evaluation.encode(found))
    links = tmp_path / "2"
    links.mkdir()
    for file in folder.iterdir():
        (links / file.name).symlink_to(file)
    assert artifact.read_evaluation(links, digest) == found
    (links / "evaluation.json").unlink()
    (links / "evaluation.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(artifact.ArtifactError, match="is a link"):
        artifact.read_evaluation(links, digest)
