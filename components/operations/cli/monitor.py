"""The commands that read recorded predictions: collect, and due."""

import argparse
import math
import socket
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from components.operations.cli.errors import CommandError
from components.operations.cli.registered import add_options, open_named
from components.operations.cli.subcommand import add_command

if TYPE_CHECKING:
    from components.operations.monitor.due import Decision
    from components.registry.index import Version
    from predictor.model.base import Model

NOT_DUE = 4
"""The exit status of ``due`` if no retraining is due, for scripts."""


def add(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    add_command(commands, collect, lambda options: _guarded(collect, options), kept(), joined())
    add_command(commands, due, lambda options: _guarded(due, options), kept(), policy())


def kept() -> argparse.ArgumentParser:
    """Return a parser with the options of the recorded feedback and of the model."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--feedback",
        required=True,
        metavar="URL",
        help="the folder or bucket in which the predictor records predictions and labels",
    )
    add_options(parser)
    return parser


def joined() -> argparse.ArgumentParser:
    """Return a parser with the options of the joined rows."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--to",
        required=True,
        metavar="URL",
        help="a folder or bucket for the joined rows, one Parquet file per day",
    )
    parser.add_argument(
        "--first-day", default="", metavar="DAY", help="the first day of labels, such as 2026-01-31"
    )
    parser.add_argument("--last-day", default="9999", metavar="DAY", help="the last day of labels")
    return parser


def policy() -> argparse.ArgumentParser:
    """Return a parser with the options of the policy: what makes a retraining due."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--days", type=int, default=7, help="how many days are examined, today included (%(default)s)"
    )
    parser.add_argument(
        "--drift",
        type=float,
        default=0.05,
        help="drift counts if its stability index is above this and beyond chance (%(default)s)",
    )
    parser.add_argument(
        "--quality",
        type=float,
        default=1.25,
        help="quality is lost if the error exceeds the held-out error by this factor (%(default)s)",
    )
    parser.add_argument(
        "--rows", type=int, default=200, help="the fewest independent rows for a verdict (%(default)s)"
    )
    parser.add_argument(
        "--news",
        type=int,
        default=0,
        metavar="LABELS",
        help="this many new labels are a reason by themselves (off)",
    )
    parser.add_argument(
        "--age",
        type=float,
        default=0.0,
        metavar="DAYS",
        help="a champion of this age is due for a retraining, whatever else was found (off)",
    )
    parser.add_argument(
        "--report-to",
        metavar="NAMESPACE/NAME",
        help="an InferenceService that gets the decision as an Event, and its pods as metrics (off)",
    )
    return parser


def collect(options: argparse.Namespace) -> int:
    """Join recorded predictions with their labels, as sources for the next training."""
    model, _ = champion(options)
    join(options, model)
    return 0


def join(options: argparse.Namespace, model: "Model") -> None:
    """Join recorded predictions with their labels, as sources for the next training."""
    from components.operations.monitor import feedback

    features = [feature.name for feature in model.inputs]
    days = (options.first_day, options.last_day)
    written = feedback.collect(options.feedback, options.to, features, model.target.name, *days)
    for day, rows in written.rows.items():
        print(f"{options.to.rstrip('/')}/{day}.parquet: {rows} rows")
    if written.ambiguous:
        print(f"left out {written.ambiguous} labels: several predictions have their id and row")
    if not written.rows:
        print("no recorded prediction has a label yet")


def due(options: argparse.Namespace) -> int:
    """Decide whether a retraining is due, with the reasons; the exit status is 4 if it is not."""
    decision = judge(options, *champion(options))
    print(*decision.reasons, sep="\n")
    return 0 if decision.due else NOT_DUE


def judge(options: argparse.Namespace, model: "Model", version: "Version") -> "Decision":
    """Decide by the options whether a retraining of the champion is due, and report it.

    Raises:
        ValueError: the policy is invalid, or the champion has features that were not recorded.
    """
    from components.operations.monitor.due import Error, Policy, decide, quality
    from components.operations.monitor.watch import observe

    limits = Policy(options.drift, options.quality, options.rows, options.news, options.age)
    tags = version.tags
    observed = observe(
        options.feedback,
        model,
        str(version.number),
        days=options.days,
        held_out=Error(
            float(tags.get("metric.mse", math.nan)),
            float(tags.get("metric.mse_error", math.nan)),
            int(tags.get("held_out_rows", 0)),
        ),
        registered=version.created,
        answered=open_named(options).answered(),
    )
    decision = decide(observed, limits)
    if options.report_to:
        _report(options.report_to, str(version.number), decision, quality(observed, limits))
    return decision


def _report(place: str, version: str, decision: "Decision", found: Mapping[str, Any]) -> None:
    """Report a decision on a cluster; one that can't be reached is only said."""
    from components.operations.rollout.api import connect
    from components.operations.rollout.decisions import Decisions
    from components.operations.rollout.errors import ApiError

    namespace, _, name = place.partition("/")
    if not (namespace and name):
        raise ValueError(f"--report-to: expected NAMESPACE/NAME, not {place!r}")
    try:
        decisions = Decisions(connect(), namespace, name, "linear-regressor-retraining", socket.gethostname())
    except ApiError as error:
        print(f"the decision was not reported: {error}", file=sys.stderr, flush=True)
        return
    outcome = "due" if decision.due else "not due"
    decisions.note("retraining", outcome, version, decision.reasons, quality=found)
    reason = "RetrainingDue" if decision.due else "RetrainingNotDue"
    decisions.event(reason, "; ".join(decision.reasons))


def champion(options: argparse.Namespace) -> tuple["Model", "Version"]:
    """Return the champion's model, read and verified, and its version.

    Raises:
        CommandError: there is none, or the registry can't be opened.
    """
    registry = open_named(options)
    version = registry.champion()
    if version is None:
        raise CommandError(
            f"{options.model_name} has no champion yet in {options.registry_root}: submit a first run"
        )
    return registry.entry(version).model, version


def _guarded(work: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    try:
        return work(options)
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
