"""The record and the report of each run on this machine, in the run's folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.data import report as evaluations
from components.data.scores import Scores
from components.reports import page as html

RECORD_FILE = "run.json"
INDEX_FILE = "index.html"
# Names of the steps' HTML outputs.
PAGES = ("report", "page")
COLUMNS = ("started (UTC)", "run", "model", "version", "source", "features", "R²", "RMSE", "decision")
SHORT = 40
# What became of the model of a run.
PROMOTED, CHAMPION, REFUSED = "promoted", "champion already", "not promoted"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The record of a run.

    Attributes:
        run_id: of the run.
        started: when, in UTC, as ISO 8601.
        seconds: how long it took.
        git_commit: of the code, where it is known.
        parameters: of the pipeline.
        version: the number of its model; none if it failed.
        promoted: whether the run made it the champion.
        champion: whether it was the champion already.
        reasons: of the decision.
        warning: about the training; mostly empty.
        scores: on the held-out rows: mse, mae and r2; empty if it failed.
        error: why it failed; empty if it did not.
    """

    run_id: str
    started: str
    seconds: float = 0.0
    git_commit: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None
    promoted: bool = False
    champion: bool = False
    reasons: Sequence[str] = ()
    warning: str = ""
    scores: Mapping[str, float | None] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def begun(cls, parameters: Mapping[str, Any], git_commit: str) -> "RunRecord":
        """Return the record of a run that begins now."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(parameters["run_id"], started, git_commit=git_commit, parameters=parameters)

    def failed(self, error: str, seconds: float) -> "RunRecord":
        """Return the record of the run that failed."""
        return replace(self, error=error, seconds=seconds)

    def ended(self, outputs: Mapping[str, Any], seconds: float) -> "RunRecord":
        """Return the record of the run that ended with these outputs of the pipeline."""
        return replace(
            self,
            seconds=seconds,
            version=int(outputs["version"]),
            promoted=bool(outputs["promoted"]),
            champion=outcome(outputs) == CHAMPION,
            reasons=list(outputs["reasons"]),
            warning=outputs["warning"],
        )

    @property
    def when(self) -> str:
        """The start, for display."""
        return self.started[:16].replace("T", " ")

    @property
    def decision(self) -> str:
        """The outcome, in a word or two."""
        if self.error:
            return "failed"
        if self.champion:
            return CHAMPION
        return PROMOTED if self.promoted else REFUSED

    @property
    def model_name(self) -> str:
        """The name of the registered model."""
        return str(self.parameters.get("model_name", ""))

    def facts(self) -> Iterator[tuple[str, object]]:
        """Yield the facts of the run, by name."""
        yield "run", self.run_id
        yield "started", f"{self.when} UTC, took {self.seconds:.1f} s"
        yield "source", self.parameters.get("source", "")
        yield "target", self.parameters.get("target", "")
        yield "features", _names(self.parameters.get("features", ()))
        yield "model", self.model_name
        yield "kind", self.parameters.get("model", "")
        if self.git_commit:
            yield "code", self.git_commit
        if self.version is not None:
            yield "version", self.version
        yield "decision", self.decision
        yield from _scores(self.scores)


def outcome(outputs: Mapping[str, Any]) -> str:
    """Return what became of the model of a run with these outputs: promoted, refused, or champion before."""
    if outputs["promoted"]:
        return PROMOTED
    champion = str(outputs.get("champion_uri", "")).rstrip("/").rpartition("/")[2]
    return CHAMPION if champion == str(int(outputs["version"])) else REFUSED


def write(record: RunRecord, folder: Path) -> None:
    """Write the record of a run, and its report: an index beside the pages of its steps."""
    record = replace(record, scores=_read_scores(folder))
    pages = list(_collect(record, folder))
    (folder / INDEX_FILE).write_text(_index(record, pages), encoding="utf-8")
    text = json.dumps(asdict(record), indent=2, sort_keys=True, default=str)
    (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")


def read_all(folder: Path) -> list[RunRecord]:
    """Read the records of all runs below a folder, newest first; unreadable ones are left out."""
    found = []
    for path in folder.glob(f"*/{RECORD_FILE}"):
        try:
            found.append(RunRecord(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError):
            continue
    return sorted(found, key=lambda record: record.started, reverse=True)


def table(records: Sequence[RunRecord]) -> str:
    """Format runs as a table of text."""
    rows = [COLUMNS, *map(_row, records)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def details(record: RunRecord, folder: Path) -> str:
    """Format all facts of a run as lines of text."""
    lines = [f"{name:<20} {html.cell(value)}" for name, value in record.facts()]
    lines += [f"{'because':<20} {reason}" for reason in record.reasons]
    lines += [f"{'warning':<20} {record.warning}"] if record.warning else []
    lines += [f"{'error':<20} {record.error}"] if record.error else []
    shown = {"run_id", "source", "target", "features", "model_name", "model", "git_commit"}
    lines += [
        f"{name:<20} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in record.parameters.items()
        if name not in shown
    ]
    return "\n".join([*lines, f"{'report':<20} {index_uri(folder)}"])


def index_uri(folder: Path) -> str:
    """Return the file:// address of a run's report."""
    return (folder / INDEX_FILE).as_uri()


