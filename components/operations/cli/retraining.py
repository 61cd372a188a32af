"""The command retrain, which a CronJob calls: `due`, then `collect` and `submit` if a retraining is due.

It may be called again at any time. A call after one that was killed writes the same files again, and starts
no second run. Two calls at the same moment may both start a run: the registry orders the runs, and the second
finds the version of the first.
"""

import argparse
from typing import Any

from components.operations.cli import cluster, monitor, remote
from components.operations.cli.errors import during
from components.operations.cli.remote import Project
from components.operations.cli.subcommand import add_command

APART = "6h"


def add(commands: Any, project: Project, started: argparse.ArgumentParser, epilog: str) -> None:
    """Add the command to a parser's subcommands.

    Args:
        commands: the subcommands.
        project: whose pipeline is run.
        started: has the options of the commands that start runs.
        epilog: describes the parameters of the pipeline.
    """
    parents = (monitor.kept(), monitor.policy(), monitor.joined(), started)
    parser = add_command(
        commands, retrain, lambda options: retrain(options, project), *parents, epilog=epilog
    )
    parser.add_argument(
        "--at-most-every",
        type=remote.duration,
        default=APART,
        metavar="TIME",
        help="start no run if another one started within this time (%(default)s)",
    )
    parser.add_argument(
        "--wait",
        dest="no_wait",
        action="store_false",
        help="wait for a run that was started: show its steps, and exit with its outcome",
    )


def retrain(options: argparse.Namespace, project: Project) -> int:
    """Start a run on the labelled rows if a retraining is due; the run records the reason.

    If no retraining is due, or a run started recently, it prints the reason and returns status 0. The run
    uses the data and the registry that were examined, unless a parameter names others.

    Raises:
        CommandError: there is no champion, or store, registry or Kubeflow Pipelines can't be reached.
    """
    remote.parameters(_of(options, ""), project)  # a mistake in them is reported now, not in a month
    # Checked first, so that the files of a run in progress are not written again.
    with cluster.asking(options.host):
        if remote.too_soon(options, project):
            return 0
    with during("judging the recorded predictions"):
        model, version = monitor.champion(options)
        decision = monitor.judge(options, model, version)
    print(
        "a retraining is due:" if decision.due else "no retraining is due:",
        *decision.reasons,
        sep="\n",
        flush=True,
    )
    if not decision.due:
        return 0
    with during("joining predictions with labels"):
        monitor.join(options, model)
    with cluster.asking(options.host):
        status = remote.submit(_of(options, "\n".join(decision.reasons)), project)
    return 0 if status == remote.TOO_SOON else status


def _of(options: argparse.Namespace, reason: str) -> argparse.Namespace:
    """Return the options of `submit`."""
    from components.operations.monitor.watch import window

    judged = {
        "registry_root": options.registry_root,
        "tracking_uri": options.tracking_uri,
        "model_name": options.model_name,
        "source": f"{options.to.rstrip('/')}/*.parquet",
        "answers": window(options.days),
    }
    named = {text.partition("=")[0] for text in options.param}
    given = [f"{name}={value}" for name, value in judged.items() if name not in named]
    return argparse.Namespace(**{**vars(options), "reason": reason, "param": [*given, *options.param]})
