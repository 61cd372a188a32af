"""Faults of CSV files, and where they are said to be."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.data.problems import InvalidDataError, SourceError
from components.data.settings import Settings
from components.data.sources import layout
from components.data.sources.source import Rows, read

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rows of x, y and note under a header, some lines replaced by their number, from 1."""

    def write(replaced: Mapping[int, str] = {}, rows: int = 60, end: str = "\n") -> str:
        lines = ["x,y,note", *(f"{row}.5,{row % 7},ok" for row in range(rows))]
        for number, line in replaced.items():
            lines[number - 1] = line
        path = tmp_path / "rows.csv"
        path.write_bytes((end.join(lines) + end).encode())
        return str(path)

    return write


def of(source: str, **parameters: Any) -> Rows:
    return read(source, Settings(["x"], "y", **parameters))


def refusal(source: str, **parameters: Any) -> str:
    with pytest.raises((InvalidDataError, SourceError)) as caught:
        of(source, **parameters)
    return str(caught.value)


@pytest.fixture(params=[layout.CHUNK_BYTES, 16], ids=["one chunk", "many chunks"])
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("_chunks")
class TestQuotes:
    def test_one_that_is_never_closed_is_refused_with_its_line(self, write: Write) -> None:
        assert "a quote opens in line 7 and is never closed" in refusal(write({7: '9.5,1,"ok'}))
        assert "a quote opens in line 61 and is never closed" in refusal(write({61: '9.5,1,"ok'}))

    @pytest.mark.parametrize("closed", [9, 27])
    def test_one_that_is_closed_rows_later_is_refused(self, write: Write, closed: int) -> None:
        said = refusal(write({7: '9.5,1,"ok', closed: '9.5,1,ok"'}))
        assert f"a quote opens in line 7 and closes in line {closed}, and between them are lines" in said

    def test_text_behind_a_closing_quote_is_refused(self, write: Write) -> None:
        assert "text follows a closing quote in line 9" in refusal(write({7: '9.5,1,"ok', 9: '9.5,"b",c'}))

    @pytest.mark.parametrize(
        "note",
        [
            '6" pipe',
            '"two\nlines"',
            '"a ""quoted"" word"',
            '""',
            '"""a"""',
            '"a,b;c"',
            '"\n\n"',
            '"x\n9,9\nz"',
        ],
    )
    def test_quotes_that_are_in_order_are_read(self, write: Write, note: str) -> None:
        rows = of(write({7: f"9.25,1,{note}", 8: f"bad,2,{note}"}))
        assert rows.columns["x"].numbers.size == 60
        assert rows.columns["x"].numbers[5] == 9.25
        assert rows.where(6) == f"line {8 + note.count(chr(10))}"

    @pytest.mark.parametrize("end", ["\r\n", "\r"])
    def test_lines_are_counted_whatever_ends_them(self, write: Write, end: str) -> None:
        rows = of(write({7: '9.25,1,"a' + end + 'b"', 9: "bad,2,c"}, end=end))
        assert rows.where(7) == "line 10"
        assert rows.columns["x"].rejected.tolist() == [7]

    def test_blank_lines_count_as_lines(self, write: Write) -> None:
        assert of(write({5: "", 6: ""})).where(3) == "line 7"


class TestHeader:
    def test_a_line_break_in_a_name_is_read(self, write: Write) -> None:
        rows = of(write({1: 'x,y,"a\nnote"', 3: "bad,1,ok"}))
        assert rows.columns["x"].numbers.size == 60
        assert rows.where(1) == "line 4"

    def test_excels_line_tells_the_separator(self, write: Write) -> None:
        rows = of(write({1: "sep=|\nx|y|a,b,c,d", 2: "1|2|ok", 3: "3|4|ok"}, rows=2))
        assert rows.columns["x"].numbers.tolist() == [1, 3]
        assert rows.where(0) == "line 3"

    def test_comments_before_it_are_passed_over(self, write: Write) -> None:
        rows = of(write({1: "# made in 2026\n#\nx,y,note"}))
        assert rows.columns["x"].numbers.size == 60
        assert rows.where(0) == "line 4"

    def test_a_title_before_it_is_refused_with_where_it_seems_to_be(self, write: Write) -> None:
        assert refusal(write({1: "Report of 2026\n\nx,y,note"})).endswith(
            "- the first line ('Report of 2026') does not name any of the columns; line 3 seems to be the "
            "header ('x,y,note'); delete the lines before it"
        )

    def test_very_long_names_and_very_many_are_read(self, tmp_path: Path) -> None:
        names = ["x", "y", "n" * 200_000, *(f"a long name {number}" for number in range(100_000))]
        path = tmp_path / "wide.csv"
        path.write_text(",".join(names) + "\n" + ",".join(["1"] * len(names)) + "\n")
        assert of(str(path)).columns["x"].numbers.tolist() == [1]


def test_a_row_longer_than_a_block_is_read(write: Write) -> None:
    rows = of(write({7: "9.25,1," + "z" * 3_000_000}))
    assert rows.columns["x"].numbers[5] == 9.25


@pytest.mark.parametrize("length", [5, 15, 80])
def test_a_file_that_was_cut_off_is_not_called_empty(tmp_path: Path, length: int) -> None:
    content = "x,y\n" + "".join(f"{row},{row * row % 97}\n" for row in range(99))
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(content.encode())[:length])
    assert "rows.csv.gz is empty, or was cut off" in (said := refusal(str(path))) or "Truncated" in said


def test_rows_with_too_many_or_too_few_fields_are_refused_with_their_lines(write: Write) -> None:
    said = refusal(write({4: "", 5: "1", 7: '1,2,"a\nb",4'}))
    assert "in 2 rows (line 5: 1 fields instead of 3: '1', line 7: 4 fields instead of 3" in said


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("x,y\n1,2\nZürich,3\n".encode("latin-1"))
    assert refusal(str(path)).endswith(
        "- column 'x' has text that is not UTF-8 in 1 row (line 3: 'Zürich' if it is Latin-1); "
        "save the file as UTF-8"
    )
