from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from components.data import dataset as datasets
from components.data.dataset import Dataset
from components.data.description import DatasetError
from components.data.problems import InvalidDataError
from components.data.settings import Settings
from components.data.shards import merge
from components.ingest.ingestion import ingest
from components.plan.plan import plan
from components.train.kind import TrainingError
from components.train.search import Search
from components.train.training import TrainingResult, train
from tests.support.models import weights_of

Columns = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def rows() -> Columns:
    """Two thousand rows: a feature far from zero, and two that differ by little."""
    random = np.random.RandomState(0)
    near, far = random.normal(size=2000), random.normal(1e6, 1, size=2000)
    twin = near + 1e-3 * random.normal(size=2000)
    target = 3 * near - 2 * far + twin + random.normal(size=2000)
    return {"near": near, "far": far, "twin": twin, "target": target}


class Experiment:
    """Splits rows into files, ingests them and trains on the result."""

    def __init__(self, folder: Path, rows: Columns) -> None:
        self.folder, self.rows = folder, rows

    def dataset(self, cuts: Sequence[int] = (), **parameters: object) -> Dataset:
        place = self.folder / f"in-{len(cuts) + 1}"
        place.mkdir(exist_ok=True)
        edges = [0, *cuts, len(self.rows["target"])]
        for part, (start, stop) in enumerate(pairwise(edges)):
            table = pa.table({name: values[start:stop] for name, values in self.rows.items()})
            pq.write_table(table, place / f"{part}.parquet")
        settings = Settings(features=[*self.rows][:-1], **parameters)  # type: ignore[arg-type]
        shards = [
            ingest(shard, place / f"shard-{position}", settings)
            for position, shard in enumerate(plan(f"{place}/*.parquet", settings))
        ]
        assert len(shards) == len(cuts) + 1
        return merge(shards, place / "whole")

    def train(self, dataset: Dataset, **parameters: object) -> TrainingResult:
        return train(dataset, dataset.folder.parent / "model", **parameters)  # type: ignore[arg-type]


@pytest.fixture
def experiment(tmp_path: Path, rows: Columns) -> Experiment:
    return Experiment(tmp_path, rows)


def assert_equal_weights(one: TrainingResult, other: TrainingResult, condition: float) -> None:
    tolerance = max(1e-12, 1e-15 * condition)
    np.testing.assert_allclose(weights_of(other.model), weights_of(one.model), rtol=tolerance)
    assert other.model.intercept == pytest.approx(one.model.intercept, rel=tolerance)


@pytest.mark.parametrize(
    "parameters", [{}, {"penalty": "l2"}, {"penalty": "l1", "iterations": 1000}, {"learning_rate": "auto"}]
)
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_shards_give_the_same_weights_as_one_file(
    experiment: Experiment, parameters: dict[str, str], share: float
) -> None:
    one, many = (experiment.dataset(cuts, test_share=share) for cuts in ((), (1, 700, 1300, 1985)))
    X, _ = one.train()
    condition = float(np.linalg.cond(np.corrcoef(X.T)))
    assert condition > 1e5
    assert_equal_weights(experiment.train(one, **parameters), experiment.train(many, **parameters), condition)


def test_shards_split_sample_and_describe_rows_like_one_file(experiment: Experiment) -> None:
    one, many = (experiment.dataset(cuts, test_share=0.1, kept_rows=500) for cuts in ((), (3, 1990)))
    assert (one.train_rows, one.test_rows) == (many.train_rows, many.test_rows) == (1800, 200)
    # A quarter of the rows that are not held out.
    assert 440 <= many.kept_rows == one.kept_rows <= 460
    for ours, theirs in ((one.train(), many.train()), (one.test(), many.test())):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    assert many.distributions == one.distributions
    assert (many.inputs, many.target) == (one.inputs, one.target)
    assert datasets.read(many.folder) == many


def test_retraining_on_more_files_reads_only_the_new_ones(experiment: Experiment, tmp_path: Path) -> None:
    """A shard whose plan is unchanged is read once; its moments are merged again."""
    settings = Settings(features=[*experiment.rows][:-1], test_share=0.2)

    def write(name: str, rows: slice) -> None:
        table = pa.table({column: values[rows] for column, values in experiment.rows.items()})
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / f"{name}.parquet")

    read: dict[str, Dataset] = {}

    def retrain() -> tuple[TrainingResult, Dataset]:
        shards = plan(f"{tmp_path}/data/*.parquet", settings)
        for shard in shards:
            words = shard.to_json()
            read[words] = read.get(words) or ingest(shard, tmp_path / f"read-{len(read)}", settings)
        whole = merge([read[shard.to_json()] for shard in shards], tmp_path / f"whole-{len(read)}")
        return train(whole, tmp_path / f"model-{len(read)}"), whole

    write("2026-01", slice(0, 1200))
    _, old = retrain()
    write("2026-02", slice(1200, 2000))
    grown, new = retrain()
    assert len(read) == 2
    np.testing.assert_array_equal(new.test()[1][: old.test_rows], old.test()[1])
    one = experiment.dataset(test_share=0.2)
    assert (new.train_rows, new.test_rows) == (one.train_rows, one.test_rows)
    X, _ = one.train()
    assert_equal_weights(experiment.train(one), grown, float(np.linalg.cond(np.corrcoef(X.T))))


