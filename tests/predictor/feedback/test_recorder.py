"""Recorded predictions and ground truth, read back as a training reads them."""

import gc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictor.endpoints.feedback import read
from predictor.errors import InvalidInput
from predictor.feedback.recorder import GroundTruth, Predicted, Recorder, _prediction_columns
from predictor.feedback.store import open_store
from predictor.model.inputs import UNKNOWN
from tests.support.models import MIXED, numbers


def read_table(folder: Path, kind: str) -> pa.Table:
    return pa.concat_tables(
        pq.ParquetFile(file).read() for file in sorted(folder.glob(f"{kind}/*/*.parquet"))
    )


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(open_store(str(tmp_path)), 2**20, 3600)


def predicted(
    name: str,
    rows: list[list[float]],
    values: list[float],
    names: tuple[str, ...] = ("bmi", "s5"),
    principal: str = "shop",
) -> Predicted:
    inputs = numbers(*names)
    return Predicted(name, principal, 0.0, inputs, "3", np.array(rows), np.array(values), trace=f"of {name}")


def test_stores_predictions_row_by_row(recorder: Recorder, tmp_path: Path) -> None:
    recorder.record_predictions(predicted("one", [[0.5, 1.5]], [151.25]))
    recorder.record_predictions(predicted("two", [[0.0, 1.0], [2.0, 3.0]], [1.0, 2.0], principal=""))
    recorder.close()
    kept = read_table(tmp_path, "predictions")
    assert kept.drop_columns("_time").to_pydict() == {
        "_id": ["one", "two", "two"],
        "_row": [0, 0, 1],
        "_trace": ["of one", "of two", "of two"],
        "_principal": ["shop", "", ""],
        "_version": ["3", "3", "3"],
        "bmi": [0.5, 0.0, 2.0],
        "s5": [1.5, 1.0, 3.0],
        "_prediction": [151.25, 1.0, 2.0],
    }
    assert kept.schema.field("_time").type == pa.timestamp("us", tz="UTC")
    assert len(list(tmp_path.rglob("*"))) == 3, "the folder of predictions, the folder of a day, one file"


def test_stores_categories_by_their_names(recorder: Recorder, tmp_path: Path) -> None:
    rows = ((30.0, 0.5, 1.0, 2.0, 1.0), (31.0, 2.0, 0.0, 0.0, UNKNOWN))
    recorder.record_predictions(Predicted("a", "", 0.0, MIXED, "3", rows, (1.0, 2.0)))
    recorder.close()
    table = read_table(tmp_path, "predictions").select(list(MIXED.names)).to_pydict()
    assert table == {
        "age": [30.0, 31.0],
        "income": [0.5, 2.0],
        "member": [True, False],
        "city": ["Genf, Nord", "Bern"],
        "code": ["7", None],
    }


def test_the_garbage_collector_does_not_look_at_columns() -> None:
    columns = _prediction_columns(MIXED, [Predicted("a", "", 0.0, MIXED, "3", np.zeros((1, 5)), np.zeros(1))])
    assert not any(map(gc.is_tracked, columns.values()))


def test_stores_arrays_and_sequences_in_order(recorder: Recorder, tmp_path: Path) -> None:
    inputs = numbers("bmi", "s5")
    for item in (
        Predicted("a", "", 0.0, inputs, "3", ((1.0, 2.0),), (3.0,)),
        Predicted("b", "", 0.0, inputs, "3", [[4.0, 5.0], (6.0, 7.0)], [8.0, 9.0], 5),
        predicted("c", [[0.5, 1.5]], [151.25]),
        Predicted("d", "", 0.0, inputs, "3", ([10.0, 11.0],), (12.0,)),
    ):
        recorder.record_predictions(item)
    recorder.close()
    table = read_table(tmp_path, "predictions").to_pydict()
    assert table["_id"] == ["a", "b", "b", "c", "d"]
    assert table["_row"] == [0, 5, 6, 0, 0]
    assert table["s5"] == [2.0, 5.0, 7.0, 1.5, 11.0]
    assert table["_prediction"] == [3.0, 8.0, 9.0, 151.25, 12.0]


def test_models_with_different_features_get_separate_files(recorder: Recorder, tmp_path: Path) -> None:
    recorder.record_predictions(predicted("one", [[0.5, 1.5]], [151.25]))
    recorder.record_predictions(predicted("two", [[0.5]], [150.0], names=("bp",)))
    recorder.close()
    files = sorted((tmp_path / "predictions").glob("*/*.parquet"))
    assert [pq.ParquetFile(file).schema_arrow.names[6:-1] for file in files] == [["bmi", "s5"], ["bp"]]


def test_ground_truth_future_resolves_once_stored(recorder: Recorder, tmp_path: Path) -> None:
    labels = [GroundTruth("one", [151.0]), GroundTruth("two", [1.5, 2.5], 0, "shop")]
    for principal in ("audit", "shop"):
        stored = recorder.record_ground_truth(principal, labels, f"from {principal}", "trace")
        assert stored is not None
        stored.result(60)
    kept = read_table(tmp_path, "truths")
    assert kept.drop_columns("_time").to_pydict() == {
        "_id": ["one", "two", "two"] * 2,
        "_row": [0, 0, 1] * 2,
        "_principal": ["audit"] * 3 + ["shop"] * 3,
        "_for": [None, "shop", "shop"] * 2,
        "_request": ["from audit"] * 3 + ["from shop"] * 3,
        "_trace": ["trace"] * 6,
        "_target": [151.0, 1.5, 2.5] * 2,
    }


