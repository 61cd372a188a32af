"""Records and reports of local runs."""

from pathlib import Path

from components.operations.cli import history
from components.operations.cli.history import RunRecord
from components.reports import page as html

PARAMETERS = {"run_id": "r1", "source": "houses.csv", "features": ["rooms", "area"], "target": "price"}
OUTPUTS = {"version": 2, "promoted": True, "reasons": ["better"], "warning": "", "champion_uri": "/m/2"}


def test_a_record_survives_being_written(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    folder.mkdir()
    record = RunRecord.begun(PARAMETERS, "abc").ended(OUTPUTS, 1.5)
    history.write(record, folder)
    assert history.read_all(tmp_path) == [record]


def test_folders_without_a_readable_record_are_left_out(tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", '{"other": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    assert history.read_all(tmp_path) == []


def test_the_index_of_a_failed_run_says_why_and_links_its_pages(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    for step, text in (("ingest", html.page("houses.csv was refused")), ("evaluate", "{}")):
        (folder / "job" / step).mkdir(parents=True)
        (folder / "job" / step / "report").write_text(text, encoding="utf-8")
    history.write(RunRecord.begun(PARAMETERS, "").failed("ingest failed. <no rows>", 1.0), folder)
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "<h1>The run failed</h1>" in index
    assert "ingest failed. &lt;no rows&gt;" in index
    assert 'href="ingest.html"' in index
    page = (folder / "ingest.html").read_text(encoding="utf-8")
    assert "Run r1, " in page
    assert 'href="index.html"' in page


def test_the_list_of_runs_has_a_line_for_each() -> None:
    record = RunRecord.begun(PARAMETERS, "").ended(OUTPUTS | {"promoted": False, "champion_uri": "/m/1"}, 1.0)
    failed = RunRecord.begun(PARAMETERS | {"source": "x" * 99}, "").failed("why", 1.0)
    header, one, other = history.table([record, failed]).splitlines()
    assert header.startswith("started (UTC)")
    assert one.endswith("not promoted")
    assert other.endswith("failed")
    assert "…" + "x" * 39 in other
