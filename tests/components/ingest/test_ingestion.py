from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_diabetes

from components.data import dataset as datasets
from components.data.limits import too_few
from components.data.problems import InvalidDataError, SourceError
from components.data.settings import Settings
from components.ingest.ingestion import ingest

FEW_HELD_OUT = Settings(test_rows=5)
CATEGORY = 'if its values are categories, add types={"bmi": "category"}'
NO_TARGET = "add missing=mean or missing=drop, which both leave such rows out"
MISSING = "add missing=mean to fill it in, or missing=drop to leave such rows out"


@pytest.fixture
def problems_of(tmp_path: Path) -> Callable[..., list[str]]:
    """Ingest invalid data; returns the problems, after checking that the report lists them too."""

    def problems_of(source: str, settings: Settings = FEW_HELD_OUT) -> list[str]:
        report = tmp_path / "report.html"
        with pytest.raises(InvalidDataError) as caught:
            ingest(source, tmp_path / "refused", settings, report)
        assert not (tmp_path / "refused").exists()
        assert report.read_text().count("<h2>") == len(caught.value.problems)
        assert str(caught.value).count("\n- ") == len(caught.value.problems)
        return [str(problem) for problem in caught.value.problems]

    return problems_of


def test_defaults_hold_out_the_last_twenty_rows_of_the_diabetes_data(tmp_path: Path) -> None:
    dataset = ingest("sklearn://diabetes", tmp_path / "dataset")
    data = load_diabetes()
    X, y = dataset.train()
    np.testing.assert_array_equal(X[:, 0], data.data[:-20, 2])
    np.testing.assert_array_equal(y, data.target[:-20])
    X, y = dataset.test()
    np.testing.assert_array_equal(X[:, 0], data.data[-20:, 2])
    np.testing.assert_array_equal(y, data.target[-20:])
    assert dataset.inputs[0].unit is None
    assert datasets.read(tmp_path / "dataset") == dataset


def test_fingerprint_does_not_depend_on_the_file_format(
    tmp_path: Path, write_csv: Callable[..., str]
) -> None:
    path = write_csv()
    parquet = tmp_path / "rows.parquet"
    rows = np.arange(30)
    pq.write_table(pa.table({"target": 3 * rows + rows % 7, "bmi": rows + 0.5}), parquet)
    one = ingest(path, tmp_path / "one", FEW_HELD_OUT)
    two = ingest(f"file://{parquet}", tmp_path / "two", FEW_HELD_OUT)
    assert one.fingerprint == two.fingerprint
    assert ingest(path, tmp_path / "three", Settings(test_rows=6)).fingerprint != one.fingerprint


def test_random_split_keeps_every_row_in_order(tmp_path: Path, write_csv: Callable[..., str]) -> None:
    dataset = ingest(write_csv(), tmp_path / "dataset", Settings(test_share=0.2, seed=1))
    (train,), (test,) = dataset.train()[0].T, dataset.test()[0].T
    assert (train.size, test.size) == (24, 6)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(30) + 0.5)
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


def test_units_stay_with_their_columns(tmp_path: Path, write_csv: Callable[..., str]) -> None:
    settings = Settings(test_rows=5, units={"bmi": "kg/m²", "target": "mg"})
    dataset = ingest(write_csv(), tmp_path / "dataset", settings)
    assert (dataset.inputs[0].unit, dataset.target.unit) == ("kg/m²", "mg")


def test_report_describes_accepted_data(tmp_path: Path) -> None:
    report = tmp_path / "new" / "report.html"
    dataset = ingest("sklearn://diabetes", tmp_path / "dataset", report=report)
    text = report.read_text()
    assert dataset.fingerprint in text
    assert "422 rows to learn from, 20 held out." in text
    assert "2 rows repeat the features and the target of an earlier one, 1 of them held out." in text


