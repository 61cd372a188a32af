import contextlib
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes

from components.data.problems import InvalidDataError, SourceError
from components.data.settings import Settings
from components.data.sources.source import Rows, read, without_credentials

WANTED = Settings(("bmi",), "target")


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()


def values(rows: Rows) -> list[list[float]]:
    return [rows.columns[name].numbers.tolist() for name in WANTED.columns]


def text(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def problems(rows: Rows) -> str:
    return "\n".join(map(str, rows.problems))


def test_reads_scikit_learns_diabetes_data_with_its_scaling() -> None:
    rows = read("sklearn://diabetes", WANTED)
    data = load_diabetes()
    np.testing.assert_array_equal(rows.columns["bmi"].numbers, data.data[:, 2])
    np.testing.assert_array_equal(rows.columns["target"].numbers, data.target)
    assert rows.source == "sklearn://diabetes"


def test_refuses_a_data_set_that_scikit_learn_lacks() -> None:
    for name in ("boston", "files", "", "diabetes/"):
        with pytest.raises(SourceError, match="is not known; there are breast_cancer, diabetes"):
            read(f"sklearn://{name}", WANTED)


@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}"])
def test_reads_a_local_file_by_path_and_by_uri(write_csv: Callable[..., str], form: str) -> None:
    rows = read(form.format(write_csv("1,2", "3,4", good=0)), WANTED)
    assert values(rows) == [[1, 3], [2, 4]]


def test_resolves_a_relative_path_from_the_working_directory(
    write_csv: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(write_csv("1,2", good=0))
    monkeypatch.chdir(path.parent)
    assert values(read(path.name, WANTED)) == [[1], [2]]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.dat"])
def test_detects_parquet_by_content(tmp_path: Path, name: str) -> None:
    table = pa.table({"target": [2, 4], "name": ["a", "b"], "bmi": [1.0, None]})
    pq.write_table(table, tmp_path / name)
    rows = read(str(tmp_path / name), WANTED)
    np.testing.assert_array_equal(rows.columns["bmi"].numbers, [1, np.nan])
    assert rows.columns["target"].numbers.tolist() == [2, 4]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_detects_the_separator_from_the_header(tmp_path: Path, separator: str) -> None:
    content = "id,bmi,target\n7,1,2\n8,3,4\n".replace(",", separator)
    assert values(read(text(tmp_path / "rows.csv", content), WANTED)) == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfbmi,target\n1,2\n",
        b"bmi,target\r\n1,2\r\n",
        b"\n\nbmi,target\n1,2",
        b'"bmi","target"\n"1","2"\n\n',
        b"name,target,bmi\n\xe9,2,1\n",
        b'note,target,bmi\n"two\nlines, and a comma",2,1\n',
        b",target,bmi,x,x\n,2,1,9,9\n",
    ],
    ids=["byte order mark", "CRLF", "blank lines", "quotes", "Latin-1 elsewhere", "line break", "odd names"],
)
def test_reads_csv_variants(tmp_path: Path, content: bytes) -> None:
    assert values(read(text(tmp_path / "rows.csv", content), WANTED)) == [[1], [2]]


def test_detects_compression_by_file_extension(tmp_path: Path) -> None:
    path = text(tmp_path / "rows.csv.gz", gzip.compress(b"bmi,target\n1,2\n", mtime=0))
    assert values(read(path, WANTED)) == [[1], [2]]


def test_reads_a_header_without_rows(tmp_path: Path) -> None:
    for header in ("bmi,target\n", "bmi,target"):
        assert values(read(text(tmp_path / "rows.csv", header), WANTED)) == [[], []]


def test_blanks_around_a_name_do_not_count(tmp_path: Path) -> None:
    assert values(read(text(tmp_path / "rows.csv", 'bmi, target ," x"\n1,2,3\n'), WANTED)) == [[1], [2]]


def test_reads_files_over_http(write_csv: Callable[..., str], web: str, tmp_path: Path) -> None:
    write_csv("1,2", good=0)
    pq.write_table(pa.table({"bmi": [1.0], "target": [2.0]}), tmp_path / "rows.parquet")
    text(tmp_path / "zipped.csv.gz", gzip.compress(b"bmi,target\n1,2\n", mtime=0))
    for name in ("rows.csv", "rows.csv?version=2&key=secret", "rows.parquet", "zipped.csv.gz"):
        rows = read(f"{web}/{name}", WANTED)
        assert values(rows) == [[1], [2]]
        assert rows.source == f"{web}/{name.partition('?')[0]}"


