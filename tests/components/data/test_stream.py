from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data import stream
from components.data.moments import Moments, merge
from components.data.stream import parquet_moments


@pytest.fixture
def table() -> Any:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=10_000), rng.normal(5, 2, size=10_000).astype(np.float32)
    return pa.table(
        {
            "first": first,
            "second": second,
            "y": first + second,
            "n": np.arange(10_000) % 7,
            "word": ["a"] * 10_000,
        }
    )


@pytest.fixture
def write(tmp_path: Any) -> Any:
    def write(table: Any, **options: Any) -> Any:
        pq.write_table(table, tmp_path / "data.parquet", **options)
        return tmp_path / "data.parquet"

    return write


def in_memory(table: Any, features: Any, target: Any) -> Any:
    return Moments.of(
        np.column_stack([table[name].to_numpy() for name in features]), table[target].to_numpy()
    )


@pytest.mark.parametrize("features", [["first"], ["second", "n", "first"]])
@pytest.mark.parametrize("row_group_size", [700, 10_000])
def test_reads_a_file_in_batches_within_and_across_row_groups(
    table: Any, write: Any, features: Any, row_group_size: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(stream, "BATCH_ROWS", 999)
    moments = parquet_moments(write(table, row_group_size=row_group_size), features, "y")
    whole = in_memory(table, features, "y")
    assert moments.rows == 10_000
    np.testing.assert_allclose(moments.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, whole.covariance, rtol=1e-9, atol=1e-12)


def test_merging_shards_gives_the_moments_of_one_file(table: Any, tmp_path: Any) -> None:
    for number, start in enumerate(range(0, 10_000, 3000)):
        pq.write_table(table.slice(start, 3000), tmp_path / f"{number}.parquet")
    texts = [parquet_moments(path, ["first"], "y").to_json() for path in sorted(tmp_path.glob("*.parquet"))]
    merged = merge(map(Moments.from_json, texts))
    np.testing.assert_allclose(merged.covariance, in_memory(table, ["first"], "y").covariance, rtol=1e-12)


def test_names_a_missing_column(table: Any, write: Any) -> None:
    with pytest.raises(ValueError, match=r"data\.parquet: there is no column 'third'"):
        parquet_moments(write(table), ["first", "third"], "y")


def test_refuses_a_text_column(table: Any, write: Any) -> None:
    with pytest.raises(ValueError, match="column 'word' is string, not a number"):
        parquet_moments(write(table), ["word"], "y")


def test_refuses_a_file_without_rows(table: Any, write: Any) -> None:
    with pytest.raises(ValueError, match="there are no rows"):
        parquet_moments(write(table.slice(0, 0)), ["first"], "y")


@pytest.mark.parametrize(
    ("value", "what"), [(None, "a null"), (float("nan"), "not finite"), (float("inf"), "not finite")]
)
def test_names_column_and_rows_of_a_bad_value(
    table: Any, write: Any, value: Any, what: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(stream, "BATCH_ROWS", 1000)
    values = table["y"].to_pylist()
    values[2345] = value
    with pytest.raises(ValueError, match=rf"column 'y' has .*{what}.* in rows 2000 to 3000"):
        parquet_moments(write(table.set_column(2, "y", pa.array(values))), ["first"], "y")
