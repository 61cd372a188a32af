"""Candidate and champion scored on the same held-out rows."""

import pytest

from components.data.compare import compare
from components.data.dataset import Dataset
from tests.components.conftest import MakeEntry


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


def test_scores_a_champion_with_other_features_of_the_data_set(
    dataset: Dataset, make_entry: MakeEntry
) -> None:
    report = compare(dataset, make_entry(2.0), make_entry(1.0, feature="z", version=1))
    assert report.champion is not None
    assert report.champion.scores is not None


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"feature": "s5"}, "it needs s5; the data set has x, z"),
        ({"target": "price"}, "it predicts 'price', the data set's target is 'y'"),
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
    with pytest.raises(ValueError, match="the candidate does not belong to this data set: it needs s5"):
        compare(dataset, make_entry(2.0, feature="s5"), None)
