"""The command that writes the cards of a version."""

import argparse
from pathlib import Path
from typing import Any

from components.operations.cli.errors import CommandError
from components.operations.cli.registered import add_options, open_named
from components.operations.cli.subcommand import add_command

MODEL_CARD = "MODEL_CARD.md"
DATA_CARD = "DATA_CARD.md"


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = add_command(commands, card, card)
    add_options(parser, root=".local")
    parser.add_argument(
        "version", nargs="?", type=int, help="the number of a version; the champion, by default"
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write the cards to files there")


def card(options: argparse.Namespace) -> int:
    """Write a model card and a data card of the champion, or of a version."""
    from components.registry.decision import Decision
    from components.registry.folders import FolderError
    from components.registry.registry import RegistryError
    from components.reports.cards import Subject, data_card, model_card

    registry = open_named(options)
    champion = registry.champion()
    try:
        version = champion if options.version is None else registry.version(options.version)
        if version is None:
            raise CommandError(
                f"{options.model_name} has no champion in {options.registry_root}; name a version"
            )
        entry = registry.entry(version)
    except (RegistryError, FolderError) as error:
        raise CommandError(str(error)) from error
    status = "champion" if champion and champion.number == version.number else "not the champion"
    if version.withdrawn:
        status = f"withdrawn: {version.withdrawn}"
    decision = version.tags.get("decision")
    subject = Subject(
        name=options.model_name,
        version=version.number,
        status=status,
        created=version.created,
        digest=entry.digest,
        model=entry.model,
        tags=version.tags,
        reasons=Decision.from_json(decision).reasons if decision else (),
    )
    written = {MODEL_CARD: model_card(subject), DATA_CARD: data_card(subject)}
    if options.to is None:
        print("\n".join(written.values()), end="")
        return 0
    options.to.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (options.to / name).write_text(text, encoding="utf-8")
        print(f"wrote {options.to / name}")
    return 0
