"""The report of an evaluation: what evaluate writes and the gate reads, as JSON."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.data.contamination import Contamination, TrainingRows
from components.data.probes import Probes
from components.data.rows import RowSketch
from components.data.scores import PairedErrors, Scores
from predictor.model.evaluation import Evaluation, of_document

FORMAT_VERSION = 3


class ReportError(ValueError):
    """A report that can't be read; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A model that was scored, or the reason why it could not be.

    Attributes:
        digest: the SHA-256 of the model folder's manifest.
        version: its number in the registry; none for a candidate.
        scores: on the held-out rows; none where the model can't be scored on them.
        problem: why there are no scores.
        unanswered: held-out rows that the model's server would refuse, because a value is missing or a
            category unknown. They are scored all the same; see ``components.data.compare.held_out``.
        contamination: how many of the held-out rows it was trained on; none where nothing shows that it was.
    """

    digest: str
    version: int | None = None
    scores: Scores | None = None
    problem: str | None = None
    unanswered: int = 0
    contamination: Contamination | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The scores of candidate and champion on the same held-out rows.

    Attributes:
        fingerprint: of the dataset of the rows.
        rows: how many were held out.
        candidate: always scored.
        champion: none where the registry has no champion yet.
        held_out: which rows these were; none in a report made by hand.
        paired: the two models' errors row by row; none without two scores.
        probes: rows and the candidate's answers to them, for its rollout.
        evaluation: of the candidate, for its folder; none if its errors are beyond the range of a double.
        training: which rows the candidate was trained on; none in a report made by hand.
    """

    fingerprint: str
    rows: int
    candidate: Contender
    champion: Contender | None = None
    held_out: RowSketch | None = None
    paired: PairedErrors | None = None
    probes: Probes | None = None
    evaluation: Evaluation | None = None
    training: TrainingRows | None = None


def write(report: Report, path: str | Path) -> None:
    """Write the report as JSON; a number that isn't finite becomes null."""
    document = {"format_version": FORMAT_VERSION, **_without_nan(asdict(report))}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read(path: str | Path) -> Report:
    """Read a report; a score of null is read as NaN.

    Raises:
        ReportError: the file is not a report.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if document["format_version"] != FORMAT_VERSION:
            version = document["format_version"]
            raise ReportError(f"{path}: unsupported format version {version!r}; known is {FORMAT_VERSION}")
        return Report(
            fingerprint=document["fingerprint"],
            rows=document["rows"],
            candidate=_contender(document["candidate"]),
            champion=_contender(document["champion"]) if document["champion"] else None,
            held_out=_sketch(document["held_out"]),
            paired=_paired(document["paired"]),
            probes=Probes.from_json(json.dumps(document["probes"])) if document["probes"] else None,
            evaluation=of_document(found) if (found := document.get("evaluation")) else None,
            training=TrainingRows.of_document(rows) if (rows := document.get("training")) else None,
        )
    except OSError as error:
        raise ReportError(f"{path} can't be read: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise (
            error if isinstance(error, ReportError) else ReportError(f"{path} is not a report: {error!r}")
        ) from error


def _contender(document: dict[str, Any]) -> Contender:
    return Contender(
        digest=document["digest"],
        version=document["version"],
        scores=_numbers(Scores, document["scores"]),
        problem=document["problem"],
        unanswered=document.get("unanswered", 0),
        contamination=Contamination(**found) if (found := document.get("contamination")) else None,
    )


def _sketch(document: dict[str, Any] | None) -> RowSketch | None:
    if document is None:
        return None
    return RowSketch.of_document(document)


def _paired(document: dict[str, Any] | None) -> PairedErrors | None:
    if document is None:
        return None
    rows, units = (int(document.pop(name)) for name in ("rows", "units"))
    return PairedErrors(
        rows, units, **{name: math.nan if value is None else float(value) for name, value in document.items()}
    )


def _numbers(kind: Any, document: dict[str, float | None] | None) -> Any:
    if document is None:
        return None
    return kind(**{name: math.nan if value is None else float(value) for name, value in document.items()})


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
