"""Recorded predictions and truths, joined into new data."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.operations.monitor import feedback
from predictor.feedback.recorder import GroundTruth, Predicted, Recorder
from predictor.feedback.store import open_store
from tests.support.models import numbers

Record = Callable[..., None]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Record as the predictor does: rows of id, feature and prediction, and truths by id.

    Without a principal everything is as if auth were off.
    """
    seconds = count()

    def record(
        predicted: Sequence[tuple[str, float, float]] = (),
        truths: Sequence[tuple[str, float]] = (),
        version: str = "1",
        principal: str = "",
        labels_of: str | None = None,
    ) -> None:
        recorder = Recorder(open_store(str(tmp_path)), 2**20, 3600)
        for name, feature, value in predicted:
            recorder.record_predictions(
                Predicted(
                    name,
                    principal,
                    next(seconds),
                    numbers("bmi"),
                    version,
                    np.array([[feature]]),
                    np.array([value]),
                )
            )
        if truths:
            labels = [GroundTruth(name, [target], principal=labels_of) for name, target in truths]
            stored = recorder.record_ground_truth(principal, labels)
            assert stored is not None
            stored.result(60)
        recorder.close()

    return record


def join(folder: Path) -> feedback.Joined:
    return feedback.join(feedback.predictions(str(folder)), feedback.truths(str(folder)))


def today(folder: Path) -> str:
    return next((folder / "truths").iterdir()).name


def test_joins_truths_with_predictions(record: Record, tmp_path: Path) -> None:
    record([("b", 0.5, 150.0), ("a", 0.25, 140.0), ("no truth", 1.0, 1.0)], [("a", 141.0), ("b", 152.0)])
    joined = join(tmp_path).rows
    assert joined.select(["_id", "bmi", "_prediction", "_target"]).to_pydict() == {
        "_id": ["a", "b"],
        "bmi": [0.25, 0.5],
        "_prediction": [140.0, 150.0],
        "_target": [141.0, 152.0],
    }


def test_the_last_truth_counts(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 150.0)], [("a", 1.0)])
    record([("a", 0.5, 150.0)], [("a", 2.0)])
    joined = join(tmp_path).rows
    assert joined["_target"].to_pylist() == [2.0]


@pytest.mark.parametrize(
    ("predicted", "labels_of", "joined"),
    [
        # Whoever may only predict can't put a row under another's label, neither later nor before.
        ([("shop", 0.5), ("thief", 0.9)], "shop", [0.5]),
        ([("thief", 0.9), ("shop", 0.5)], "shop", [0.5]),
        ([("shop", 0.5)], "thief", []),
        ([("shop", 0.5)], None, [0.5]),
        ([("shop", 0.5), ("thief", 0.9)], None, "ambiguous"),
        # A gateway repeats a request, or gives several requests one id.
        ([("shop", 0.5), ("shop", 0.5)], "shop", [0.5]),
        ([("shop", 0.5), ("shop", 0.5)], None, [0.5]),
        ([("shop", 0.5), ("shop", 0.7)], "shop", "ambiguous"),
        ([("shop", 0.5), ("shop", 0.7)], None, "ambiguous"),
        ([("", 0.5), ("thief", 0.9)], "", [0.5]),
    ],
)
def test_label_is_of_the_first_prediction_of_its_principal(
    record: Record,
    tmp_path: Path,
    predicted: list[tuple[str, float]],
    labels_of: str | None,
    joined: list[float] | str,
) -> None:
    for value, (principal, feature) in enumerate(predicted):
        record([("a", feature, value)], principal=principal)
    record(truths=[("a", 1.0), ("unknown", 1.0)], labels_of=labels_of)
    found = join(tmp_path)
    if joined == "ambiguous":
        assert (found.rows.num_rows, found.ambiguous) == (0, 1)
    else:
        rows = found.rows["bmi"].to_pylist() if joined else found.rows.to_pylist()
        assert (rows, found.ambiguous) == (joined, 0)


def test_each_principal_labels_its_own_prediction_of_one_id(record: Record, tmp_path: Path) -> None:
    for principal, feature in (("shop", 0.5), ("other", 0.7)):
        record([("a", feature, 1.0)], [("a", feature * 10)], principal=principal, labels_of=principal)
    rows = join(tmp_path).rows.sort_by("bmi")
    assert rows.select(["bmi", "_target"]).to_pydict() == {"bmi": [0.5, 0.7], "_target": [5.0, 7.0]}


def test_later_label_of_an_auditor_counts(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 1.0)], [("a", 1.0)], principal="shop", labels_of="shop")
    record(truths=[("a", 2.0)], principal="audit")
    assert join(tmp_path).rows["_target"].to_pylist() == [2.0]


