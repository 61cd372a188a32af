"""What a command ends with when it can't be carried out."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """A command that can't be carried out; the message says why and what to do."""


# What says that our own code is wrong: it keeps its traceback.
FAULTS = (AssertionError, AttributeError, LookupError, NameError, TypeError)


@contextmanager
def during(work: str) -> Iterator[None]:
    """Tell in one line what failed outside: a store, the registry or Kubeflow Pipelines.

    The clients of each, and of each kind of store, have errors of their own, which no class unites.

    Args:
        work: what the command is at; the message begins with it.

    Raises:
        CommandError: it failed.
    """
    try:
        yield
    except (CommandError, *FAULTS):
        raise
    except Exception as error:
        raise CommandError(f"{work}: {type(error).__name__}: {' '.join(str(error).split())}") from error


def carry_out(options: argparse.Namespace) -> int:
    """Carry out the command that was parsed; returns the exit status, and tells an error in one line."""
    try:
        return int(options.command(options))
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
