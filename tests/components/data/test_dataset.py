import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from components.data import dataset as datasets
from components.data.dataset import Dataset
from components.data.description import DATASET_FILE, DatasetError, seal
from predictor.model.base import Distribution
from predictor.model.inputs import UNKNOWN, Column, Input

Columns = dict[str, NDArray[np.float64]]


def columns(rows: int, start: int = 0) -> Columns:
    steps = np.arange(start, start + rows, dtype=np.float64)
    return {"age": steps, "bmi": steps / 10, "target": 3 * steps}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Dataset]:
    def make(
        name: str = "dataset", train: Columns | None = None, test: Columns | None = None, **settings: object
    ) -> Dataset:
        return datasets.write(
            tmp_path / name,
            train or columns(30),
            test or columns(5, start=30),
            source="memory://rows.csv",
            settings={"seed": 0} | settings,
            units={"bmi": "kg/m²"},
        )

    return make


def test_reads_back_what_was_written(make: Callable[..., Dataset]) -> None:
    written = make()
    assert datasets.read(written.folder) == written
    assert written.inputs == (Input("age", 0.0, 29.0), Input("bmi", 0.0, 2.9, "kg/m²"))
    assert written.target == Column("target", 0.0, 87.0)
    assert (written.train_rows, written.kept_rows, written.test_rows) == (30, 30, 5)
    assert written.distributions["bmi"] == Distribution.of(columns(30)["bmi"])
    assert set(written.distributions) == {"age", "bmi"}


def test_returns_rows_as_a_matrix_in_the_order_of_the_features(make: Callable[..., Dataset]) -> None:
    dataset = make()
    X, y = dataset.train()
    np.testing.assert_array_equal(X, np.column_stack([columns(30)["age"], columns(30)["bmi"]]))
    np.testing.assert_array_equal(y, columns(30)["target"])
    X, y = dataset.test()
    assert (X.shape, y.shape) == ((5, 2), (5,))
    assert X.dtype == y.dtype == np.float64


def test_selects_inputs_in_the_order_asked_for(make: Callable[..., Dataset]) -> None:
    dataset = make()
    age, bmi = dataset.inputs
    X, _ = dataset.test([bmi, age])
    np.testing.assert_array_equal(X[:, 1], columns(5, start=30)["age"])
    assert dataset.test([bmi])[0].shape == (5, 1)
    with pytest.raises(DatasetError, match=r"test\.parquet .*: it needs height; the dataset has age, bmi"):
        dataset.test([Input("height", 0.0, 1.0)])


def test_distinguishes_names_with_dots_and_blanks(make: Callable[..., Dataset]) -> None:
    values = columns(30)["age"]
    rows = {"a": values, "a.b": values + 1, "a b": values + 2, "target": values}
    X, _ = make(train=rows, test=rows).train()
    np.testing.assert_array_equal(X[0], [0, 1, 2])


