"""Registers the model with its lineage, and promotes it if the gate decides so."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from components.data import dataset as datasets
from components.data import report as reports
from components.data.compare import Entry, compare, sketch_like
from components.data.dataset import Dataset
from components.data.report import Contender, Report
from components.data.rows import RowSketch
from components.register.gate import Comparison, Policy, Unscored, decide
from components.registry.decision import Decision
from components.registry.index import PROBES, TRAINING_ROWS, Version
from components.registry.registry import Registration, Registry
from predictor.model import artifact


@dataclass(frozen=True, slots=True)
class Run:
    """The pipeline run that made a model, in the words of Kubeflow's model registry.

    Attributes:
        id: its identity: registering it twice changes nothing.
        name: for people.
        group: the namespace, or ``local``.
        git_commit: of the code, where it is known.
        reason: why it was started: by hand, schedule, new data, drift ...
        answers: the days whose drift it answers, ``2026-01-25/2026-01-31``; empty for none.
    """

    id: str
    name: str = ""
    group: str = "local"
    git_commit: str = ""
    reason: str = ""
    answers: str = ""


def register(
    dataset_folder: str | Path,
    model_folder: str | Path,
    report_file: str | Path,
    registry: Registry,
    run: Run,
    policy: Policy,
    details: Mapping[str, Any] | None = None,
) -> Registration:
    """Make the candidate a version, and the champion if it passes the gate.

    The report may be older than the champion: then both are scored anew on the same held-out rows.

    Args:
        dataset_folder: what ingest wrote.
        model_folder: the candidate, as train wrote it.
        report_file: what evaluate wrote about the two.
        registry: where the versions are.
        run: that made the candidate.
        policy: of the gate.
        details: what else belongs to the lineage, such as the parameters of the training.

    Raises:
        ValueError: the report is about another model, or about other data.
        GateError: the champion can't be compared, and the policy is to fail.
    """
    report = reports.read(report_file)
    candidate = Entry(*artifact.read(model_folder))
    if report.candidate.digest != candidate.digest:
        raise ValueError(
            f"{report_file} is about the model {report.candidate.digest}, not {candidate.digest}"
        )

    def judge(champion: Version | None) -> Decision:
        scored = report.champion.digest if report.champion else None
        if scored == (champion.digest if champion else None):
            return _decide(report, policy, registry, dataset_folder)
        moved = "the champion changed after the evaluation; both were scored anew"
        again = _compare_again(report, dataset_folder, candidate, champion, registry)
        decision = _decide(again, policy, registry, dataset_folder)
        return replace(decision, reasons=(*decision.reasons, moved))

    lineage = _lineage(report, run, details or {})
    return registry.register(model_folder, run.id, lineage, judge, report.evaluation)


def describe(registration: Registration) -> str:
    """The decision and its reasons, as Markdown."""
    outcome = "is not the champion"
    if registration.version == registration.champion:
        outcome = "is the champion now" if registration.decision.promote else "is the champion already"
    lines = [f"# Version {registration.version} {outcome}", ""]
    lines += [f"- {reason}" for reason in registration.decision.reasons]
    if warning := registration.decision.warning:
        lines += ["", f"Warning: {warning}."]
    champion = registration.champion_uri
    lines += ["", f"Champion: {f'version {registration.champion}, `{champion}`' if champion else 'none'}", ""]
    return "\n".join(lines)


def _decide(report: Report, policy: Policy, registry: Registry, dataset_folder: str | Path) -> Decision:
    if report.candidate.scores is None:
        raise ValueError(f"the report has no scores of the candidate: {report.candidate.problem}")
    comparison = None
    if report.paired and report.held_out:
        shares = _shares(report.held_out, dataset_folder, registry.judged_on(report.candidate.digest))
        known = [share for share in shares if share is not None]
        contamination = report.champion.contamination if report.champion else None
        comparison = Comparison(report.paired, sum(known), len(shares) - len(known), contamination)
    decision = decide(report.candidate.scores, _opponent(report.champion), policy, comparison)
    reasons = decision.reasons
    if report.champion and report.champion.unanswered:
        rows = f"{report.champion.unanswered} of the {report.rows} held-out rows"
        reasons += (f"the champion can't answer {rows}, because of missing values or unknown categories",)
    return replace(decision, reasons=reasons, judged_on=report.held_out if comparison else None)


def _shares(now: RowSketch, dataset_folder: str | Path, earlier: Sequence[RowSketch]) -> list[float | None]:
    """Return the share of the held-out rows that each earlier comparison used; None where it can't be told.

    Earlier rows with other columns are compared by those columns, which the held-out rows mostly have, too.
    """
    dataset: Dataset | None = None
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], RowSketch | None] = {}
    shares: list[float | None] = []
    for other in earlier:
        mine: RowSketch | None = now
        if not now.comparable(other):
            key = (other.columns, other.types)
            if key not in alike:
                dataset = dataset or datasets.read(dataset_folder)
                alike[key] = sketch_like(dataset, other)
            mine = alike[key]
        shares.append(mine.share_in(other) if mine else None)
    return shares


def _opponent(champion: Contender | None) -> Any:
    if champion is None or champion.scores:
        return champion and champion.scores
    return Unscored(champion.problem or "it has no scores")


def _compare_again(
    report: Report, dataset_folder: str | Path, candidate: Entry, champion: Version | None, registry: Registry
) -> Report:
    dataset = datasets.read(dataset_folder)
    if dataset.fingerprint != report.fingerprint:
        raise ValueError(f"the report is about the data {report.fingerprint}, not {dataset.fingerprint}")
    return compare(dataset, candidate, registry.entry(champion) if champion else None)


def _lineage(report: Report, run: Run, details: Mapping[str, Any]) -> dict[str, str]:
    scores = asdict(report.candidate.scores) if report.candidate.scores else {}
    tags = {
        "dataset_fingerprint": report.fingerprint,
        "git_commit": run.git_commit,
        "reason": run.reason,
        "answers": run.answers,
        PROBES: report.probes.to_json() if report.probes else "",
        TRAINING_ROWS: json.dumps(report.training.document()) if report.training else "",
        "model_source_kind": "kfp",
        "model_source_class": "pipelinerun",
        "model_source_group": run.group,
        "model_source_id": run.id,
        "model_source_name": run.name,
        "held_out_rows": str(report.rows),
        **{f"metric.{name}": repr(value) for name, value in scores.items()},
        **{str(name): str(value) for name, value in details.items()},
    }
    return {name: value for name, value in tags.items() if value}
