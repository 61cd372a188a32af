"""The commands for a cluster's Kubeflow Pipelines: submit, schedule, status and logs."""

import argparse
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from components.operations.cli import cluster, messages
from components.operations.cli.errors import CommandError
from components.operations.cli.parameters import parse
from components.operations.cli.steps import describe, steps
from components.operations.cli.subcommand import add_command
from components.registry.folders import local_path

TOO_SOON = 3
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Project:
    """What the commands need of a pipeline.

    Attributes:
        name: of the pipeline and its experiment.
        kinds: KFP's type of each parameter.
        compile_to: writes the pipeline to a file, for steps that run in an image, with caching or without.
        connect: opens a client for a host and a namespace.
        commit: of the code.
        check: raises CommandError if parameters make no sense, before anything runs.
    """

    name: str
    kinds: Callable[[], dict[str, str]]
    compile_to: Callable[..., None]
    connect: Callable[[str, str | None], Any]
    commit: Callable[[], str]
    check: Callable[[Mapping[str, Any]], None]


def add(commands: Any, project: Project, started: argparse.ArgumentParser, epilog: str) -> None:
    """Add the commands to a parser's subcommands.

    Args:
        commands: the subcommands.
        project: whose pipeline is run.
        started: has the options of the commands that start runs.
        epilog: describes the parameters of the pipeline.
    """

    def command(
        work: Callable[..., int], parent: argparse.ArgumentParser, epilog: str | None = None
    ) -> argparse.ArgumentParser:
        return add_command(
            commands, work, lambda options: _carry_out(work, options, project), parent, epilog=epilog
        )

    parser = command(submit, started, epilog)
    parser.add_argument("--reason", default="by hand", help="why, for the model's lineage (%(default)s)")
    parser.add_argument(
        "--at-most-every",
        type=duration,
        metavar="TIME",
        help=f"start no run, and exit with {TOO_SOON}, if one started within this time: 90m, 6h, 1d",
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the end of the run")
    parser = command(schedule, started, epilog)
    parser.add_argument("--cron", required=True, help="five fields, or six with seconds first")
    parser.add_argument("--name", default=project.name, help="the name of the schedule (%(default)s)")
    parser.add_argument("--catch-up", action="store_true", help="make up for runs that were missed")
    parser.add_argument("--reason", default="schedule", help="why, for the model's lineage (%(default)s)")
    for work in (status, logs_of):
        known = argparse.ArgumentParser(add_help=False, parents=[_host()])
        known.add_argument("--namespace", help="the namespace")
        parser = command(work, known)
        parser.add_argument("run", nargs="?", help="the id of a run; the newest, by default")
    parser.add_argument("--step", help="the step; by default the failed ones")


def starting(
    packaging: argparse.ArgumentParser, parametric: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """Return a parser with the options of every command that starts runs."""
    parser = argparse.ArgumentParser(add_help=False, parents=[packaging, parametric, _host()])
    parser.add_argument("--pipeline-root", help="where artifacts go, such as s3://bucket/prefix")
    parser.add_argument("--service-account", help="the ServiceAccount of the pods")
    parser.add_argument("--no-cache", action="store_true", help="run every step, without the cache")
    return parser


def _host() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--host", required=True, help="the address of Kubeflow Pipelines; a token is read from KFP_TOKEN"
    )
    return parser


def _carry_out(work: Callable[..., int], options: argparse.Namespace, project: Project) -> int:
    with cluster.asking(options.host):
        return work(options, project)


def submit(options: argparse.Namespace, project: Project) -> int:
    """Start a run on a cluster, show its steps, and exit with its outcome."""
    given = parameters(options, project)
    client = project.connect(options.host, options.namespace)
    job = _job(client, options, project, f"{project.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}", given)
    if _too_soon(client, job["experiment_id"], options.at_most_every):
        return TOO_SOON
    run_id = client.run_pipeline(**job).run_id
    print(f"run {run_id} started", flush=True)
    return 0 if options.no_wait or cluster.follow(client, run_id) else 1


def too_soon(options: argparse.Namespace, project: Project) -> bool:
    """Return whether another run started too recently for `submit` to start one; prints which."""
    client = project.connect(options.host, options.namespace)
    return _too_soon(client, _experiment(client, options, project), options.at_most_every)


def _too_soon(client: Any, experiment_id: str, apart: timedelta | None) -> bool:
    run = apart and cluster.recent(client, experiment_id, apart)
    if run:
        print(f"too soon, none started: run {run.run_id} is of {run.created_at:%Y-%m-%d %H:%M:%S}Z")
    return bool(run)


def schedule(options: argparse.Namespace, project: Project) -> int:
    """Run the pipeline on a cluster on a schedule; a second call changes the schedule of that name."""
    fields = options.cron.split()
    if len(fields) not in (5, 6):
        raise CommandError(f"--cron takes five fields, or six with seconds first, not {options.cron!r}")
    given = parameters(options, project)
    client = project.connect(options.host, options.namespace)
    cron = " ".join(["0", *fields][-6:])
    job = _job(client, options, project, options.name, given)
    print(f"schedule {cluster.schedule(client, job, cron, catch_up=options.catch_up)}")
    return 0


def status(options: argparse.Namespace, project: Project) -> int:
    """List the newest runs, and the steps of one."""
    client = project.connect(options.host, options.namespace)
    runs = cluster.latest(client, _experiment(client, options, project), 10)
    for run in runs:
        reason = ((run.runtime_config and run.runtime_config.parameters) or {}).get("reason", "")
        state = (run.state or "pending").lower()
        print(f"{run.run_id}  {run.created_at:%Y-%m-%d %H:%M:%S}Z  {state:<10} {reason}")
    if not runs:
        print("there are no runs yet")
        return 0
    chosen = client.get_run(options.run or runs[0].run_id)
    print(f"\nrun {chosen.run_id}")
    for step in steps(chosen):
        print(f"{step.name:<10} {describe(step)}")
    return 0


def logs_of(options: argparse.Namespace, project: Project) -> int:
    """Print the logs of a run's failed steps."""
    client = project.connect(options.host, options.namespace)
    run_id = options.run
    if not run_id:
        newest = cluster.latest(client, _experiment(client, options, project), 1)
        if not newest:
            raise CommandError("there are no runs yet")
        run_id = newest[0].run_id
    core, namespace = messages.connect(), options.namespace or "kubeflow"
    tried = messages.attempts(core, namespace, run_id)
    chosen = [one for one in tried if (one.step == options.step if options.step else one.failed)]
    if not chosen:
        print(f"run {run_id}: {'no such pod' if options.step else 'no pod of a step failed'}")
    for one in chosen:
        print(f"--- {one.step} ({one.pod})\n{messages.log(core, namespace, one)}")
    return 0


logs_of.__name__ = "logs"


def duration(text: str) -> timedelta:
    """Read a time such as 90m, 6h or 1d.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (read := re.fullmatch(r"(\d+)([smhd])", text)) or not int(read[1]):
        raise argparse.ArgumentTypeError(f"a time is a number and s, m, h or d, such as 6h, not {text!r}")
    return timedelta(**{UNITS[read[2]]: int(read[1])})


def parameters(options: argparse.Namespace, project: Project) -> dict[str, Any]:
    """Read and check the parameters of a run.

    Raises:
        CommandError: they make no sense, or one is lacking.
    """
    given = parse(options.param, project.kinds(), options.params)
    if "registry_root" not in given:
        raise CommandError(
            "--param registry_root=URI is required: the folder of the models, such as s3://bucket/prefix"
        )
    if local_path(given["registry_root"]) is None and not given.get("tracking_uri"):
        raise CommandError(
            "--param tracking_uri=URL is needed: the address of MLflow, such as "
            "http://linear-regressor-mlflow.linear-regressor:5000"
        )
    project.check(given)
    return {"git_commit": project.commit(), "reason": options.reason, **given}


def _job(
    client: Any, options: argparse.Namespace, project: Project, name: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a run or a schedule needs: experiment, uploaded pipeline and parameters."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        project.compile_to(package, options.image, caching=not options.no_cache)
        pipeline_id, version_id = cluster.upload(client, project.name, package, options.namespace)
    return {
        "experiment_id": _experiment(client, options, project),
        "job_name": name,
        "pipeline_id": pipeline_id,
        "version_id": version_id,
        "params": dict(given),
        "pipeline_root": options.pipeline_root,
        "service_account": options.service_account,
    }


def _experiment(client: Any, options: argparse.Namespace, project: Project) -> str:
    return str(client.create_experiment(project.name, namespace=options.namespace).experiment_id)
