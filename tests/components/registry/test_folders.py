"""The folders of the versions: verified, never overwritten, on a disk or in an object store."""

import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest

from components.registry.folders import FolderError, open_folders
from components.registry.registry import Registry, open_registry
from components.registry.signing import registered_folder
from predictor.model import artifact
from predictor.model.evaluation import Evaluation
from predictor.model.provenance import Provenance
from tests.components.conftest import MakeModel
from tests.components.registry.decisions import accept, champion_slope, index_of
from tests.support.models import weights_of


def test_never_registers_a_damaged_model(registry: Registry, root: Path, make_model: MakeModel) -> None:
    folder = make_model(2.0)
    (folder / "model.json").write_text("{}")
    with pytest.raises(artifact.ArtifactError, match=r"model\.json"):
        registry.register(folder, "run-1", {}, accept)
    assert index_of(root).latest() == []


def test_refuses_to_load_a_champion_that_was_tampered_with(
    champion_root: Path, make_model: MakeModel
) -> None:
    registry = open_registry(champion_root)
    place = champion_root / "models" / "linear-regressor" / "1"
    shutil.rmtree(place)
    shutil.copytree(make_model(9.0), place)
    champion = registry.champion()
    assert champion is not None
    with pytest.raises(FolderError, match="version 1 holds the model"):
        registry.entry(champion)


def test_never_overwrites_a_version(tmp_path: Path, make_model: MakeModel) -> None:
    folders = open_folders(tmp_path / "registry", "linear-regressor")
    folders.publish(make_model(1.0), 1)
    folders.publish(make_model(1.0), 1)
    with pytest.raises(FolderError, match="never overwritten"):
        folders.publish(make_model(2.0), 1)
    assert weights_of(folders.load(1)[0]) == (1.0,)


def test_a_registry_can_be_moved_to_another_folder(champion_root: Path) -> None:
    moved = champion_root.rename(champion_root.with_name("elsewhere"))
    assert champion_slope(open_registry(moved)) == 1.0


def test_registers_models_in_an_object_store(
    root: Path, make_model: MakeModel, request: pytest.FixtureRequest
) -> None:
    place = f"memory://{request.node.name}"
    registry = open_registry(place, f"sqlite:///{root / 'mlflow.db'}")
    done = registry.register(make_model(2.0), "run-1", {}, accept)
    assert done.champion_uri == f"{place}/models/linear-regressor/1/"
    assert index_of(root).aliases() == {"challenger": 1, "champion": 1}
    assert champion_slope(registry) == 2.0
    assert registry.register(make_model(2.0), "run-2", {}, accept).version == 1


def test_completes_an_interrupted_upload(make_model: MakeModel, request: pytest.FixtureRequest) -> None:
    folders = open_folders(f"memory://{request.node.name}", "linear-regressor")
    fsspec.filesystem("memory").pipe_file(f"{folders.uri(1)}model.json", b"half of")
    with pytest.raises(
        FolderError, match=f"{folders.uri(1)}.*reference.json is missing|manifest.json is missing"
    ):
        folders.load(1)
    folders.publish(make_model(2.0), 1)
    assert weights_of(folders.load(1)[0]) == (2.0,)


@pytest.mark.parametrize("remote", [False, True])
def test_a_version_says_how_good_it_is(
    remote: bool, tmp_path: Path, make_model: MakeModel, request: pytest.FixtureRequest
) -> None:
    model = make_model(2.0)
    digest = artifact.read(model)[1]
    found = Evaluation.of(
        np.array([1.0, 2.0]), np.zeros(2), mean=1.0, digest=digest, source="x.csv", created="2026-01-01"
    )
    folders = open_folders(
        f"memory://{request.node.name}" if remote else tmp_path / "registry", "linear-regressor"
    )
    about = Provenance("linear-regressor", "1", digest, "run-1", "", "", "", "2026-01-01", True, ("better",))
    with registered_folder(model, found, about, signer=None) as complete:
        folders.publish(complete, 1)
    assert folders.load(1)[1] == digest
    place = Path(folders.uri(1))
    if remote:
        place = tmp_path / "copy"
        place.mkdir()
        for path in (memory := fsspec.filesystem("memory")).find(folders.uri(1)):
            (place / Path(path).name).write_bytes(memory.cat_file(path))
    assert artifact.read_evaluation(place, digest) == found
    assert artifact.read_provenance(place, digest) == about
