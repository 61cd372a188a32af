import hashlib
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.model import artifact
from predictor.model.artifact import ArtifactError, Column, Distribution, LinearModel
from tests.support.models import linear_model

FILES = ("manifest.json", "model.json", "reference.json")

finite = st.floats(allow_nan=False, allow_infinity=False)


def make_model(weights: tuple[float, ...] = (938.25, -3.5), intercept: float = 152.0) -> LinearModel:
    features = [Column(f"x{i}", -1.0, 1.0) for i in range(len(weights))]
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


def test_refuses_duplicate_feature_names(tmp_path: Path) -> None:
    model = make_model((1.0, 2.0))
    with pytest.raises(ArtifactError, match="duplicate feature 'x0'"):
        artifact.write(replace(model, features=(model.features[0],) * 2), tmp_path / "model")


def test_refuses_to_write_a_name_that_is_not_valid_unicode(tmp_path: Path) -> None:
    model = make_model((1.0,))
    half = replace(model.features[0], name="half \ud800")
    reference = replace(model.reference, features={half.name: model.reference.features["x0"]})
    with pytest.raises(ArtifactError, match="surrogate"):
        artifact.write(replace(model, features=(half,), reference=reference), tmp_path / "model")


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


@pytest.mark.timeout(20)
@pytest.mark.parametrize("replace_file", [make_fifo, link_to_itself, make_folder])
@pytest.mark.parametrize("name", FILES)
def test_refuses_files_that_are_not_regular(
    folder: Path, name: str, replace_file: Callable[[Path, Path], None]
) -> None:
    (folder / name).unlink()
    replace_file(folder / name, folder)
    with pytest.raises(ArtifactError, match=rf"{name} is not a regular file"):
        artifact.read(folder)


@pytest.mark.timeout(20)
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


@pytest.mark.timeout(20)
def test_refuses_links_to_a_folder_with_a_fifo(folder: Path, tmp_path: Path) -> None:
    link_files(tmp_path / "links", folder)
    (folder / "reference.json").unlink()
    os.mkfifo(folder / "reference.json")
    with pytest.raises(ArtifactError, match=r"reference\.json is not a regular file"):
        artifact.read(tmp_path / "links")


@pytest.mark.timeout(20)
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


def drop_intercept(document: dict[str, object]) -> None:
    del document["intercept"]


def drop_a_weight(document: dict[str, object]) -> None:
    document["weights"] = [1.0]


def rename_a_feature(document: dict[str, object]) -> None:
    document["features"] = [{"name": n, "minimum": 0, "maximum": 1, "unit": None} for n in ("x0", "other")]


def set_a_weight_to_text(document: dict[str, object]) -> None:
    document["weights"] = ["heavy", 1.0]


def set_a_weight_to_a_boolean(document: dict[str, object]) -> None:
    document["weights"] = [True, 1.0]


def set_a_weight_out_of_range(document: dict[str, object]) -> None:
    document["weights"] = [10**400, 1.0]


def raise_the_format_version(document: dict[str, object]) -> None:
    document["format_version"] = artifact.FORMAT_VERSION + 1


def update_digest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["model.json"] = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop_intercept, "'intercept' is missing"),
        (drop_a_weight, "2 features, but 1 weights"),
        (rename_a_feature, "its features differ from those"),
        (set_a_weight_to_text, "'heavy' is not a finite number"),
        (set_a_weight_to_a_boolean, "True is not a finite number"),
        (set_a_weight_out_of_range, "is not a finite number"),
        (raise_the_format_version, "unsupported format version 2; this server reads version 1"),
    ],
)
def test_refuses_invalid_content_with_a_valid_digest(
    folder: Path, change: Callable[[dict[str, object]], None], reason: str
) -> None:
    document = json.loads((folder / "model.json").read_bytes())
    change(document)
    (folder / "model.json").write_text(json.dumps(document))
    update_digest(folder)
    with pytest.raises(ArtifactError, match=rf"model/\w+\.json: .*{reason}"):
        artifact.read(folder)


def test_prediction_is_weights_times_features_plus_intercept() -> None:
    model = make_model((2.0, -1.0), intercept=0.5)
    np.testing.assert_array_equal(model.predict(np.array([[1.0, 1.0], [0.0, 2.0]])), [1.5, -1.5])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_distribution_counts_every_value_once(values: list[float]) -> None:
    distribution = Distribution.of(np.array(values))
    assert math.isclose(sum(distribution.proportions), 1.0)
    assert len(distribution.proportions) == len(distribution.edges) + 1
    assert list(distribution.edges) == sorted(set(distribution.edges))


def test_distribution_of_many_values_has_ten_equal_shares() -> None:
    distribution = Distribution.of(np.random.default_rng(0).normal(size=10_000))
    np.testing.assert_allclose(distribution.proportions, np.full(10, 0.1), atol=1e-3)
