"""The commands for this machine: run, runs, show and serve."""

import argparse
import contextlib
import os
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfp import local

from components.operations.cli import fork_runner, history, parameters
from components.operations.cli.errors import CommandError, during
from components.operations.cli.history import RunRecord
from components.operations.cli.progress import shown
from components.operations.cli.serving import become_predictor, check_ports, port, usage
from components.operations.cli.subcommand import add_command
from components.registry.folders import local_path
from components.registry.registry import open_registry
from components.registry.signing import IMAGE
from components.runtime import pods

DEFAULT_PLACE = Path(".local")


@dataclass(frozen=True, slots=True)
class LocalProject:
    """What the commands need of a pipeline.

    Attributes:
        name: of the pipeline, and by default of its model.
        pipeline: as KFP compiled it.
        defaults: of its parameters.
        kinds: KFP's type of each parameter.
        check: raises CommandError for invalid parameters, before anything runs.
        commit: of the code.
        preloaded: the modules that its steps import.
    """

    name: str
    pipeline: Any
    defaults: Callable[[], Mapping[str, Any]]
    kinds: Callable[[], dict[str, str]]
    check: Callable[[Mapping[str, Any]], None]
    commit: Callable[[], str]
    preloaded: Sequence[str]


def add(commands: Any, project: LocalProject, parametric: argparse.ArgumentParser, epilog: str) -> None:
    """Add the commands to a parser's subcommands; ``parametric`` has the options that give parameters."""
    place, ports = _place(), _ports()
    parser = add_command(
        commands, run, lambda options: run(options, project), parametric, place, ports, epilog=epilog
    )
    parser.add_argument("--serve", action="store_true", help="serve the champion afterwards")
    add_command(commands, runs, runs, place)
    parser = add_command(commands, show, show, place)
    parser.add_argument(
        "run", nargs="?", help="the id of a run, or the number of its version; the newest, by default"
    )
    parser.add_argument("--model-name", help="the name of the run's model; any, by default")
    parser = add_command(commands, serve, serve, place, ports)
    parser.add_argument(
        "version", nargs="?", type=int, help="the number of a version; the champion, by default"
    )
    parser.add_argument(
        "--model-name", default=project.name, help="the name of the registered model (%(default)s)"
    )


def run(options: argparse.Namespace, project: LocalProject) -> int:
    """Run the pipeline on this machine; with --serve, serve the champion afterwards."""
    place = options.local.expanduser().absolute()
    given = _parameters(options, project, place)
    if options.serve:
        check_ports(options)
        if local_path(given["registry_root"]) is None:
            raise CommandError("--serve needs a registry_root on this machine")
    done = run_locally(given, place / "runs" / given["run_id"], project)
    state = {
        history.PROMOTED: "is the champion now",
        history.CHAMPION: "is the champion",
        history.REFUSED: "is registered, and not promoted",
    }[history.outcome(done)]
    print(f"\nVersion {int(done['version'])} {state}:", *done["reasons"], sep="\n  ")
    if done["warning"]:
        print(f"Warning: {done['warning']}.")
    print(f"Champion: {done['champion_uri'] or 'none'}")
    print(f"Report:   {history.index_uri(place / 'runs' / given['run_id'])}")
    if not options.serve and done["champion_uri"] and local_path(given["registry_root"]) == place:
        print(f"Serve it: {_serve_command(options, given['model_name'], project)}")
    if options.serve:
        if not done["champion_uri"]:
            raise CommandError("there is no champion to serve")
        _serve(done["champion_uri"], given["model_name"], options)
    return 0


def _serve_command(options: argparse.Namespace, name: str, project: LocalProject) -> str:
    """Return the command that serves the champion of a model."""
    words = ["python", "pipeline.py", "serve"]
    if options.local != DEFAULT_PLACE:
        words += ["--local", str(options.local)]
    if name != project.name:
        words += ["--model-name", name]
    return shlex.join(words)


def runs(options: argparse.Namespace) -> int:
    """List the runs on this machine, newest first: model, source, features, scores, decision."""
    found = history.read_all(_runs(options))
    if not found:
        print(f"there are no runs below {options.local}")
        return 0
    print(history.table(found))
    return 0