def test_a_new_file_may_bring_new_categories_and_gaps(tmp_path: Path) -> None:
    """The old file is planned and read as before; what is filled in are the means of all rows."""
    settings = Settings(["*"], "y", test_share=0.2, missing="mean")
    old = pd.DataFrame({"city": ["Oslo", "Moss"] * 20, "age": np.arange(40.0), "sunny": [1, 0] * 20})
    new = pd.DataFrame(
        {"city": [None, *["Vik"] * 29], "age": [*range(90, 119), None], "sunny": [True, False, None] * 10}
    )
    old["y"], new["y"] = np.arange(40.0), np.arange(30.0)
    both = pd.concat([old.assign(sunny=old["sunny"] == 1), new])
    for name, frame in {"a.csv": old, "b.parquet": new, "both.csv": both}.items():
        path = tmp_path / name
        frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path, index=False)
    (before,) = plan(f"{tmp_path}/a*", settings)
    first, second = plan(f"{tmp_path}/[ab].*", settings)
    assert first == before
    shards = [ingest(shard, tmp_path / str(n), settings) for n, shard in enumerate((before, second))]
    many = merge(shards, tmp_path / "many")
    one = merge([ingest(f"{tmp_path}/both.csv", tmp_path / "one", settings)], tmp_path / "whole")
    assert [(column.name, column.type) for column in many.columns] == [
        ("city", "category"), ("age", "number"), ("sunny", "boolean"),
    ]  # fmt: skip
    assert many.gaps == one.gaps
    assert [column.categories for column in many.columns] == [column.categories for column in one.columns]
    assert [column.counts for column in many.columns] == [column.counts for column in one.columns]
    for found, expected in zip(many.inputs, one.inputs, strict=True):
        assert found.missing == pytest.approx(expected.missing, rel=1e-15)
    np.testing.assert_allclose(many.train()[0], one.train()[0], rtol=1e-15)
    assert many.moments
    assert one.moments
    np.testing.assert_allclose(many.moments.mean, one.moments.mean, rtol=1e-14)
    np.testing.assert_allclose(many.moments.comoment, one.moments.comoment, rtol=1e-12, atol=1e-12)


class TestConflicts:
    @pytest.fixture
    def merged(self, tmp_path: Path) -> Callable[..., str]:
        """Merge shards of files of some columns and a target; return why that is refused."""

        def merged(*files: dict[str, list[object]], **parameters: object) -> str:
            settings = Settings(["*"], "y", test_rows=2, **parameters)  # type: ignore[arg-type]
            for number, columns in enumerate(files):
                rows = len(next(iter(columns.values())))
                target = {"y": [row + 10.0 * number for row in range(rows)]}
                pd.DataFrame(columns | target).to_csv(tmp_path / f"{number}.csv", index=False)
            planned = plan(f"{tmp_path}/*.csv", settings)
            shards = [ingest(shard, tmp_path / f"s{n}", settings) for n, shard in enumerate(planned)]
            with pytest.raises(InvalidDataError) as caught:
                merge(shards, tmp_path / "whole")
            return str(caught.value).replace(f"{tmp_path}/", "")

        return merged

    def test_of_types_name_the_files(self, merged: Callable[..., str]) -> None:
        said = merged({"x": [1, 2, 3]}, {"x": ["a", "b", "a"]})
        assert "- column 'x' is a number in 0.csv and a category in 1.csv; say what it is, such as" in said

    def test_of_columns_name_the_files(self, merged: Callable[..., str]) -> None:
        said = merged({"x": [1, 2, 3]}, {"x": [1, 2, 3], "z": [1, 2, 3]})
        assert "- column 'z' is in 1.csv and not in 0.csv; leave it out with exclude=[\"z\"]" in said

    def test_many_categories_of_all_files_look_like_an_identifier(self, merged: Callable[..., str]) -> None:
        files = [{"x": [f"{name}{row}" for row in range(9)] * 2} for name in "abc"]
        said = merged(*files, max_categories=20)
        assert "feature 'x' has 27 different texts in 52 training rows: it looks like an identifier" in said
        assert 'leave it out with exclude=["x"], or add max_categories=27' in said

    def test_categories_of_held_out_rows_alone_are_refused(self, merged: Callable[..., str]) -> None:
        said = merged({"x": ["a", "b"] * 10}, {"x": ["a", "b", "new"]})
        assert "feature 'x' has categories that only held-out rows have: 'new'; add unknown_cat" in said


