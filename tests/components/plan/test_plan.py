import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data.problems import InvalidDataError, SourceError
from components.data.settings import Settings
from components.data.shard import Shard
from components.ingest.ingestion import ingest
from components.plan.plan import plan


@pytest.fixture
def files(write_csv: Callable[..., str]) -> list[str]:
    """Three CSV files of 3, 1 and 5 rows."""
    return [write_csv(name=f"{name}.csv", good=good) for name, good in (("a", 3), ("b", 1), ("c", 5))]


def fields(shards: list[Shard]) -> list[tuple[Any, ...]]:
    return [(shard.source, shard.first, shard.rows, shard.after) for shard in shards]


def test_a_single_source_is_one_shard_and_is_not_read(tmp_path: Path) -> None:
    assert plan("sklearn://diabetes", Settings()) == [Shard("sklearn://diabetes")]
    assert plan("https://nowhere.invalid/rows.csv?a=[1]", Settings()) == [
        Shard("https://nowhere.invalid/rows.csv?a=[1]")
    ]
    assert plan(f"{tmp_path}/none.csv", Settings()) == [Shard(f"{tmp_path}/none.csv")]


def test_a_pattern_gives_one_shard_for_each_file(tmp_path: Path, files: list[str]) -> None:
    planned = [(files[0], 0, 3, 6), (files[1], 3, 1, 5), (files[2], 4, 5, 0)]
    assert fields(plan(f"{tmp_path}/*.csv", Settings())) == planned
    assert fields(plan(f"file://{tmp_path}/*.csv", Settings())) == planned


def test_a_list_keeps_its_order_and_may_hold_patterns(tmp_path: Path, files: list[str]) -> None:
    listed = json.dumps([files[2], f"{tmp_path}/[ab].csv", "sklearn://diabetes"])
    assert [shard.source for shard in plan(listed, Settings(features=["bmi"]))] == [
        files[2], files[0], files[1], "sklearn://diabetes",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ['["{}"]', "{}*"])
def test_counts_the_rows_of_a_single_file_in_a_list_or_pattern(files: list[str], form: str) -> None:
    assert plan(form.format(files[0]), Settings()) == [Shard(files[0], 0, 3, 0, 1.0)]
    assert plan(form.format(files[0]), Settings(duplicates="fail")) == [Shard(files[0])]


def test_adding_files_does_not_change_earlier_shards(tmp_path: Path, write_csv: Callable[..., str]) -> None:
    by_share, by_rows = Settings(test_share=0.2), Settings(test_rows=4)
    for name in "ab":
        write_csv(name=f"{name}.csv", good=30)
    before = [plan(f"{tmp_path}/*.csv", settings) for settings in (by_share, by_rows)]
    write_csv(name="c.csv", good=50)
    after = [plan(f"{tmp_path}/*.csv", settings) for settings in (by_share, by_rows)]
    assert after[0][:2] == before[0]
    # The last rows of b are held out only while b is the last file.
    assert (after[1][0], after[1][1].after) == (before[1][0], 4)


def test_resolves_relative_paths(tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan("a.csv", Settings()) == [Shard(files[0])]
    assert [shard.source for shard in plan("*.csv", Settings())] == files


def test_lists_and_counts_files_in_other_file_systems() -> None:
    memory = fsspec.filesystem("memory")
    for name, rows in (("x", 4), ("y", 2)):
        with memory.open(f"/plan/{name}.parquet", "wb") as file:
            pq.write_table(pa.table({"bmi": range(rows), "target": range(rows)}), file)
    try:
        assert fields(plan("memory://plan/*.parquet", Settings())) == [
            ("memory://plan/x.parquet", 0, 4, 2),
            ("memory://plan/y.parquet", 4, 2, 0),
        ]
    finally:
        memory.rm("/plan", recursive=True)


def test_accepts_a_file_named_like_a_list(
    tmp_path: Path, write_csv: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(name="[1].csv")
    monkeypatch.chdir(tmp_path)
    assert plan("[1].csv", Settings()) == [Shard(path)]


def test_plans_one_shard_when_duplicates_must_be_found_across_files(
    tmp_path: Path, write_csv: Callable[..., str]
) -> None:
    settings = Settings(duplicates="drop")
    for name in ("a.csv", "b.csv"):
        write_csv("7.5,1000", name=name, good=40 if name == "a.csv" else 0)
    (shard,) = plan(f"{tmp_path}/*.csv", settings)
    assert shard == Shard([f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"])
    dataset = ingest(shard, tmp_path / "dataset", settings)
    assert dataset.train_rows + dataset.test_rows == 41


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("[]", r"a list of sources holds paths or URIs, not \[\]"),
        ('["a.csv", 3]', "a list of sources holds paths or URIs"),
        ('["a.csv", ""]', "a list of sources holds paths or URIs"),
        ("nothing-*.csv", r"nothing-\*\.csv matches no file"),
        ("what://a-*.csv", "what://a-.*can't be read: Protocol not known"),
    ],
)
def test_refuses_an_invalid_source(source: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        plan(source, Settings())


def test_names_a_file_whose_rows_cannot_be_counted(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(SourceError, match=r"b\.csv is empty"):
        plan(f"{tmp_path}/*.csv", Settings())


def test_checks_settings_before_looking_for_files() -> None:
    with pytest.raises(InvalidDataError, match="the target 'target' is among the features"):
        plan("nothing-*.csv", Settings(features=["target"]))


def test_shards_survive_a_json_round_trip(files: list[str], tmp_path: Path) -> None:
    for shard in (*plan(f"{tmp_path}/*.csv", Settings()), Shard("a.csv"), Shard(files)):
        assert Shard.from_json(shard.to_json()) == shard
    assert Shard("a.csv").to_json() == '{"source": "a.csv", "first": 0, "after": 0}'


def test_refuses_a_file_changed_after_planning(
    tmp_path: Path, write_csv: Callable[..., str], files: list[str]
) -> None:
    shard = plan(f"{tmp_path}/*.csv", Settings())[0]
    write_csv(name="a.csv", good=4)
    with pytest.raises(
        InvalidDataError, match="there are 4 rows now, and were 3 when the shards were planned"
    ):
        ingest(shard, tmp_path / "dataset")
