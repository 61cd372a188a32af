"""What a command ends with when it can't be carried out."""

import argparse
import sys


class CommandError(Exception):
    """A command that can't be carried out; the message says why and what to do."""


def carry_out(options: argparse.Namespace) -> int:
    """Carry out the command that was parsed; returns the exit status, and tells an error in one line."""
    try:
        return int(options.command(options))
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
