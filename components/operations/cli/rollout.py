"""The commands promote, canary, rollback and reconcile.

``python -m components.operations.cli.rollout`` has them without the rest of pipeline.py, whose imports take
seconds.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.operations.cli.errors import CommandError, carry_out
from components.operations.cli.registered import NAME, add_options, open_named
from components.operations.cli.subcommand import add_command

if TYPE_CHECKING:
    from components.operations.rollout.clock import Clock
    from components.operations.rollout.policy import Policy
    from components.operations.rollout.release import Release
    from components.operations.rollout.site import Site


def add(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    site = argparse.ArgumentParser(add_help=False)
    site.add_argument("--namespace", default=NAME, help="the namespace of the InferenceService (%(default)s)")
    site.add_argument("--name", default=NAME, help="the name of the InferenceService (%(default)s)")
    add_options(site)
    site.add_argument(
        "--policy", type=Path, metavar="FILE", help="a JSON file with the canary's steps and limits"
    )
    site.add_argument(
        "--file",
        type=Path,
        help="if Git is the owner: the file of values or the patch whose change is printed",
    )
    for command in (promote, canary, rollback, reconcile):
        parser = add_command(commands, command, partial(_carry_out, command), site)
        if command is rollback:
            parser.add_argument(
                "--to",
                type=int,
                metavar="VERSION",
                help="the version to go back to; the previous champion, by default",
            )
            parser.add_argument("--reason", default="by hand", help="why, for the registry (%(default)s)")
        if command is reconcile:
            parser.add_argument(
                "--without-canary", action="store_true", help="serve a new champion on all pods at once"
            )
            parser.add_argument(
                "--wait",
                type=float,
                default=0.0,
                metavar="SECONDS",
                help="wait for so long while another rollout is in progress (%(default)g)",
            )


def promote(_: argparse.Namespace, site: "Site", policy: "Policy") -> "Release":
    """Serve the registry's champion from every pod, without a canary."""
    from components.operations.rollout.promote import promote as do

    return do(site, policy.ready_seconds)


def canary(_: argparse.Namespace, site: "Site", policy: "Policy") -> "Release":
    """Send the registry's champion a growing share of the requests; promote it, or roll it back."""
    from components.operations.rollout.canary import canary as do

    return do(site, policy)


def rollback(options: argparse.Namespace, site: "Site", policy: "Policy") -> "Release":
    """Serve an earlier version, or on one machine make it the champion; no later run undoes it."""
    from components.operations.rollout.promote import rollback as do

    return do(site, options.to, options.reason, policy.ready_seconds)


def reconcile(options: argparse.Namespace, site: "Site", policy: "Policy") -> "Release":
    """Compare what is served with the registry's champion, and repair what differs."""
    from components.operations.rollout.reconcile import reconcile as do

    return do(site, None if options.without_canary else policy, options.wait)


def _carry_out(
    command: Callable[[argparse.Namespace, "Site", "Policy"], "Release"], options: argparse.Namespace
) -> int:
    """Run a command if the job is the owner; if Git is, print what a commit has to change."""
    from components.operations.rollout.clock import Clock
    from components.operations.rollout.errors import BusyError, RolloutError
    from components.operations.rollout.promote import earlier

    clock = Clock()
    with _ended_by_signals(clock):
        try:
            if command is rollback and _on_this_machine(options):
                return _rollback_here(options)
            site, policy = _site(options, clock)
            if site.lease.owner() == "job":
                print(f"every pod serves {command(options, site, policy)}")
                return 0
            if command is rollback:
                site.registry.restore(earlier(site.registry, options.to), options.reason)
            return _propose(options, site)
        except BusyError as error:
            if command is not reconcile:
                raise CommandError(str(error)) from error
            print(f"nothing to do now: {error}")
            return 0
        except RolloutError as error:
            raise CommandError(str(error)) from error


def _on_this_machine(options: argparse.Namespace) -> bool:
    """Return whether no cluster can serve the models, because they are in a folder of this machine."""
    from components.registry.folders import local_path

    return local_path(options.registry_root) is not None and "KUBERNETES_SERVICE_HOST" not in os.environ


def _rollback_here(options: argparse.Namespace) -> int:
    """Make an earlier version the champion, with which later runs are compared; `serve` serves it.

    Raises:
        RolloutError: there is no such version.
    """
    from components.operations.rollout.promote import earlier

    registry = open_named(options)
    version = earlier(registry, options.to)
    registry.restore(version, options.reason)
    print(f"version {version} is the champion now. A server that runs is not changed: start `serve` again")
    return 0


def _propose(options: argparse.Namespace, site: "Site") -> int:
    """Print the diff on the standard output, and nothing else, for ``git apply``."""
    from components.operations.rollout.git import difference, example
    from components.operations.rollout.reconcile import differences

    release = site.champion()
    found = differences(site, release)
    if not found:
        print(f"every pod serves {release}", file=sys.stderr)
        return 0
    print(*found, sep="\n", file=sys.stderr)
    print("Git owns the version, so nothing was changed. Commit this:", file=sys.stderr, flush=True)
    try:
        if options.file:
            print(difference(str(options.file), options.file.read_text(encoding="utf-8"), release), end="")
        else:
            print(example(site.stable.wanted(), release), end="")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(str(error)) from error
    return 1


@contextmanager
def _ended_by_signals(clock: "Clock") -> Iterator[None]:
    """Stop the job at its next pause on SIGTERM and SIGINT, so that it removes the canary's weight.

    A second signal ends the process at once.
    """

    def end(number: int, _: object) -> None:
        clock.end()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _site(options: argparse.Namespace, clock: "Clock") -> tuple["Site", "Policy"]:
    from components.operations.rollout import policy as policies
    from components.operations.rollout.api import connect
    from components.operations.rollout.journal import Journal
    from components.operations.rollout.lease import Lease
    from components.operations.rollout.pods import Direct, ThroughApi
    from components.operations.rollout.predictor import Predictor
    from components.operations.rollout.probes import Prober
    from components.operations.rollout.routes import Routes
    from components.operations.rollout.site import Site

    try:
        policy = policies.read(options.policy) if options.policy else policies.Policy()
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
    registry = open_named(options)
    api = connect()
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    reach = (
        Direct(os.environ.get("ROLLOUT_AUTHORIZATION", "")) if inside else ThroughApi(api, options.namespace)
    )
    second = f"{options.name}-canary"
    lease = Lease(api, options.namespace, options.name, clock)
    site = Site(
        stable=Predictor(api, reach, options.namespace, options.name),
        canary=Predictor(api, reach, options.namespace, second),
        routes=Routes(api, options.namespace, options.name, second),
        lease=lease,
        registry=registry,
        journal=Journal(api, options.namespace, options.name, registry, lease.identity),
        prober=Prober(reach, policy.rate),
        clock=clock,
    )
    return site, policy


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="rollout", description=__doc__)
    add(parser.add_subparsers(required=True, metavar="COMMAND"))
    return carry_out(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