def test_reports_all_problems_together_with_their_rows(
    write_csv: Callable[..., str], problems_of: Callable[..., list[str]]
) -> None:
    path = write_csv("x,1", ",2", "3,", "inf,4", "5,1e200", "1e9,6")
    assert problems_of(path, Settings(test_rows=5, ranges={"bmi": [0, 1000], "target": [None, 90]})) == [
        f"feature 'bmi' is not a number in 1 row (line 32: 'x'); {CATEGORY}",
        f"feature 'bmi' is missing in 1 row (line 33); {MISSING}",
        "feature 'bmi' is infinite or beyond ±1e+150 in 1 row (line 35: inf)",
        "feature 'bmi' is outside the range 0 to 1000 in 2 rows (line 35: inf, line 37: 1e+09)",
        f"target 'target' is missing in 1 row (line 34); {NO_TARGET}",
        "target 'target' is infinite or beyond ±1e+150 in 1 row (line 36: 1e+200)",
        "target 'target' is outside the range -inf to 90 in 1 row (line 36: 1e+200)",
    ]


def test_accepts_the_limits_of_a_range(tmp_path: Path, write_csv: Callable[..., str]) -> None:
    settings = Settings(test_rows=5, ranges={"bmi": [0.5, 29.5], "target": [0, None]})
    assert ingest(write_csv(), tmp_path / "dataset", settings).train_rows == 25


def test_refuses_large_negative_values(
    write_csv: Callable[..., str], problems_of: Callable[..., list[str]]
) -> None:
    assert problems_of(write_csv("-1e200,1", "-inf,2")) == [
        "feature 'bmi' is infinite or beyond ±1e+150 in 2 rows (line 32: -1e+200, line 33: -inf)"
    ]


def test_reports_a_missing_column_and_bad_rows_together(
    write_csv: Callable[..., str], problems_of: Callable[..., list[str]]
) -> None:
    problems = problems_of(write_csv("x,1"), Settings(features=["bmi", "age"], test_rows=5))
    assert problems == [
        "column 'age' is missing; there are 'bmi', 'target'",
        f"feature 'bmi' is not a number in 1 row (line 32: 'x'); {CATEGORY}",
    ]


def test_refuses_a_source_without_any_of_the_columns(
    write_csv: Callable[..., str], problems_of: Callable[..., list[str]]
) -> None:
    assert len(problems_of(write_csv(header="1,2"))) == 2