@pytest.mark.parametrize("kinds", [("predictions", "truths"), ("predictions",), ("truths",)])
def test_files_without_principals_join_with_those_of_anybody(
    record: Record, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    record([("old", 0.5, 1.0)], [("old", 1.0)], principal="shop", labels_of="shop")
    for file in (file for kind in kinds for file in tmp_path.glob(f"{kind}/*/*.parquet")):
        table = pq.ParquetFile(file).read()
        table = table.drop_columns([name for name in ("_principal", "_for") if name in table.column_names])
        pq.write_table(table, file)
    assert join(tmp_path).rows["bmi"].to_pylist() == [0.5]
    record([("new", 0.25, 1.0)], [("new", 2.0)], principal="shop", labels_of="shop")
    assert join(tmp_path).rows["_id"].to_pylist() == ["new", "old"]


def test_collect_counts_ambiguous_labels(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 1.0), ("a", 0.7, 1.0), ("b", 0.5, 1.0)], [("a", 1.0), ("b", 2.0)])
    collected = feedback.collect(str(tmp_path), str(tmp_path / "new"), ["bmi"], "target")
    assert (list(collected.rows.values()), collected.ambiguous) == ([1], 1)


def test_writes_a_file_for_each_day(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 150.0), ("b", 0.25, 140.0)], [("a", 151.0), ("unknown", 5.0)])
    written = feedback.collect(str(tmp_path), str(tmp_path / "new"), ["bmi"], "target")
    day = today(tmp_path)
    assert (written.rows, written.ambiguous) == ({day: 1}, 0)
    assert pq.read_table(tmp_path / "new" / f"{day}.parquet").to_pydict() == {"bmi": [0.5], "target": [151.0]}
    assert [file.name for file in (tmp_path / "new").iterdir()] == [f"{day}.parquet"]


def test_a_truth_corrected_on_another_day_moves_to_that_day(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 150.0), ("b", 0.25, 140.0)], [("a", 1.0), ("b", 2.0)])
    truths = tmp_path / "truths"
    (truths / today(tmp_path)).rename(truths / "2026-01-01")
    record(truths=[("a", 3.0)])
    day = max(path.name for path in truths.iterdir())
    to = tmp_path / "new"
    assert feedback.collect(str(tmp_path), str(to), ["bmi"], "target").rows == {"2026-01-01": 1, day: 1}
    assert pq.read_table(to / "2026-01-01.parquet").to_pydict() == {"bmi": [0.25], "target": [2.0]}
    assert pq.read_table(to / f"{day}.parquet").to_pydict() == {"bmi": [0.5], "target": [3.0]}


def test_writes_to_a_bucket(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 150.0)], [("a", 151.0)])
    feedback.collect(str(tmp_path), "memory://bucket/new", ["bmi"], "target")
    with fsspec.open(f"memory://bucket/new/{today(tmp_path)}.parquet") as file:
        assert pq.read_table(file).to_pydict() == {"bmi": [0.5], "target": [151.0]}


def test_reads_no_day_after_the_last(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 150.0)], [("a", 151.0)])
    to = str(tmp_path / "new")
    assert feedback.collect(str(tmp_path), to, ["bmi"], "target", last_day="2000-01-01").rows == {}
    assert feedback.predictions(str(tmp_path), last_day="2000-01-01").num_rows == 0


def test_joins_nothing_without_feedback(tmp_path: Path) -> None:
    assert feedback.predictions(str(tmp_path)).num_rows == 0
    assert join(tmp_path).rows.num_rows == 0
    (tmp_path / "truths" / "2026-01-01").mkdir(parents=True)
    for url in (tmp_path, tmp_path / "away"):
        assert feedback.collect(str(url), str(tmp_path / "new"), ["bmi"], "target").rows == {}


def test_ignores_a_truth_without_its_prediction(record: Record, tmp_path: Path) -> None:
    record(truths=[("a", 1.0)])
    joined = join(tmp_path).rows
    assert isinstance(joined, pa.Table)
    assert joined.num_rows == 0


def test_names_a_feature_that_was_not_recorded(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 150.0)], [("a", 151.0)])
    with pytest.raises(ValueError, match="s5: not recorded below"):
        feedback.collect(str(tmp_path), str(tmp_path / "new"), ["bmi", "s5"], "target")


def test_ignores_unfinished_files(record: Record, tmp_path: Path) -> None:
    record([("a", 0.5, 150.0)], [("a", 151.0)])
    (tmp_path / "predictions" / today(tmp_path) / ".unfinished.parquet").write_bytes(b"PAR1")
    assert feedback.predictions(str(tmp_path)).num_rows == 1
