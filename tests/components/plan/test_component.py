from dataclasses import replace
from pathlib import Path

import pytest

from components.data.problems import InvalidDataError
from components.data.shard import Shard
from components.plan.component import plan

EMPTY = "/nowhere"
"""The root of a registry without a champion."""


def test_lists_the_shards_that_ingest_reads(tmp_path: Path) -> None:
    for name, rows in (("a", 2), ("b", 3)):
        (tmp_path / f"{name}.csv").write_text("size,price\n" + "1,2\n" * rows)
    planned = plan.python_func(EMPTY, source=f"{tmp_path}/*.csv", features=["size"], target="price")
    shards = [Shard.from_json(text) for text in planned]
    assert len({shard.state for shard in shards} - {None}) == 2
    assert [replace(shard, state=None) for shard in shards] == [
        Shard(f"{tmp_path}/a.csv", 0, 2, 3, 1.0),
        Shard(f"{tmp_path}/b.csv", 2, 3, 0, 1.0),
    ]


def test_lists_one_shard_by_default() -> None:
    (text,) = plan.python_func(EMPTY)
    assert replace(Shard.from_json(text), state=None) == Shard("sklearn://diabetes")


def test_an_unchanged_source_gives_the_same_shards(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("bmi,target\n1,2\n")
    source = str(tmp_path / "rows.csv")
    before = plan.python_func(EMPTY, source=source)
    assert plan.python_func(EMPTY, source=source) == before
    (tmp_path / "rows.csv").write_text("bmi,target\n1,2\n3,4\n")
    assert plan.python_func(EMPTY, source=source) != before


def test_dropping_duplicates_makes_one_shard_of_all_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("bmi,target\n1,2\n")
    (text,) = plan.python_func(EMPTY, source=f"{tmp_path}/*.csv", duplicates="drop")
    assert Shard.from_json(text).source == [f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"]


def test_refuses_parameters_of_later_steps_before_any_data_is_read() -> None:
    with pytest.raises(InvalidDataError) as refused:
        plan.python_func(
            EMPTY,
            source="/nowhere.csv",
            kind="tree",
            evidence="guess",
            model_name="../x",
            test_rows=0,
            seed=-1,
        )
    listed = "\n".join(str(problem) for problem in refused.value.problems)
    for part in (
        "unknown kind of model 'tree'",
        "evidence is one of",
        "a model's name has",
        "test_rows",
        "seed",
    ):
        assert part in listed
