from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from components.data import dataset as datasets
from components.data.dataset import Dataset, DatasetError
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
    assert (many.features, many.target) == (one.features, one.target)
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
    assert (dataset.features[0].minimum, dataset.features[0].maximum) == (1.0, 2.0)
    last = datasets.read(tmp_path / "in-3" / "shard-2")
    assert (last.train_rows, last.moments, last.distributions) == (0, None, {})
    assert last.features[0].minimum == np.inf


def test_reports_problems_of_the_merged_data_set(tmp_path: Path) -> None:
    same = {"same": np.ones(60), "target": np.r_[np.arange(40.0), np.ones(20)]}
    with pytest.raises(InvalidDataError) as caught:
        Experiment(tmp_path, same).dataset((30,))
    assert [str(problem) for problem in caught.value.problems] == [
        "feature 'same' is constant over the training rows",
        "target 'target' is constant over the held-out rows: no score can be told from another",
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