def test_a_single_shard_equals_the_whole(experiment: Experiment) -> None:
    whole = experiment.dataset()
    shard = datasets.read(whole.folder.parent / "shard-0")
    assert (whole.fingerprint, whole.source, whole.settings) == (
        shard.fingerprint, shard.source, shard.settings,
    )  # fmt: skip
    for name in (datasets.TRAIN_FILE, datasets.TEST_FILE):
        assert pq.read_table(whole.folder / name).equals(pq.read_table(shard.folder / name))


def test_fits_all_rows_when_only_a_sample_is_kept(experiment: Experiment) -> None:
    all_kept, few_kept = experiment.dataset((1000,)), experiment.dataset((500, 1000), kept_rows=100)
    X, _ = all_kept.train()
    condition = float(np.linalg.cond(np.corrcoef(X.T)))
    assert few_kept.kept_rows < 100
    few = experiment.train(few_kept)
    assert_equal_weights(experiment.train(all_kept), few, condition)
    assert few.metrics["rows"] == few.model.reference.rows == 1980


def test_search_and_mini_batches_use_the_rows_of_all_shards(experiment: Experiment) -> None:
    search = Search({"batch_size": [16], "features": [["near"], ["near", "twin"]]})
    one, many = experiment.dataset(), experiment.dataset((10, 1000))
    alone, together = (experiment.train(data, search=search, lr=0.01, iterations=5) for data in (one, many))
    assert_equal_weights(alone, together, condition=1)
    assert alone.trials == together.trials


def test_refuses_mini_batches_unless_all_rows_are_kept(experiment: Experiment) -> None:
    dataset = experiment.dataset((1000,), kept_rows=100)
    with pytest.raises(TrainingError, match=r"need the rows, and \d+ of 1980 were kept: raise kept_rows"):
        experiment.train(dataset, batch_size=16)
    trained = experiment.train(dataset, search=Search({"lr": [0.1, 0.2]}))
    assert len(trained.trials) == 2


def test_a_shard_may_have_no_training_rows_or_a_constant_column(tmp_path: Path) -> None:
    month = np.repeat([1.0, 2.0, 3.0], 20)
    rows = {"month": month, "target": month * np.arange(60.0)}
    dataset = Experiment(tmp_path, rows).dataset((20, 40))
    assert (dataset.train_rows, dataset.test_rows) == (40, 20)
    assert (dataset.inputs[0].minimum, dataset.inputs[0].maximum) == (1.0, 2.0)
    last = datasets.read(tmp_path / "in-3" / "shard-2")
    assert (last.train_rows, last.moments, last.distributions) == (0, None, {})
    assert last.inputs[0].minimum == np.inf


def test_reports_problems_of_the_merged_data_set(tmp_path: Path) -> None:
    same = {"same": np.ones(60), "target": np.r_[np.arange(40.0), np.ones(20)]}
    with pytest.raises(InvalidDataError) as caught:
        Experiment(tmp_path, same).dataset((30,))
    assert [str(problem) for problem in caught.value.problems] == [
        "feature 'same' is constant over the training rows; leave 'same' out of the features",
        "target 'target' is constant over the held-out rows, which cannot show how good a model is",
    ]
    few = {"x": np.arange(25.0), "target": np.arange(25.0)}
    with pytest.raises(
        InvalidDataError, match="too few rows: 5 to learn from, 20 held out; needed are 10 and 2"
    ):
        Experiment(tmp_path, few).dataset((12, 13))
    assert not list(tmp_path.glob("*/whole"))


def test_refuses_to_merge_shards_of_different_settings(make: Callable[..., Dataset], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"b was made with other settings than .*a"):
        merge([make("a", seed=0), make("b", seed=1)], tmp_path / "whole")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Dataset]:
    def make(name: str, seed: int = 0, start: float = 0.0) -> Dataset:
        columns = {"x": np.arange(30.0) + start, "y": np.arange(30.0) ** 2}
        return datasets.write(tmp_path / name, columns, columns, source=name, settings={"seed": seed})

    return make


def test_fingerprint_covers_all_shards_in_order(make: Callable[..., Dataset], tmp_path: Path) -> None:
    a, b, c = make("a"), make("b", start=1.0), make("c", start=2.0)
    merged = [merge(shards, tmp_path / f"{n}") for n, shards in enumerate([[a, b], [b, a], [a, c], [a]])]
    assert len({whole.fingerprint for whole in merged}) == 4
    assert merge([a, b], tmp_path / "again").fingerprint == merged[0].fingerprint


def test_source_names_the_first_and_last_of_many_shards(make: Callable[..., Dataset], tmp_path: Path) -> None:
    shards = [make(name) for name in "abcd"]
    assert merge(shards[:3], tmp_path / "three").source == "a, b, c"
    assert merge(shards, tmp_path / "four").source == "a … d (4 sources)"
