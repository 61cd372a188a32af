"""The commands around what the predictor kept: new data from it, and whether a retraining is due."""

import argparse
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from components.operations.cli.errors import CommandError
from components.operations.cli.registered import add_options, open_named
from components.operations.cli.subcommand import add_command

if TYPE_CHECKING:
    from components.operations.monitor.due import Decision
    from components.registry.index import Version
    from predictor.model.base import Model

NOT_DUE = 4
"""What ``due`` exits with where nothing is, so that a script can go on by it."""


def add(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    add_command(commands, collect, lambda options: _guarded(collect, options), kept(), joined())
    add_command(commands, due, lambda options: _guarded(due, options), kept(), policy())


def kept() -> argparse.ArgumentParser:
    """The options that say where the predictor keeps what it saw, and whose champion it is."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--feedback", required=True, metavar="URL", help="where the predictor keeps what it saw"
    )
    add_options(parser)
    return parser


def joined() -> argparse.ArgumentParser:
    """The options that say what is made of what came true."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--to", required=True, metavar="URL", help="a folder; a Parquet file for each day")
    parser.add_argument("--first-day", default="", metavar="DAY", help="of the truths: 2026-01-31")
    parser.add_argument("--last-day", default="9999", metavar="DAY", help="of the truths")
    return parser


def policy() -> argparse.ArgumentParser:
    """The options that say what makes a retraining due."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--days", type=int, default=7, help="that are looked at, today included (%(default)s)"
    )
    parser.add_argument(
        "--drift",
        type=float,
        default=0.05,
        help="a stability index above it is drift, if chance does not explain it (%(default)s)",
    )
    parser.add_argument(
        "--quality",
        type=float,
        default=1.25,
        help="lost if the error on labels is more than so many times the held-out error (%(default)s)",
    )
    parser.add_argument(
        "--rows", type=int, default=200, help="fewest independent rows to judge from (%(default)s)"
    )
    parser.add_argument(
        "--news",
        type=int,
        default=0,
        metavar="LABELS",
        help="so many since the champion was registered are a reason by themselves (none are)",
    )
    parser.add_argument(
        "--age",
        type=float,
        default=0.0,
        metavar="DAYS",
        help="so many since the champion was registered are a reason by themselves (none are)",
    )
    return parser


def collect(options: argparse.Namespace) -> int:
    """Join what was predicted with what came true, as sources for the next training."""
    model, _ = champion(options)
    join(options, model)
    return 0


def join(options: argparse.Namespace, model: "Model") -> None:
    """Join what was predicted with what came true, as a source for a model; prints what was written."""
    from components.operations.monitor import feedback

    features = [feature.name for feature in model.inputs]
    days = (options.first_day, options.last_day)
    written = feedback.collect(options.feedback, options.to, features, model.target.name, *days)
    for day, rows in written.rows.items():
        print(f"{options.to.rstrip('/')}/{day}.parquet: {rows} rows")
    if written.ambiguous:
        print(f"left out {written.ambiguous} labels: several predictions have their id and row")
    if not written.rows:
        print("nothing that was predicted has come true")


def due(options: argparse.Namespace) -> int:
    """Tell whether a retraining is due, and why; exits with 4 where it is not."""
    decision = judge(options, *champion(options))
    print(*decision.reasons, sep="\n")
    return 0 if decision.due else NOT_DUE


def judge(options: argparse.Namespace, model: "Model", version: "Version") -> "Decision":
    """Decide by the options whether a retraining of the champion is due.

    Raises:
        ValueError: the policy makes no sense, or the champion has features that were not kept.
    """
    from components.operations.monitor.due import Error, Policy, decide
    from components.operations.monitor.watch import look

    limits = Policy(options.drift, options.quality, options.rows, options.news, options.age)
    tags = version.tags
    seen = look(
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
    return decide(seen, limits)


def champion(options: argparse.Namespace) -> tuple["Model", "Version"]:
    """The champion's model, read and verified, and what the registry says of it.

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
