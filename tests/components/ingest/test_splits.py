"""Tables that are split by an order or by groups, in one piece and in shards, and what is refused."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.data.dataset import Dataset
from components.data.problems import InvalidDataError
from components.data.settings import Settings
from components.data.shards import merge
from components.ingest.ingestion import ingest
from components.plan.plan import plan

ROWS = 120


@pytest.fixture
def frame() -> pd.DataFrame:
    """Rows in no order; each of 40 days and each of 24 people has several."""
    random = np.random.default_rng(0)
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=int(day)) for day in random.integers(0, 40, ROWS)]
    x = np.arange(ROWS) / 8
    people = [f"p{number}" for number in random.integers(0, 24, ROWS)]
    return pd.DataFrame({"x": x, "day": days, "person": people, "y": 2 * x + random.integers(0, 9, ROWS)})


def ingested(source: str, settings: Settings, place: Path) -> Dataset:
    """Ingest the shards of a source, and merge them."""
    shards = [
        ingest(shard, place / f"shard-{number}", settings)
        for number, shard in enumerate(plan(source, settings))
    ]
    return merge(shards, place / "whole")


def written(frame: pd.DataFrame, place: Path, kind: str, cuts: tuple[int, ...]) -> str:
    place.mkdir()
    for part, rows in enumerate(np.split(np.arange(len(frame)), cuts)):
        path, piece = place / f"{part}.{kind}", frame.iloc[rows]
        piece.to_csv(path, index=False) if kind == "csv" else piece.to_parquet(path, index=False)
    return f"{place}/*.{kind}" if cuts else f"{place}/0.{kind}"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"order": "day", "test_rows": 15},
        {"order": "day", "test_share": 0.25},
        {"group": "person", "test_share": 0.25, "seed": 1},
    ],
)
def test_shards_are_split_like_one_piece(
    frame: pd.DataFrame, tmp_path: Path, kind: str, parameters: dict[str, Any]
) -> None:
    settings = Settings(["x"], "y", **parameters)
    held_out, groups = [], list[list[float]]()
    for name, cuts in (("one", ()), ("three", (50, 51))):
        source = written(frame, tmp_path / name, kind, cuts)
        dataset = ingested(source, settings, tmp_path / f"{name}-read")
        held_out.append(frame[np.isin(frame["x"], dataset.test()[0])])
        found = dataset.groups()
        groups.append([] if found is None else found.tolist())
        assert dataset.train_rows + dataset.test_rows == ROWS
    one, three = held_out
    pd.testing.assert_frame_equal(one, three)
    rest = frame.drop(one.index)
    if settings.order:
        assert groups == [[], []]
        assert rest["day"].max() < one["day"].min()
        assert len(one) >= 15
    else:
        assert not set(rest["person"]) & set(one["person"])
        assert groups[0] == groups[1]
        pairs = set(zip(one["person"], groups[0], strict=True))
        assert len(pairs) == len(set(groups[0])) == one["person"].nunique()
        assert 15 <= len(one) <= 60


def test_a_file_before_the_held_out_rows_is_planned_the_same_when_others_come(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    settings = Settings(["x"], "y", order="day", test_rows=15)
    ordered = frame.sort_values("day")
    source = written(ordered, tmp_path / "files", "csv", (60,))
    before = plan(source, settings)
    later = ordered.assign(day=[day + dt.timedelta(days=60) for day in ordered["day"]])
    later.to_csv(tmp_path / "files" / "2.csv", index=False)
    assert plan(source, settings)[0] == before[0]
    assert before[1].cut is not None


def test_order_and_group_are_no_features_of_all_columns(frame: pd.DataFrame, tmp_path: Path) -> None:
    source = written(frame, tmp_path / "files", "csv", ())
    settings = Settings(["*"], "y", group="person", test_share=0.25, seed=1, exclude=["day"])
    assert [one.name for one in ingest(source, tmp_path / "read", settings).inputs] == ["x"]


@pytest.fixture
def problems_of(write_csv: Callable[..., str], tmp_path: Path) -> Callable[..., list[str]]:
    """Return the problems of a table with the columns key, x and y, of which the keys are given."""

    def problems_of(keys: list[Any], **parameters: Any) -> list[str]:
        rows = [f"{key},{n}.5,{n % 7}" for n, key in enumerate(keys)]
        source = write_csv(*rows, header="key,x,y", good=0)
        with pytest.raises(InvalidDataError) as refused:
            ingest(source, tmp_path / "refused", Settings(["x"], "y", **parameters))
        return [str(problem) for problem in refused.value.problems]

    return problems_of


ORDER = "is neither a number nor a date such as 2026-01-31 or 2026-01-31T08:30:00"


@pytest.mark.parametrize(
    ("keys", "parameters", "message"),
    [
        (
            [*range(48), "", ""],
            {"order": "key"},
            "order 'key' is missing in 2 rows (line 50, line 51); add missing=drop to leave such rows out",
        ),
        (
            ["a", *["b"] * 48, ""],
            {"group": "key", "test_share": 0.2, "missing": "mean"},
            "group 'key' is missing in 1 row (line 51); add missing=drop to leave such rows out",
        ),
        (["03/01/2026"] * 40, {"order": "key"}, f"order 'key' {ORDER} in 40 rows"),
        ([*["2026-01-02"] * 39, "soon"], {"order": "key"}, f"order 'key' {ORDER} in 1 row (line 41: 'soon')"),
        (
            [2026] * 40,
            {"order": "key"},
            "too few rows: 0 to learn from, 40 held out; needed are 10 and 2; rows with the same 'key'",
        ),
        (
            ["a", "b"] * 20,
            {"group": "key", "test_share": 0.2, "seed": 1},
            "20 of 40 rows would be held out, which is far from test_share=0.2: the groups of 'key' are too",
        ),
        (["a"] * 40, {"group": "key", "test_share": 0.2, "seed": 1}, "try another seed or test_share"),
        (
            ["1"] * 40,
            {"order": "keys"},
            "column 'keys' is missing; there are 'key', 'x', 'y'. Is 'key' meant?",
        ),
    ],
)
def test_refuses_what_does_not_say_which_rows_are_held_out(
    problems_of: Callable[..., list[str]], keys: list[Any], parameters: dict[str, Any], message: str
) -> None:
    assert any(message in problem for problem in problems_of(keys, **parameters))


def test_rows_without_an_order_may_be_left_out(write_csv: Callable[..., str], tmp_path: Path) -> None:
    rows = [f"{'' if n % 10 == 0 else n},{n}.5,{n % 7}" for n in range(50)]
    source = write_csv(*rows, header="key,x,y", good=0)
    dataset = ingest(
        source, tmp_path / "read", Settings(["x"], "y", order="key", missing="drop", test_rows=9)
    )
    assert (dataset.train_rows, dataset.test_rows) == (36, 9)
    assert dataset.test()[0].min() == 41.5
    assert dataset.gaps.values == {"key": 5}


def test_files_with_numbers_and_dates_have_no_common_order(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    for name, key in (("a", "{}"), ("b", "2026-01-{:02}")):
        rows = [f"{key.format(n + 1)},{n},{n % 7}" for n in range(20)]
        write_csv(*rows, header="key,x,y", good=0, name=f"{name}.csv")
    for duplicates in ("report", "fail"):
        settings = Settings(["x"], "y", order="key", duplicates=duplicates)
        with pytest.raises(InvalidDataError, match=r"'key' holds numbers in .*a\.csv and dates in .*b\.csv"):
            ingested(f"{tmp_path}/*.csv", settings, tmp_path / duplicates)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"features": ["*"], "max_columns": 4},
            "5 columns; at most 4 are allowed; leave some out with exclude, or add max_columns=5",
        ),
        (
            {"features": ["a", "b", "city"], "max_columns": 6},
            "each category being one; at most 6 are allowed; name fewer features, or add max_columns=7",
        ),
    ],
)
def test_a_model_may_have_so_many_columns(
    write_csv: Callable[..., str], tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    rows = [f"{n},{n % 3},{n % 11},{n % 13},city {n % 5},{n % 7}" for n in range(60)]
    source = write_csv(*rows, header="a,b,c,d,city,y", good=0)
    with pytest.raises(InvalidDataError) as refused:
        ingest(source, tmp_path / "refused", Settings(target="y", **parameters))
    (problem,) = refused.value.problems
    assert str(problem).endswith(message)
    allowed = Settings(target="y", **{**parameters, "max_columns": 9})
    assert ingest(source, tmp_path / "read", allowed).train_rows == 40


def test_shards_together_may_have_so_many_columns(write_csv: Callable[..., str], tmp_path: Path) -> None:
    for part in range(2):
        rows = [f"{n},city {part}{n % 5},{n % 7}" for n in range(40)]
        write_csv(*rows, header="a,city,y", good=0, name=f"{part}.csv")
    settings = Settings(["a", "city"], "y", max_columns=8, test_share=0.2)
    with pytest.raises(InvalidDataError, match="a model of 2 features would have 11 columns"):
        ingested(f"{tmp_path}/*.csv", settings, tmp_path / "read")
