import hashlib
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.model import artifact
from predictor.model.artifact import ArtifactError
from predictor.model.inputs import Column, Input
from predictor.model.kinds.linear import LinearModel
from tests.support.models import linear_model

FILES = ("manifest.json", "model.json", "reference.json")

finite = st.floats(allow_nan=False, allow_infinity=False)


def make_model(weights: tuple[float, ...] = (938.25, -3.5), intercept: float = 152.0) -> LinearModel:
    features = [Input(f"x{i}", -1.0, 1.0) for i in range(len(weights))]
    return linear_model(weights, intercept, features=features, target=Column("target", 25.0, 346.0, "mg/dl"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    artifact.write(make_model(), tmp_path / "model")
    return tmp_path / "model"


@given(weights=st.lists(finite, min_size=1, max_size=5), intercept=finite)
def test_finite_models_round_trip_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, weights: list[float], intercept: float
) -> None:
    model = make_model(tuple(weights), intercept)
    place = tmp_path_factory.mktemp("models") / "model"
    digest = artifact.write(model, place)
    assert artifact.read(place) == (model, digest)


def test_digest_depends_only_on_the_model(tmp_path: Path) -> None:
    assert artifact.write(make_model(), tmp_path / "a") == artifact.write(make_model(), tmp_path / "b")
    assert artifact.write(make_model(intercept=151.0), tmp_path / "c") != artifact.read(tmp_path / "a")[1]


def test_model_folder_holds_only_json(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [*FILES]
    for path in folder.iterdir():
        json.loads(path.read_text())


def test_never_overwrites_a_folder(folder: Path) -> None:
    with pytest.raises(FileExistsError, match="never overwritten"):
        artifact.write(make_model(intercept=0.0), folder)
    assert artifact.read(folder)[0] == make_model()


def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        artifact.write(make_model(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_refuses_to_write_non_finite_weights(tmp_path: Path, value: float) -> None:
    with pytest.raises(ArtifactError, match="finite"):
        artifact.write(make_model((value,)), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_refuses_to_write_a_name_that_is_not_valid_unicode(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="surrogate"):
        artifact.write(linear_model((1.0,), features=["half \ud800"]), tmp_path / "model")


@pytest.mark.parametrize("name", ["model.json", "reference.json"])
def test_error_names_a_changed_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes().replace(b"0.5", b"0.6") + b" ")
    with pytest.raises(ArtifactError, match=f"{name} was changed"):
        artifact.read(folder)


@pytest.mark.parametrize("name", FILES)
def test_error_names_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        artifact.read(folder)


@pytest.mark.parametrize("name", FILES)
def test_error_names_a_truncated_file(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=name):
        artifact.read(folder)


def test_error_names_an_unknown_file(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(ArtifactError, match=r"model\.pkl does not belong"):
        artifact.read(folder)


def test_error_names_a_file_over_the_size_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MAX_FILE_BYTES", 100)
    with pytest.raises(ArtifactError, match=r"manifest\.json is larger than 100 bytes"):
        artifact.read(folder)


def test_refuses_to_write_a_file_over_the_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MAX_FILE_BYTES", 1000)
    with pytest.raises(
        ArtifactError, match=r"reference\.json would have \d,\d{3} bytes.* 1,000: train a smaller"
    ):
        artifact.write(make_model((1.0,) * 9), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_error_shows_a_file_name_that_is_not_utf8(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()
    with pytest.raises(ArtifactError, match=r"\\udcff does not belong") as caught:
        artifact.read(folder)
    str(caught.value).encode()


def make_fifo(path: Path, _folder: Path) -> None:
    os.mkfifo(path)


def link_out_of_the_folder(path: Path, folder: Path) -> None:
    outside = folder.with_name("outside.json")
    outside.write_bytes(b"{}")
    path.symlink_to(outside)


def link_to_nothing(path: Path, folder: Path) -> None:
    path.symlink_to(folder / "nothing")


def make_folder(path: Path, _folder: Path) -> None:
    path.mkdir()


def link_to_itself(path: Path, _folder: Path) -> None:
    path.symlink_to(path)


def link_to_a_fifo(path: Path, folder: Path) -> None:
    os.mkfifo(folder.with_name(path.name))
    path.symlink_to(folder.with_name(path.name))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("replace_file", [make_fifo, link_to_itself, make_folder])
@pytest.mark.parametrize("name", FILES)
def test_refuses_files_that_are_not_regular(
    folder: Path, name: str, replace_file: Callable[[Path, Path], None]
) -> None:
    (folder / name).unlink()
    replace_file(folder / name, folder)
    with pytest.raises(ArtifactError, match=rf"{name} is not a regular file"):
        artifact.read(folder)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("replace_file", [link_out_of_the_folder, link_to_nothing, link_to_a_fifo])
@pytest.mark.parametrize("name", FILES)
def test_refuses_a_single_file_that_is_a_link(
    folder: Path, name: str, replace_file: Callable[[Path, Path], None]
) -> None:
    (folder / name).unlink()
    replace_file(folder / name, folder)
    with pytest.raises(ArtifactError, match=rf"{name} is a link; links are followed only if all"):
        artifact.read(folder)


def link_files(links: Path, folder: Path) -> None:
    """Link every file of a folder in another one, as KServe's storage initializer does for a volume claim."""
    links.mkdir()
    for name in FILES:
        (links / name).symlink_to(folder / name)


def test_follows_links_of_all_files_to_one_other_folder(folder: Path, tmp_path: Path) -> None:
    link_files(tmp_path / "links", folder)
    assert artifact.read(tmp_path / "links") == artifact.read(folder)


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert artifact.read(tmp_path / "link") == artifact.read(folder)


def test_refuses_links_to_files_of_several_folders(folder: Path, tmp_path: Path) -> None:
    artifact.write(artifact.read(folder)[0], tmp_path / "other")
    link_files(tmp_path / "links", folder)
    (tmp_path / "links" / "model.json").unlink()
    (tmp_path / "links" / "model.json").symlink_to(tmp_path / "other" / "model.json")
    with pytest.raises(ArtifactError, match="is a link; links are followed only if all"):
        artifact.read(tmp_path / "links")


@pytest.mark.timeout(120)
def test_refuses_links_to_a_folder_with_a_fifo(folder: Path, tmp_path: Path) -> None:
    link_files(tmp_path / "links", folder)
    (folder / "reference.json").unlink()
    os.mkfifo(folder / "reference.json")
    with pytest.raises(ArtifactError, match=r"reference\.json is not a regular file"):
        artifact.read(tmp_path / "links")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["model.pkl", "..data", "m\u00f6del"])
def test_unexpected_entries_are_refused_unopened(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)
    with pytest.raises(ArtifactError, match=rf"{re.escape(name)} does not belong"):
        artifact.read(folder)


@pytest.mark.parametrize("place", ["missing", "file"])
def test_refuses_a_path_that_is_not_a_folder(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="is not a folder"):
        artifact.read(tmp_path / place)


def drop_intercept(document: dict[str, Any]) -> None:
    del document["parameters"]["intercept"]


def drop_a_weight(document: dict[str, Any]) -> None:
    document["parameters"]["weights"] = [1.0]


def rename_an_input(document: dict[str, Any]) -> None:
    document["inputs"][1]["name"] = "other"


def repeat_an_input(document: dict[str, Any]) -> None:
    document["inputs"][1] = document["inputs"][0]


def drop_the_inputs(document: dict[str, Any]) -> None:
    document["inputs"] = []


def make_an_input_a_category(document: dict[str, Any]) -> None:
    document["inputs"][0].update(type="category", categories=["a", "b"])


def set_a_weight_to_text(document: dict[str, Any]) -> None:
    document["parameters"]["weights"] = ["heavy", 1.0]


def set_a_weight_to_a_boolean(document: dict[str, Any]) -> None:
    document["parameters"]["weights"] = [True, 1.0]


def set_a_weight_out_of_range(document: dict[str, Any]) -> None:
    document["parameters"]["weights"] = [10**400, 1.0]


def set_the_parameters_to_a_list(document: dict[str, Any]) -> None:
    document["parameters"] = []


def set_an_unknown_kind(document: dict[str, Any]) -> None:
    document["kind"] = "os"


def set_a_kind_that_is_a_path(document: dict[str, Any]) -> None:
    document["kind"] = "..artifact"


def set_a_kind_that_is_no_text(document: dict[str, Any]) -> None:
    document["kind"] = ["linear"]


def raise_the_format_version(document: dict[str, Any]) -> None:
    document["format_version"] = artifact.FORMAT_VERSION + 1


def update_digest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop_intercept, "'intercept' is missing"),
        (drop_a_weight, "2 inputs, but 1 weights"),
        (rename_an_input, "the reference describes other inputs"),
        (repeat_an_input, 'duplicate input "x0"'),
        (drop_the_inputs, "a model needs inputs"),
        (make_an_input_a_category, 'the reference needs a bin for each value of "x0"'),
        (set_a_weight_to_text, "'heavy' is not a finite number"),
        (set_a_weight_to_a_boolean, "True is not a finite number"),
        (set_a_weight_out_of_range, "is not a finite number"),
        (set_the_parameters_to_a_list, "list indices must be integers"),
        (set_an_unknown_kind, 'unknown kind of model "os"; this server knows linear'),
        (set_a_kind_that_is_a_path, 'unknown kind of model "..artifact"'),
        (set_a_kind_that_is_no_text, "unknown kind of model"),
        (raise_the_format_version, "unsupported format version 3; this server reads versions 1 and 2"),
    ],
)
def test_refuses_invalid_content_with_a_valid_digest(
    folder: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    document = json.loads((folder / "model.json").read_bytes())
    change(document)
    (folder / "model.json").write_text(json.dumps(document))
    update_digest(folder)
    with pytest.raises(ArtifactError, match=rf"model/\w+\.json: .*{reason}"):
        artifact.read(folder)


def test_reads_folders_of_format_version_1(folder: Path) -> None:
    column = {"name": "x0", "minimum": -1.0, "maximum": 1.0, "unit": None}
    document = {
        "format_version": 1,
        "weights": [938.25, -3.5],
        "intercept": 152.0,
        "features": [column, {**column, "name": "x1"}],
        "target": {"name": "target", "minimum": 25.0, "maximum": 346.0, "unit": "mg/dl"},
    }
    for name in ("reference.json", "manifest.json"):
        file = folder / name
        file.write_text(file.read_text().replace('"format_version": 2', '"format_version": 1'))
    (folder / "model.json").write_text(json.dumps(document))
    update_digest(folder)
    assert artifact.read(folder)[0] == make_model()


def test_round_trips_typed_inputs(tmp_path: Path) -> None:
    city = Input("city", 0, 1, type="category", categories=("Bern", "Genf"), missing=1, accepts_unknown=True)
    model = linear_model(((1.0, 2.5), 3.0), features=[city, Input("member", 0, 1, type="boolean")])
    digest = artifact.write(model, tmp_path / "model")
    assert artifact.read(tmp_path / "model") == (model, digest)