def show(options: argparse.Namespace) -> int:
    """Show one run on this machine: its parameters, scores, decision and report."""
    found = history.read_all(_runs(options))
    chosen = [
        one
        for one in found
        if options.run in (None, one.run_id, str(one.version))
        and options.model_name in (None, one.model_name)
    ]
    if not chosen:
        run = f" {options.run}" if options.run else ""
        of = f" of {options.model_name}" if options.model_name else ""
        raise CommandError(f"there is no run{run}{of} below {options.local}")
    names = sorted({one.model_name for one in chosen})
    if options.run and len(names) > 1:
        raise CommandError(
            f"{' and '.join(names)} each have a version {options.run}: name one with --model-name"
        )
    print(history.details(chosen[0], _runs(options) / chosen[0].run_id))
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve the champion, or a version, without training."""
    root = options.local.expanduser().absolute()
    with during(f"the registry in {root}"):
        registry = open_registry(root, name=options.model_name)
        version = registry.champion()
        if version is None:
            raise CommandError(f"{options.model_name} has no champion in {root}: train one with run")
        if options.version:
            version = registry.version(options.version)
    check_ports(options)
    _serve(registry.uri(version), options.model_name, options)
    return 0


def run_locally(given: Mapping[str, Any], folder: Path, project: LocalProject) -> dict[str, Any]:
    """Run the pipeline with kfp.local; returns its outputs.

    Args:
        given: the parameters.
        folder: where the artifacts, the log of the steps and the report go.
        project: whose pipeline runs.

    Raises:
        CommandError: a step failed; the message says which and why.
    """
    if not fork_runner.AVAILABLE:
        _prepare_processes(str(folder), *map(str, given.values()))
    _make(folder)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    record = RunRecord.begun({**project.defaults(), **given}, project.commit())
    started = time.monotonic()
    with (
        fork_runner.forked_steps(project.preloaded),
        (folder / "log.txt").open("w", encoding="utf-8") as log,
        shown(sys.stdout, log) as progress,
    ):
        try:
            with contextlib.redirect_stdout(log), pods.on_this_machine(project.pipeline, [IMAGE]):
                outputs = dict(project.pipeline(**given).outputs)
        except RuntimeError as error:
            why = f"{progress.step} failed. {progress.reason()}"
            history.write(record.failed(why, time.monotonic() - started), folder)
            raise CommandError(
                f"{why}\nReport: {history.index_uri(folder)}\nThe whole log: {log.name}"
            ) from error
    history.write(record.ended(outputs, time.monotonic() - started), folder)
    return outputs


def _parameters(options: argparse.Namespace, project: LocalProject, place: Path) -> dict[str, Any]:
    now = datetime.now(UTC)
    defaults = {
        "registry_root": str(place),
        "model_name": project.name,
        "run_id": f"local-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        "git_commit": project.commit(),
    }
    given = defaults | parameters.parse(options.param, project.kinds(), options.params)
    if path := local_path(given["registry_root"]):
        given["registry_root"] = str(path)
    project.check(given)
    return given


def _serve(champion: str, name: str, options: argparse.Namespace) -> None:
    print(
        f"\nServing on http://localhost:{options.port}, gRPC on {options.grpc_port}, until Ctrl-C. Call it:\n"
    )
    print(*usage(champion, name, options.port), "", sep="\n")
    become_predictor(champion, name, options.port, options.grpc_port)


def _prepare_processes(*values: str) -> None:
    """Make KFP's own runner import what is installed, and refuse what it would misread."""
    os.environ["PYTHONSAFEPATH"] = "1"
    if odd := [text for text in values if "python3" in text]:
        raise CommandError(f"kfp replaces 'python3' by its interpreter, even in {odd[0]}: rename it")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise CommandError(f"{folder} can't be created: {error.strerror}") from error


def _runs(options: argparse.Namespace) -> Path:
    return Path(options.local).expanduser().absolute() / "runs"


def _place() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--local",
        type=Path,
        default=DEFAULT_PLACE,
        metavar="DIR",
        help="the folder of the registry and the runs (%(default)s)",
    )
    return parser


def _ports() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--port", type=port, default=8080, help="the port of HTTP (%(default)s)")
    parser.add_argument("--grpc-port", type=port, default=8081, help="the port of gRPC (%(default)s)")
    return parser
