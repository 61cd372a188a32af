"""Errors of commands, and how they are printed."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """A command failed; the message says why and what to do."""


# Faults of our own code, which keep their traceback.
FAULTS = (AssertionError, AttributeError, LookupError, NameError, TypeError)

# The exit status of a shell's command that SIGPIPE ended.
CLOSED_PIPE = 141


@contextmanager
def during(work: str) -> Iterator[None]:
    """Report in one line the failure of a store, the registry or Kubeflow Pipelines.

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
    """Run the parsed command; returns the exit status. An error is printed in one line."""
    try:
        status = int(options.command(options))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, has had enough. Python would flush what is left to it at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status