def test_reports_decimal_commas(tmp_path: Path, problems_of: Callable[..., list[str]]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("bmi;target\n" + "".join(f"{row},5;{row % 7}\n" for row in range(30)))
    (problem,) = problems_of(str(path))
    assert problem.startswith("feature 'bmi' is not a number in 30 rows (line 2: '0,5', line 3: '1,5'")
    assert problem.endswith("and 20 more); if its numbers have decimal commas, add decimal=,")


def test_refuses_too_few_rows(write_csv: Callable[..., str], problems_of: Callable[..., list[str]]) -> None:
    few = "too few rows: 9 to learn from, 5 held out; needed are 10 and 2"
    assert problems_of(write_csv(good=14)) == [few]
    assert problems_of(write_csv(good=3), Settings()) == [
        "too few rows: 0 to learn from, 3 held out; needed are 10 and 2"
    ]
    assert problems_of(write_csv(good=30), Settings(test_share=0.01)) == [
        "too few rows: 29 to learn from, 1 held out; needed are 10 and 2"
    ]
    assert problems_of(write_csv(good=0)) == [
        "too few rows: 0 to learn from, 0 held out; needed are 10 and 2"
    ]


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_refuses_a_column_without_any_value(
    write_csv: Callable[..., str], problems_of: Callable[..., list[str]], missing: str
) -> None:
    source = write_csv(*[f",{n % 7}" for n in range(40)], good=0)
    assert "feature 'bmi' has no value; leave 'bmi' out of the features" in problems_of(
        source, Settings(missing=missing)
    )


def test_more_features_need_more_rows() -> None:
    assert too_few(train=22, test=2, features=20, settings={}) is None
    message = "too few rows: 21 to learn from, 2 held out; needed are 22 and 2"
    assert str(too_few(train=21, test=2, features=20, settings={})) == message


def test_refuses_columns_that_are_constant_within_a_split(
    tmp_path: Path, problems_of: Callable[..., list[str]]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("bmi,target\n" + "0.1,7\n" * 20 + "1,2\n2,2\n3,2\n4,2\n5,2\n")
    assert problems_of(str(path)) == [
        "feature 'bmi' is constant over the training rows; leave 'bmi' out of the features",
        "target 'target' is constant over the training rows",
        "target 'target' is constant over the held-out rows, which cannot show how good a model is",
    ]
    path.write_text("bmi,target\n" + "".join(f"{row},{min(row, 25)}\n" for row in range(30)))
    assert problems_of(str(path)) == [
        "target 'target' is constant over the held-out rows, which cannot show how good a model is"
    ]
    path.write_text("bmi,target\n" + "".join(f"{row},{max(row, 25)}\n" for row in range(30)))
    assert problems_of(str(path)) == ["target 'target' is constant over the training rows"]


def test_treats_a_deviation_that_underflows_as_constant(
    tmp_path: Path, problems_of: Callable[..., list[str]]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("bmi,target\n" + "".join(f"{row}e-200,{row}\n" for row in range(30)))
    assert problems_of(str(path)) == [
        "feature 'bmi' is constant over the training rows; leave 'bmi' out of the features"
    ]


def test_checks_settings_before_reading_the_source(problems_of: Callable[..., list[str]]) -> None:
    assert problems_of("nowhere://", Settings(features=["target"])) == [
        "the target 'target' is among the features"
    ]


def test_writes_a_report_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="no feature is named"):
        ingest("sklearn://diabetes", tmp_path / "dataset", Settings(features=[]))
    assert list(tmp_path.iterdir()) == []


def test_never_overwrites_a_dataset(tmp_path: Path) -> None:
    ingest("sklearn://diabetes", tmp_path / "dataset")
    with pytest.raises(FileExistsError, match="never overwritten"):
        ingest("sklearn://diabetes", tmp_path / "dataset")


def test_unreadable_source_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        ingest(str(tmp_path / "none.csv"), tmp_path / "dataset", report=tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


class TestDuplicates:
    @pytest.fixture
    def repeating(self, write_csv: Callable[..., str]) -> str:
        return write_csv("0.5,0", "0.5,1", "1.5,4", "0.5,0")

    def test_are_kept_and_counted_by_default(self, repeating: str, tmp_path: Path) -> None:
        dataset = ingest(repeating, tmp_path / "dataset", Settings(test_rows=2), tmp_path / "report.html")
        assert dataset.train_rows + dataset.test_rows == 34
        message = "3 rows repeat the features and the target of an earlier one, 2 of them held out."
        assert message in (tmp_path / "report.html").read_text()

    def test_are_dropped_before_the_split_when_asked(self, repeating: str, tmp_path: Path) -> None:
        settings = Settings(test_rows=5, duplicates="drop")
        dataset = ingest(repeating, tmp_path / "dataset", settings, tmp_path / "report.html")
        assert (dataset.train_rows, dataset.test_rows) == (26, 5)
        assert dataset.test()[0][-1] == 0.5
        assert "3 rows repeat" in (tmp_path / "report.html").read_text()
        assert "were left out" in (tmp_path / "report.html").read_text()

    def test_are_refused_when_asked(self, repeating: str, problems_of: Callable[..., list[str]]) -> None:
        (problem,) = problems_of(repeating, Settings(test_rows=5, duplicates="fail"))
        message, rows = problem.split(" in ")
        assert message == "features and target repeat those of an earlier row"
        assert rows == "3 rows (line 32: 0.5, 0, line 34: 1.5, 4, line 35: 0.5, 0)"

    def test_that_are_dropped_do_not_shift_later_row_numbers(
        self, write_csv: Callable[..., str], problems_of: Callable[..., list[str]]
    ) -> None:
        path = write_csv("0.5,0", "x,1")
        (problem,) = problems_of(path, Settings(test_rows=5, duplicates="drop"))
        assert problem.startswith("feature 'bmi' is not a number in 1 row (line 33: 'x')")


class TestTypedColumns:
    HEADER = "name,city,sunny,joined,age,target"

    @pytest.fixture
    def people(self, tmp_path: Path) -> Callable[..., str]:
        """Write a table of fifty people, some lines of it replaced, by number."""

        def people(replaced: Mapping[int, str] = {}) -> str:
            lines = [self.HEADER]
            for row in range(50):
                city, sunny = ("Oslo", "Bergen", "Moss")[row % 3], ("true", "false")[row % 2]
                lines.append(f"person {row},{city},{sunny},2020-01-{row % 28 + 1:02},{row},{row + row % 7}")
            for number, line in replaced.items():
                lines[number] = line
            path = tmp_path / "people.csv"
            path.write_text("\n".join(lines))
            return str(path)

        return people

    def test_identifiers_and_dates_are_refused_with_what_can_be_done(
        self, people: Callable[..., str], problems_of: Callable[..., list[str]]
    ) -> None:
        names, dates = problems_of(people(), Settings(["*"], max_categories=20))
        assert names == (
            "feature 'name' has 30 different texts in 30 training rows: it looks like an identifier or free "
            "text; "
            'leave it out with exclude=["name"], or add max_categories=30'
        )
        assert dates.startswith("feature 'joined' holds dates or times in 50 rows (line 2: '2020-01-01'")
        assert dates.endswith(
            'leave it out with exclude=["joined"], '
            'or add types={"joined": "category"} if there are only a few'
        )

    def test_other_columns_become_the_inputs(self, people: Callable[..., str], tmp_path: Path) -> None:
        settings = Settings(["*"], exclude=["name", "joined"])
        dataset = ingest(people(), tmp_path / "dataset", settings, tmp_path / "report.html")
        assert [(one.name, one.type) for one in dataset.inputs] == [
            ("city", "category"), ("sunny", "boolean"), ("age", "number"),
        ]  # fmt: skip
        assert "Bergen (10), Moss (10), Oslo (10)" in (tmp_path / "report.html").read_text()

    def test_missing_values_are_counted_and_filled_in(
        self, people: Callable[..., str], tmp_path: Path
    ) -> None:
        path = people({1: "a,,true,,1,1", 2: "b,Oslo,,,,2", 3: "c,Oslo,true,,3,"})
        settings = Settings(["city", "sunny", "age"], missing="mean")
        dataset = ingest(path, tmp_path / "dataset", settings, tmp_path / "report.html")
        said = (
            "3 rows lack values (1 of city, 1 of sunny, 1 of age, 1 of target); 1 of them were left out and "
        )
        assert said + "2 were filled in." in (tmp_path / "report.html").read_text()
        assert (dataset.train_rows, dataset.test_rows) == (29, 20)

    def test_leaving_rows_out_moves_no_other_row(self, people: Callable[..., str], tmp_path: Path) -> None:
        whole = ingest(people(), tmp_path / "whole", Settings(["age"], test_share=0.4))
        holes = {number: f"x,Oslo,true,,,{number}" for number in (1, 2, 7, 20, 21, 40)}
        fewer = ingest(people(holes), tmp_path / "fewer", Settings(["age"], test_share=0.4, missing="drop"))
        assert fewer.gaps.left_out == 6
        for read in ("train", "test"):
            ages = [set(getattr(dataset, read)()[0].ravel()) for dataset in (whole, fewer)]
            assert ages[1] == ages[0] - {0, 1, 6, 19, 20, 39}

    def test_text_has_no_range(
        self, people: Callable[..., str], problems_of: Callable[..., list[str]]
    ) -> None:
        settings = Settings(["city"], ranges={"city": [0, 1]})
        (problem,) = problems_of(people(), settings)
        assert problem == "feature 'city' has a range, but holds text; leave it out of ranges"

    def test_misspelt_columns_are_found_before_anything_is_checked(
        self, people: Callable[..., str], problems_of: Callable[..., list[str]]
    ) -> None:
        settings = Settings(["*"], exclude=["nmae", "name", "joined"], types={"sity": "category"})
        assert problems_of(people(), settings) == [
            "exclude names 'nmae', which is not a column. Is 'name' meant?",
            "types names 'sity', which is not a column. Is 'city' meant?",
        ]
