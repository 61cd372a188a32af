"""Makes a command of a function, by its name and the first line of its docstring."""

import argparse
from collections.abc import Callable
from typing import Any


def add_command(
    commands: Any,
    work: Callable[..., Any],
    call: Callable[[argparse.Namespace], int],
    *parents: argparse.ArgumentParser,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command to a parser's subcommands.

    Args:
        commands: the subcommands.
        work: what is done, after which the command is named and described.
        call: does it with the options; returns the exit status.
        parents: hold the options that it shares with others.
        epilog: is printed as it is below the options; by default nothing is.
    """
    summary = str(work.__doc__).splitlines()[0]
    parser: argparse.ArgumentParser = commands.add_parser(
        work.__name__.removesuffix("_command"), parents=parents, help=summary
    )
    parser.set_defaults(command=call)
    if epilog is not None:
        parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, epilog
    return parser
