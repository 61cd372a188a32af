"""Candidate and champion scored on the same held-out rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.data import dataset as datasets
from components.data.compare import compare, held_out
from components.data.dataset import Dataset
from components.data.scores import score
from predictor.model.inputs import Input
from tests.components.conftest import MakeEntry
from tests.support.models import linear_model


def test_scores_the_first_candidate_alone(dataset: Dataset, make_entry: MakeEntry) -> None:
    report = compare(dataset, make_entry(2.0), None)
    assert report.candidate.scores is not None
    assert report.candidate.scores.mse == pytest.approx(0.0)
    assert report.candidate.scores.r2 == pytest.approx(1.0)
    assert (report.champion, report.paired, report.rows) == (None, None, 20)
    assert report.fingerprint == dataset.fingerprint


def test_scores_candidate_and_champion_on_the_same_held_out_rows(
    dataset: Dataset, make_entry: MakeEntry
) -> None:
    report = compare(dataset, make_entry(2.0), make_entry(1.0, version=7))
    _, target = dataset.test()
    assert report.champion is not None
    assert report.champion.version == 7
    assert report.champion.scores is not None
    assert report.champion.scores.mse == pytest.approx(((target / 2) ** 2).mean())
    assert report.paired is not None
    assert report.paired.improvement == pytest.approx(report.champion.scores.mse)
    assert report.paired.lower_bound(0.025) > 0
    assert report.held_out is not None
    assert (report.held_out.columns, len(report.held_out.fingerprints)) == (("x", "y", "z"), 20)


def test_rows_of_one_group_count_once(tmp_path: Path, make_entry: MakeEntry) -> None:
    random = np.random.default_rng(0)
    train, test = ({name: random.normal(size=rows) for name in "xy"} for rows in (40, 30))
    groups = np.repeat([0.1, 0.3, 0.2], 10)
    grouped = datasets.write(tmp_path / "set", train, test, source="table", settings={}, groups=groups)
    report = compare(grouped, make_entry(2.0), make_entry(1.0, version=7))
    assert report.paired is not None
    assert (report.paired.rows, report.paired.units) == (30, 3)
    target, predicted, _ = held_out(grouped, make_entry(2.0).model)
    assert report.candidate.scores == score(target, predicted, groups)


def test_scores_a_champion_with_other_features_of_the_data_set(
    dataset: Dataset, make_entry: MakeEntry
) -> None:
    report = compare(dataset, make_entry(2.0), make_entry(1.0, feature="z", version=1))
    assert report.champion is not None
    assert report.champion.scores is not None


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"feature": "s5"}, "it needs s5; the dataset has x, z"),
        ({"target": "price"}, "it predicts 'price', the dataset's target is 'y'"),
    ],
)
def test_reports_why_a_champion_cannot_be_scored(
    dataset: Dataset, make_entry: MakeEntry, names: dict[str, str], problem: str
) -> None:
    report = compare(dataset, make_entry(2.0), make_entry(1.0, version=1, **names))
    assert report.champion is not None
    assert (report.champion.scores, report.champion.problem) == (None, problem)
    assert report.paired is None


def test_refuses_a_candidate_that_does_not_fit_the_data_set(dataset: Dataset, make_entry: MakeEntry) -> None:
    with pytest.raises(ValueError, match="the candidate does not belong to this dataset: it needs s5"):
        compare(dataset, make_entry(2.0, feature="s5"), None)


class TestOtherColumns:
    """Columns of the held-out rows that this dataset's models do not learn from, y = 2 x."""

    def dataset(self, place: Path, **others: list[object]) -> Dataset:
        train, test = ({"x": values, "y": 2 * values} for values in (np.linspace(-1, 1, 20), np.arange(4.0)))
        return datasets.write(
            place / "with-others", train, test, source="here", settings={}, others=pa.table(others)
        )

    def test_a_champion_is_scored_on_them(self, tmp_path: Path, make_entry: MakeEntry) -> None:
        dataset = self.dataset(tmp_path, z=["1", "1", "3", "9"], name=["a", "b", "c", "d"])
        assert dataset.others == ("z", "name")
        report = compare(dataset, make_entry(2.0), make_entry(1.0, feature="z", version=1))
        assert report.champion is not None
        assert report.champion.scores is not None
        assert report.champion.scores.mse == pytest.approx((1 + 1 + 1 + 9) / 4)
        assert report.champion.unanswered == 0
        assert report.paired is not None

    def test_a_missing_value_counts_as_the_typical_one(self, tmp_path: Path, make_entry: MakeEntry) -> None:
        dataset = self.dataset(tmp_path, z=[1.0, None, 4.0, 6.0])
        champion = make_entry(1.0, feature="z", version=1)
        report = compare(dataset, make_entry(2.0), champion)
        assert report.champion is not None
        assert report.champion.scores is not None
        assert report.champion.unanswered == 1
        errors = [1.0, 2 - champion.model.typical[0], 0.0, 0.0]
        assert report.champion.scores.mse == pytest.approx(np.square(errors).mean())

    def test_an_unknown_category_counts_as_none_of_the_known_ones(self, tmp_path: Path) -> None:
        dataset = self.dataset(tmp_path, city=["Oslo", "Moss", "Vik", "Oslo"])
        city = Input("city", 0.0, 1.0, type="category", categories=("Moss", "Oslo"))
        for one, unanswered in ((city, 1), (replace(city, accepts_unknown=True), 0)):
            model = linear_model([(1.0, -1.0)], 3.0, features=[one], target="y")
            actual, predicted, count = held_out(dataset, model)
            assert actual.tolist() == [0, 2, 4, 6]
            assert predicted.tolist() == [2, 4, 3, 2]
            assert count == unanswered

    @pytest.mark.parametrize("values", [["a", "b", "c", "d"], [None] * 4, ["2026-01-01"] * 4])
    def test_a_column_without_any_usable_value_is_the_champions_problem(
        self, tmp_path: Path, make_entry: MakeEntry, values: list[object]
    ) -> None:
        dataset = self.dataset(tmp_path, z=values)
        report = compare(dataset, make_entry(2.0), make_entry(1.0, feature="z", version=1))
        assert report.champion is not None
        assert report.champion.problem == "no held-out row has a number for its input 'z'"
        assert report.champion.scores is None

    def test_they_are_no_part_of_the_fingerprint(self, tmp_path: Path) -> None:
        first = self.dataset(tmp_path / "first", z=[1, 2, 3, 4])
        second = self.dataset(tmp_path / "second", z=[4, 3, 2, 1], more=[1, 2, 3, 4])
        assert first.fingerprint == second.fingerprint
        assert datasets.read(second.folder) == second