def test_reads_from_any_file_system_and_removes_its_copy(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory.pipe("/bucket/rows.csv", b"bmi,target\n1,2\n")
    with read("memory://bucket/rows.csv", WANTED) as rows:
        assert values(rows) == [[1], [2]]
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    memory.pipe("/bucket/rows.csv", b"bmi,target\n1\n")
    with pytest.raises(InvalidDataError):
        read("memory://bucket/rows.csv", WANTED)
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_reads_its_files_in_order_of_name(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/bucket/b.csv", b"target;bmi\n4;3\n6;\n")
    memory.pipe("/bucket/a.csv", b"bmi,target\n1,2\n")
    rows = read("memory://bucket/*.csv", WANTED)
    np.testing.assert_array_equal(values(rows), [[1, 3, np.nan], [2, 4, 6]])
    assert rows.source == "memory://bucket/*.csv"
    assert [rows.where(row) for row in range(3)] == ["a.csv line 2", "b.csv line 2", "b.csv line 3"]


def test_reads_a_file_named_like_a_pattern(write_csv: Callable[..., str]) -> None:
    assert values(read(write_csv("1,2", name="rows[1].csv", good=0), WANTED)) == [[1], [2]]


def test_reads_a_list_of_sources_in_order(write_csv: Callable[..., str]) -> None:
    one, two = write_csv("1,2", name="one.csv", good=0), write_csv("3,4", name="two.csv", good=0)
    rows = read([two, one], WANTED)
    assert values(rows) == [[3, 1], [4, 2]]
    assert rows.source == f"{two}, {one}"


def test_names_a_source_that_cannot_be_read(tmp_path: Path, web: str) -> None:
    for source, reason in [
        (f"{tmp_path}/none.csv", r"none\.csv can't be read: .*No such file"),
        (f"{web}/none.csv", r"none\.csv can't be read"),
        (f"{tmp_path}/*.csv", r"\*\.csv matches no file"),
        (str(tmp_path), r"is a folder; name its files, as in .*/\*\.parquet"),
        ("ftps3://bucket/rows.csv", "can't be read: Protocol not known: ftps3"),
        ([], "no source is named"),
    ]:
        with pytest.raises(SourceError, match=reason):
            read(source, WANTED)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"PAR1 but no Parquet", "can't be read: "),
        (b"a\x00b", "is neither CSV nor Parquet: it holds binary data"),
        (b"PK\x03\x04\x00\x00", "seems to be an Excel workbook or a ZIP archive; save the table as CSV"),
        (b"\x1f\x8b\x08\x00", "seems to be compressed by gzip; let its name end in .gz"),
        (b'[{"bmi": 1, "target": 2}]', "seems to be JSON; save the table as CSV or Parquet"),
        ("bmi,target\n1,2\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
    ],
)
def test_refuses_a_file_that_is_neither_csv_nor_parquet(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=rf"rows\.csv {reason}"):
        read(text(tmp_path / "rows.csv", content), WANTED)


def test_errors_do_not_show_credentials() -> None:
    uri = "http://user:secret@127.0.0.1:9/rows.csv?signature=hidden#secret"
    with pytest.raises(SourceError, match=r"^http://127\.0\.0\.1:9/rows\.csv can't be read") as caught:
        read(uri, WANTED)
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://key:secret@bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("https://host:8443/rows.csv?X-Amz-Signature=s#f", "https://host:8443/rows.csv"),
        ("data/what?#really.csv", "data/what?#really.csv"),
        ("sklearn://diabetes", "sklearn://diabetes"),
    ],
)
def test_removes_credentials_from_an_address(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("BMI,target\n1,2\n", "column 'bmi' is missing; there are 'BMI', 'target'. Is 'BMI' meant?"),
        ("bmii,target\n1,2\n", "there are 'bmii', 'target'. Is 'bmii' meant?"),
        ("1.5,2\n2.5,3\n", "the first line holds numbers (1.5, 2 …): the file has no header"),
        ("<!DOCTYPE html>\n<p>Not found\n", "the file seems to be a web page: it begins with '<!DOCTYPE"),
        ("bmi,bmi,target\n1,1,2\n", "column 'bmi' is 2 times in the header"),
        ("bmi,target,target\n1,1,2\n", "column 'target' is 2 times in the header"),
        (",".join(f"c{n}" for n in range(30)) + "\n", "'c19' …"),
    ],
)
def test_explains_a_missing_or_repeated_column(tmp_path: Path, content: str, message: str) -> None:
    assert message in problems(read(text(tmp_path / "rows.csv", content), WANTED))


def test_names_the_file_that_lacks_a_column(write_csv: Callable[..., str]) -> None:
    one, two = write_csv("1,2", name="one.csv", good=0), write_csv("3", name="two.csv", header="bmi", good=0)
    rows = read([one, two], WANTED)
    assert problems(rows).startswith(f"{two}: column 'target' is missing")
    assert list(rows.columns) == ["bmi"]


# Arrow warns that it can't pass on a malformed line that isn't UTF-8, and rejects the file.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@given(st.one_of(st.binary(), st.binary().map(lambda rest: b"bmi,target\n" + rest)))
def test_reads_or_refuses_any_bytes(content: bytes) -> None:
    fsspec.filesystem("memory").pipe("/fuzz/rows", content)
    with contextlib.suppress(SourceError, InvalidDataError):
        rows = read("memory://fuzz/rows", WANTED)
        assert len(rows.columns) == 2 or rows.problems


def test_lists_lines_with_too_many_or_too_few_fields(write_csv: Callable[..., str]) -> None:
    path = write_csv("1", "1,5,2", "3,4")
    with pytest.raises(InvalidDataError) as caught:
        read(path, WANTED)
    (problem,) = caught.value.problems
    assert problem.rows == 2
    assert [value for _, value in problem.examples] == [
        "1 fields instead of 2: '1'",
        "3 fields instead of 2: '1,5,2'",
    ]
