"""The sample of what clients ask, and the drift that it shows."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from predictor.messages import Request, RequestHeaders
from predictor.model.drift import measure
from predictor.observability.drift import MOST_COLUMNS, PREDICTION, UNUSUAL, DriftMonitor, Report
from predictor.observability.drift_metrics import render
from predictor.service.inference import InferenceService
from predictor.settings import Settings
from tests.support.models import linear_model, mixed_model
from tests.support.service import load, make_service

Rows = NDArray[np.float64]
WINDOW = 120.0
RANDOM = np.random.default_rng(0)
SAME, MOVED = RANDOM.uniform(-0.1, 0.2, (2000, 1)), RANDOM.uniform(0.1, 0.2, (2000, 1))


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service() -> InferenceService:
    return make_service()


@pytest.fixture
def monitor(service: InferenceService, clock: Clock) -> DriftMonitor:
    return DriftMonitor(service.handle, WINDOW, clock)


def ask(monitor: DriftMonitor, rows: Rows) -> None:
    """Offer each row as a request of its own, as few in each second as are all taken."""
    for start in range(0, len(rows), 200):
        for row in rows[start : start + 200]:
            monitor.offer([row.tolist()], [25 + 1070 * (float(row[0]) + 0.1)])
        monitor.count()


def report_of(monitor: DriftMonitor) -> Report:
    assert monitor.report is not None
    return monitor.report


def test_rows_as_in_training_have_not_moved_and_others_have(monitor: DriftMonitor) -> None:
    ask(monitor, SAME)
    assert [column.moved for column in report_of(monitor).columns] == [False, False]
    ask(monitor, MOVED)
    assert [column.moved for column in report_of(monitor).columns] == [True, True]


def test_index_is_that_of_the_same_function_over_all_rows(
    service: InferenceService, monitor: DriftMonitor
) -> None:
    ask(monitor, SAME[:700])
    ask(monitor, MOVED[:300])
    reference = service.handle.require().model.reference
    values = np.concatenate([SAME[:700, 0], MOVED[:300, 0]])
    expected = measure(reference.features["bmi"], reference.rows, values)
    found = report_of(monitor).columns[0].drift
    assert (found.index, found.chi_square) == pytest.approx((expected.index, expected.chi_square))


def test_the_window_slides(monitor: DriftMonitor, clock: Clock) -> None:
    ask(monitor, MOVED)
    clock.seconds = WINDOW / 2
    ask(monitor, SAME)
    assert report_of(monitor).columns[0].sample.counts.rows == 4000
    clock.seconds = WINDOW
    monitor.count()
    assert report_of(monitor).columns[0].sample.counts.rows == 2000
    assert report_of(monitor).columns[0].moved is False
    clock.seconds = 2 * WINDOW
    monitor.count()
    assert monitor.report is None


def test_a_long_request_gives_at_most_a_thousand_rows_and_counts_as_one(monitor: DriftMonitor) -> None:
    monitor.offer(np.tile(MOVED, (50, 1)), np.zeros(100_000))
    monitor.count()
    column = report_of(monitor).columns[0]
    assert (column.sample.counts.rows, column.sample.counts.requests, column.drift.rows) == (1000, 1, 1)
    assert column.moved is None


def test_sample_of_many_requests_is_bounded_and_soon_a_share_of_them(monitor: DriftMonitor) -> None:
    taken = []
    for _ in range(8):
        before = monitor.report.columns[0].sample.counts.rows if monitor.report else 0
        for _ in range(40_000):
            monitor.offer(((0.5,),), (1.0,))
        monitor.count()
        taken.append(report_of(monitor).columns[0].sample.counts.rows - before)
    assert taken[0] == 400
    assert 120 < min(taken[1:]) <= max(taken[1:]) < 300


def test_sample_is_taken_anew_from_another_model(service: InferenceService, monitor: DriftMonitor) -> None:
    ask(monitor, MOVED)
    service.handle.loaded = load(linear_model((1.0, 2.0), features=["a", "b"]))
    monitor.offer([[0.5, 0.5]], [1.0])
    monitor.count()
    assert [column.name for column in report_of(monitor).columns] == ["a", "b", "(prediction)"]
    assert report_of(monitor).columns[0].sample.counts.rows == 1


def test_unusual_values_are_counted_beside_the_bins(clock: Clock) -> None:
    service = make_service(model=mixed_model())
    model = service.handle.require().model
    monitor = DriftMonitor(service.handle, WINDOW, clock)
    row = np.array(model.typical)
    rows = np.tile(row, (5, 1))
    kinds: dict[str, tuple[int | None, ...]] = {}
    for i, one in enumerate(model.inputs):
        if one.type == "number":
            rows[0, i] = one.maximum + 1
            rows[1:, i] = (one.minimum + one.maximum) / 2
            if one.missing is not None:
                rows[1, i] = one.missing
            kinds[one.name] = (1, None, None if one.missing is None else 1)
        elif one.type == "category" and one.accepts_unknown:
            rows[2:4, i] = -1
            kinds[one.name] = (None, 2, None)
        else:
            kinds[one.name] = (None, None, None)
    monitor.offer(rows, np.zeros(5))
    monitor.count()
    found = {
        column.name: tuple(map(column.sample.unusual.get, UNUSUAL))
        for column in report_of(monitor).columns[:-1]
    }
    assert found == kinds
    assert (1, None, None) in kinds.values() or (1, None, 1) in kinds.values()
    assert (None, 2, None) in kinds.values()


def test_a_wide_model_is_looked_at_in_its_first_inputs(clock: Clock) -> None:
    names = [f"x{i}" for i in range(MOST_COLUMNS + 5)]
    service = make_service(model=linear_model([1.0] * len(names), features=names))
    monitor = DriftMonitor(service.handle, WINDOW, clock)
    monitor.offer(np.zeros((3, len(names))), np.zeros(3))
    monitor.offer([[0.1] * len(names)], [25.0])
    monitor.count()
    columns = report_of(monitor).columns
    assert [column.name for column in columns] == [*names[:MOST_COLUMNS], PREDICTION]
    assert {column.sample.counts.rows for column in columns} == {4}


def test_off_takes_nothing(service: InferenceService) -> None:
    monitor = DriftMonitor(service.handle, 0)
    ask(monitor, SAME)
    assert monitor.report is None


def test_every_prediction_is_offered(service: InferenceService) -> None:
    service.predict(Request(), np.array([[0.5], [0.25]]))
    service.drift.count()
    assert report_of(service.drift).columns[0].sample.counts.rows == 2


def test_the_setting_is_the_window() -> None:
    assert Settings().drift_seconds == 3600


def test_document_has_the_bins_the_index_and_the_judgement(monitor: DriftMonitor) -> None:
    empty = json.loads(monitor.show(Request()).body)
    assert empty["columns"] == []
    ask(monitor, MOVED)
    document = json.loads(monitor.show(Request()).body)
    assert (document["window_seconds"], document["threshold"]) == (WINDOW, 0.05)
    bmi, prediction = document["columns"]
    assert (bmi["name"], bmi["moved"], bmi["rows"], bmi["outside"]) == ("bmi", True, 2000, 0)
    assert len(bmi["sample"]) == len(bmi["reference"]) == len(bmi["edges"]) + 1
    assert sum(bmi["sample"]) == pytest.approx(1)
    assert prediction["name"] == "(prediction)"


def test_metrics_of_several_pods_add_up_to_those_of_all(service: InferenceService) -> None:
    def samples(*parts: Rows) -> dict[tuple[str, str], float]:
        monitor = DriftMonitor(service.handle, WINDOW)
        for part in parts:
            ask(monitor, part)
        return {
            (sample.labels["column"], sample.labels["bin"]): sample.value
            for family in text_string_to_metric_families(render(report_of(monitor), "7").decode())
            for sample in family.samples
            if family.name == "predictor_drift_rows"
        }

    one, other, both = samples(SAME), samples(MOVED), samples(SAME, MOVED)
    assert both == {name: one[name] + other[name] for name in both}
    assert len(both) == 20


@pytest.mark.parametrize("accept", [(), (b"application/openmetrics-text",)])
def test_a_scrape_has_the_metrics_of_drift_once_there_is_a_sample(
    service: InferenceService, accept: tuple[bytes, ...]
) -> None:
    request = Request(RequestHeaders(accept=accept))
    assert b"predictor_drift_" not in service.metrics.scrape(request).body
    ask(service.drift, SAME[:300])
    text = service.metrics.scrape(request).body
    assert b'\npredictor_drift_moved{version="7",column="bmi"} 0.0\n' in text
    assert b"\n# TYPE predictor_drift_index gauge\n" in text
    assert text.endswith(b"# EOF\n") == bool(accept)
    assert text.count(b"# EOF") == len(accept)


def test_names_of_columns_are_escaped(clock: Clock) -> None:
    name = 'a "b"\\c\nd'
    service = make_service(model=linear_model((1.0,), features=[name]))
    monitor = DriftMonitor(service.handle, WINDOW, clock)
    ask(monitor, SAME[:10])
    families = text_string_to_metric_families(render(report_of(monitor), "7").decode())
    found = {
        sample.labels["column"] for one in families for sample in one.samples if "column" in sample.labels
    }
    assert found == {name, PREDICTION}