class TestTypes:
    """A column of each type that lacks a value; a held-out row has a category of its own."""

    @pytest.fixture
    def typed(self, tmp_path: Path) -> Dataset:
        train = {
            "city": np.array([2.0, 0, 2, np.nan]),
            "sunny": np.array([1.0, np.nan, 0, 1]),
            "age": np.array([np.nan, 1.0, 2, 6]),
            "target": np.arange(4.0),
        }
        test = {"city": np.array([1.0]), "sunny": np.array([1.0]), "age": np.array([5.0])}
        return datasets.write(
            tmp_path / "typed",
            train,
            {**test, "target": np.array([7.0])},
            source="here",
            settings={"missing": "mean", "unknown_categories": "ignore"},
            types={"city": "category", "sunny": "boolean"},
            categories={"city": ("Bergen", "Moss", "Oslo", "Vik")},
        )

    def test_become_the_inputs_of_a_model(self, typed: Dataset) -> None:
        assert datasets.read(typed.folder) == typed
        assert typed.inputs == (
            Input("city", 0.0, 1.0, None, "category", ("Bergen", "Oslo"), 1.0, accepts_unknown=True),
            Input("sunny", 0.0, 1.0, None, "boolean", (), 1.0),
            Input("age", 1.0, 6.0, None, "number", (), 3.0),
        )

    def test_missing_values_are_filled_in(self, typed: Dataset) -> None:
        X, _ = typed.train()
        np.testing.assert_array_equal(X, [[1, 1, 3], [0, 1, 1], [1, 0, 2], [1, 1, 6]])
        assert typed.test()[0][0, 0] == UNKNOWN
        assert typed.distributions["city"].proportions == (0, 0.25, 0.75)

    def test_rows_can_be_read_for_a_model_with_other_categories(self, typed: Dataset) -> None:
        theirs = Input("city", 0.0, 2.0, None, "category", ("Moss", "Oslo", "Bergen"), 0.0)
        assert typed.test([theirs])[0].ravel().tolist() == [0]

    def test_a_model_with_another_type_does_not_match(self, typed: Dataset) -> None:
        number = Input("city", 0.0, 1.0)
        assert typed.mismatch([number]) == "its input 'city' is a number, in the dataset it is a category"
        assert typed.mismatch([Input("sunny", 0.0, 1.0)]) is None

    def test_values_do_not_depend_on_the_categories_of_other_rows(
        self, typed: Dataset, tmp_path: Path
    ) -> None:
        rows = {"city": np.array([0.0, 1.0]), "target": np.array([7.0, 8.0])}
        other = datasets.write(
            tmp_path / "other",
            rows,
            rows,
            source="here",
            settings={},
            types={"city": "category"},
            categories={"city": ("Moss", "Vik")},
        )
        assert other.test_values()["city"][0] == typed.test_values()["city"][0]
        assert other.test_values()["city"][1] != typed.test_values()["city"][0]

    def test_values_are_read_with_the_file_opened_once(
        self, typed: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened, open_file = [], pq.ParquetFile

        def count(path: Path, **options: Any) -> pq.ParquetFile:
            opened.append(path)
            return open_file(path, **options)

        monkeypatch.setattr(pq, "ParquetFile", count)
        assert list(typed.test_values()) == list(typed.types) == sorted(typed.types)
        assert typed.test_values_as(typed.types) is not None
        assert len(list(typed.train_values())) == len(typed.types)
        assert len(opened) == 3

    def test_moments_are_of_one_hot_columns(self, typed: Dataset) -> None:
        moments = typed.moments
        assert moments is not None
        np.testing.assert_allclose(moments.mean, [0.25, 0.75, 0.75, 3, 1.5])


def test_same_data_gives_the_same_bytes(make: Callable[..., Dataset]) -> None:
    one, two = make("one"), make("two")
    for name in (DATASET_FILE, *datasets.FILES):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


def test_fingerprint_covers_numbers_order_and_settings(make: Callable[..., Dataset]) -> None:
    one = make("one").fingerprint
    assert make("same").fingerprint == one
    changed = columns(30)
    changed["age"][7] = np.nextafter(7.0, 8.0)
    swapped = [
        dict(zip(["bmi", "age", "target"], rows.values(), strict=True))
        for rows in (columns(30), columns(5, 30))
    ]
    others = [make("a", train=changed), make("b", seed=1), make("c", *swapped)]
    assert len({one, *(other.fingerprint for other in others)}) == 4


def test_fingerprint_ignores_the_sign_of_zero(make: Callable[..., Dataset]) -> None:
    negative = columns(30)
    negative["age"][0] = -0.0
    assert make("one").fingerprint == make("two", train=negative).fingerprint


@pytest.mark.parametrize("name", [DATASET_FILE, *datasets.FILES])
def test_names_a_missing_file(make: Callable[..., Dataset], name: str) -> None:
    folder = make().folder
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=f"{name} is missing"):
        datasets.read(folder)


@pytest.mark.parametrize("name", datasets.FILES)
def test_names_a_changed_file(make: Callable[..., Dataset], name: str) -> None:
    folder = make().folder
    content = bytearray((folder / name).read_bytes())
    content[100] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{name} was changed"):
        datasets.read(folder)


def test_refuses_a_changed_description(make: Callable[..., Dataset]) -> None:
    path = make().folder / DATASET_FILE
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(DatasetError, match=r"dataset\.json was changed"):
        datasets.read(path.parent)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"format_version": NaN}', "is not valid JSON: NaN is not a JSON value"),
        ("[]", "does not have format version 5"),
        ('{"format_version": 4}', "does not have format version 5"),
        ('{"format_version": 5}', "was changed"),
    ],
)
def test_refuses_a_malformed_description(make: Callable[..., Dataset], content: str, reason: str) -> None:
    path = make().folder / DATASET_FILE
    path.write_text(content)
    with pytest.raises(DatasetError, match=rf"dataset\.json {reason}"):
        datasets.read(path.parent)


def test_refuses_an_incomplete_description(make: Callable[..., Dataset]) -> None:
    path = make().folder / DATASET_FILE
    path.write_text(json.dumps(seal({})))
    with pytest.raises(DatasetError, match=r"dataset\.json: missing or malformed value 'files'"):
        datasets.read(path.parent)


def test_never_overwrites_a_dataset(make: Callable[..., Dataset]) -> None:
    make()
    with pytest.raises(FileExistsError, match="never overwritten"):
        make()


def test_failed_write_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="target expected length 5"):
        datasets.write(
            tmp_path / "dataset",
            columns(30),
            columns(5) | {"target": np.arange(4.0)},
            source="here",
            settings={},
        )
    assert list(tmp_path.iterdir()) == []
