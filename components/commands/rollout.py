"""The commands that bring the registry's champion to what is served, and back.

``python -m components.commands.rollout`` knows them without the rest of pipeline.py, which takes seconds to
import.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.commands.errors import CommandError, carry_out
from components.commands.registered import NAME, add_options, open_named

if TYPE_CHECKING:
    from components.rollout.policy import Policy
    from components.rollout.site import Site


def add(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    site = argparse.ArgumentParser(add_help=False)
    site.add_argument("--namespace", default=NAME, help="of the InferenceService (%(default)s)")
    site.add_argument("--name", default=NAME, help="of the InferenceService (%(default)s)")
    add_options(site)
    site.add_argument(
        "--policy", type=Path, metavar="FILE", help="JSON: the canary's steps, and what it has to show"
    )
    for command in (promote, canary, rollback, reconcile):
        parser = commands.add_parser(
            command.__name__, parents=[site], help=str(command.__doc__).splitlines()[0]
        )
        parser.set_defaults(command=lambda options, command=command: _guarded(command, options))
        if command is rollback:
            parser.add_argument("--to", type=int, metavar="VERSION", help="the champion before, by default")
            parser.add_argument("--reason", default="by hand", help="for the registry (%(default)s)")
        if command is reconcile:
            parser.add_argument(
                "--without-canary", action="store_true", help="serve a new champion to all at once"
            )


def promote(options: argparse.Namespace) -> int:
    """Have the registry's champion served by every pod, without a canary."""
    from components.rollout.promote import promote as do

    site, policy = _site(options)
    if site.lease.owner() == "git":
        return _differs(options, site)
    print(f"every pod serves {do(site, policy.ready_seconds)}")
    return 0


def canary(options: argparse.Namespace) -> int:
    """Give the registry's champion a growing share of the requests, watched; roll it back, or promote it."""
    from components.rollout.canary import canary as do

    site, policy = _site(options)
    if site.lease.owner() == "git":
        return _differs(options, site)
    print(f"every pod serves {do(site, policy)}")
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Put back an earlier version; no later run undoes it."""
    from components.rollout.promote import earlier
    from components.rollout.promote import rollback as do

    site, policy = _site(options)
    if site.lease.owner() == "git":
        site.registry.restore(earlier(site, options.to), options.reason)
        return _differs(options, site)
    print(f"every pod serves {do(site, options.to, options.reason, policy.ready_seconds)}")
    return 0


def reconcile(options: argparse.Namespace) -> int:
    """Compare what is served with the registry's champion, and repair it."""
    from components.rollout.errors import BusyError
    from components.rollout.reconcile import reconcile as do

    site, policy = _site(options)
    if site.lease.owner() == "git":
        return _differs(options, site)
    try:
        print(f"every pod serves {do(site, None if options.without_canary else policy)}")
    except BusyError as error:
        print(f"nothing to do now: {error}")
    return 0


def _differs(options: argparse.Namespace, site: "Site") -> int:
    """Where Git is the owner nothing is changed: what a commit would have to change is printed."""
    from components.rollout.git import difference
    from components.rollout.reconcile import differences

    release = site.champion()
    found = differences(site, release)
    if not found:
        print(f"every pod serves {release}")
        return 0
    print(*found, sep="\n")
    print("Git says here what is served, and nothing was changed. A commit would have to:\n")
    print(difference(options.name, site.stable.wanted(), release), end="")
    return 1


def _guarded(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Carry it out; being told to end takes the canary's weight back on the way."""
    from components.rollout.errors import RolloutError

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        return command(options)
    except RolloutError as error:
        raise CommandError(str(error)) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def _site(options: argparse.Namespace) -> tuple["Site", "Policy"]:
    from components.rollout import policy as policies
    from components.rollout.api import connect
    from components.rollout.clock import Clock
    from components.rollout.journal import Journal
    from components.rollout.lease import Lease
    from components.rollout.pods import Direct, ThroughApi
    from components.rollout.predictor import Predictor
    from components.rollout.probes import Prober
    from components.rollout.routes import Routes
    from components.rollout.site import Site

    try:
        policy = policies.read(options.policy) if options.policy else policies.Policy()
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
    registry = open_named(options)
    api, clock = connect(), Clock()
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