def _row(record: RunRecord) -> tuple[str, ...]:
    source = str(record.parameters.get("source", ""))
    r2, rmse = (
        html.cell(dict(_scores(record.scores)).get(name)) for name in ("R²", "root mean squared error")
    )
    return (
        record.when,
        record.run_id,
        record.model_name,
        "" if record.version is None else str(record.version),
        source if len(source) <= SHORT else f"…{source[1 - SHORT :]}",
        _names(record.parameters.get("features", ())),
        r2,
        rmse,
        record.decision,
    )


def _names(names: Sequence[str] | str) -> str:
    text = names if isinstance(names, str) else ", ".join(map(str, names))
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def _scores(scores: Mapping[str, float | None]) -> Iterator[tuple[str, float]]:
    known = {name: value for name, value in scores.items() if value is not None}
    if "mse" in known:
        yield "root mean squared error", known["mse"] ** 0.5
    if "mae" in known:
        yield "mean absolute error", known["mae"]
    if "r2" in known:
        yield "R²", known["r2"]


def _read_scores(folder: Path) -> dict[str, float | None]:
    for path in folder.glob("*/evaluate/report"):
        try:
            found: Scores | None = evaluations.read(path).candidate.scores
        except evaluations.ReportError:
            continue
        if found:
            return {name: value if value == value else None for name, value in asdict(found).items()}
    return {}


def _collect(record: RunRecord, folder: Path) -> Iterator[tuple[str, str]]:
    """Copy the pages of the steps into files that a browser opens; yields the name and the step of each."""
    counts: dict[str, int] = {}
    about = html.paragraph(f"Run {record.run_id}, {record.when} UTC")
    for path in sorted(path for name in PAGES for path in folder.glob(f"*/**/{name}")):
        text = path.read_text(encoding="utf-8")
        if not text.startswith(html.DOCTYPE):
            continue
        step = path.parent.name
        counts[step] = counts.get(step, 0) + 1
        name = f"{step}.html" if counts[step] == 1 else f"{step}-{counts[step]}.html"
        back = f'<p><a href="{INDEX_FILE}">All reports of the run</a></p>'
        (folder / name).write_text(text.replace(html.ABOUT, about + back, 1), encoding="utf-8")
        yield name, step


def _index(record: RunRecord, pages: Sequence[tuple[str, str]]) -> str:
    order = ("ingest", "train", "evaluate")
    links = [
        html.link(name, name.removesuffix(".html"))
        for name, _ in sorted(
            pages, key=lambda page: (order.index(page[1]) if page[1] in order else 9, page[0])
        )
    ]
    title = f"Version {record.version}: {record.decision}" if not record.error else "The run failed"
    parts = [
        *map(html.paragraph, [record.error] if record.error else record.reasons),
        *([html.paragraph(f"Warning: {record.warning}.")] if record.warning else []),
        html.listing([*links, html.link("log.txt", "log")]),
        html.table(("", ""), record.facts()),
        html.heading("Parameters"),
        html.table(("name", "value"), record.parameters.items()),
    ]
    return html.page(title, *parts)