def test_cancelled_future_does_not_block_others(recorder: Recorder) -> None:
    gone = recorder.record_ground_truth("", [GroundTruth("one", [1.0])])
    assert gone is not None
    gone.cancel()
    waiting = recorder.record_ground_truth("", [GroundTruth("two", [1.0])])
    assert waiting is not None
    waiting.result(60)


def test_unavailable_store_only_loses_records(tmp_path: Path) -> None:
    def away(_name: str, _content: bytes) -> None:
        raise OSError("the store is away")

    recorder = Recorder(away, 1000, 3600)
    for number in range(10):
        recorder.record_predictions(predicted(str(number), [[0.5, 1.5]], [1.0]))
    assert recorder.predictions.accepted + recorder.predictions.rejected == 10
    assert recorder.predictions.rejected > 0


def test_reserved_feature_names_are_not_recorded_but_logged_once(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("bmi", "_id")
    for _ in range(3):
        recorder.record_predictions(predicted("one", [[0.5, 1.5]], [151.25], names))
    recorder.record_predictions(predicted("two", [[0.5, 1.5]], [151.25]))
    recorder.close()
    assert recorder.predictions.rejected == 3
    assert read_table(tmp_path, "predictions")["_id"].to_pylist() == ["two"]
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "not recording predictions: feature names that begin with an underscore are reserved: _id"
    ]


def test_failed_write_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    put = open_store(str(tmp_path))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        put("truths/a.parquet", b"x" * 100)
    assert not list((tmp_path / "truths").iterdir())


def test_opens_a_store_by_path_or_url(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="missing"):
        open_store((tmp_path / "missing").as_uri())
    put = open_store(tmp_path.as_uri())
    put("a/b", b"content")
    assert (tmp_path / "a" / "b").read_bytes() == b"content"
    with pytest.raises(Exception, match="ftp"):
        open_store("ftp://host/folder")


@pytest.mark.parametrize(
    ("body", "truths"),
    [
        (b'{"id": "a", "target": 1}', [GroundTruth("a", (1.0,))]),
        (b'{"id": "a", "targets": [1, 2.5]}', [GroundTruth("a", [1.0, 2.5])]),
        (b'{"id": "a", "row": 7, "target": 1}', [GroundTruth("a", (1.0,), 7)]),
        (b'{"id": "a", "row": 0, "targets": [1]}', [GroundTruth("a", [1.0])]),
        (b'{"id": "a", "principal": "shop", "target": 1}', [GroundTruth("a", (1.0,), 0, "shop")]),
        (
            b'{"feedback": [{"id": "a", "target": 1}, {"id": "b", "targets": [2]}]}',
            [GroundTruth("a", (1.0,)), GroundTruth("b", [2.0])],
        ),
    ],
)
def test_reads_feedback(body: bytes, truths: list[GroundTruth]) -> None:
    assert read(body) == truths


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "the body: expected an object"),
        (b'{"id": 5, "target": 1}', "the body: id: expected the id of a request"),
        (b'{"id": "a b", "target": 1}', "the body: id: expected the id of a request"),
        (b'{"id": "a", "target": "high"}', 'target: expected a number, got the string "high"'),
        (b'{"id": "a", "target": 1e999}', "target: 1e999 is not a number that a double can hold"),
        (b'{"id": "a", "target": 1, "targets": [1]}', r'expected "target" \(a number\) or "targets"'),
        (
            b'{"id": "a", "row": -1, "target": 1}',
            "row: expected an integer from 0 to [0-9]+, got -1",
        ),
        (
            b'{"id": "a", "row": 0.5, "target": 1}',
            "row: expected an integer from 0 to [0-9]+, got 0.5",
        ),
        (
            b'{"id": "a", "row": 1e16, "target": 1}',
            r"row: expected an integer from 0 to [0-9]+, got 1e\+16",
        ),
        (
            b'{"id": "a", "principal": 7, "target": 1}',
            "principal: expected a name of 1 to 256 characters, got",
        ),
        (b'{"id": "a", "principal": null, "target": 1}', "principal: expected a name .*, got null"),
        (b'{"id": "a", "principal": "", "target": 1}', "principal: expected a name"),
        (b'{"id": "a", "principal": "%b", "target": 1}' % (b"x" * 257), "principal: expected a name"),
        (b'{"id": "a", "row": "one", "target": 1}', "row: expected a number"),
        (b'{"id": "a", "row": 1}', r'expected "target" \(a number\) or "targets"'),
        (b'{"id": "a", "targets": []}', r'expected "target" \(a number\) or "targets"'),
        (b'{"feedback": []}', "feedback: expected a list of 1 to 100000 labels"),
        (b'{"feedback": [{"id": "a"}]}', r'feedback\[0\]: expected "target"'),
        (b'{"feedback": [], "id": "a"}', 'unknown key "id"; use "feedback"'),
    ],
)
def test_feedback_error_names_the_place(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(body)
