"""The blocks of code and of commands in the documents."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.tools import stage

ROOT = Path(__file__).parents[2]
SHELL = ("console", "bash", "sh")
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its document, the heading above it, its language and its text."""

    document: str
    section: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a block, and what the document says it prints; None if that is left out."""

    block: Block
    text: str
    output: str

    def __str__(self) -> str:
        return f"{self.block.document}: {self.text[:60]}"


def blocks() -> Iterator[Block]:
    """Yield the blocks of all documents."""
    for document in sorted(stage.pages()):
        if document.endswith(".md"):
            text = (ROOT / document).read_text(encoding="utf-8")
            for match in _BLOCK.finditer(text):
                headings = re.findall(r"^#+ (.+)$", text[: match.start()], re.MULTILINE)
                yield Block(document, headings[-1], match["language"], textwrap.dedent(match["text"]))


def commands() -> Iterator[Command]:
    """Yield the commands of all blocks for a shell."""
    for block in blocks():
        if block.language in SHELL:
            yield from _split(block)


def _split(block: Block) -> Iterator[Command]:
    """Split a block into commands: in ``console`` they begin with a dollar, else every line is one."""
    command, output = "", []
    for line in block.text.splitlines():
        if command and _incomplete(command):
            command += f"\n{line}"
        elif block.language == "console" and not line.startswith("$ "):
            output.append(line)
        elif line and not line.startswith("#"):
            if command:
                yield Command(block, command, "\n".join(output))
            command, output = line.removeprefix("$ "), []
    if command:
        yield Command(block, command, "\n".join(output))


def _incomplete(command: str) -> bool:
    if command.rstrip().endswith(("\\", "|")) or ("<<EOF" in command and not command.endswith("\nEOF")):
        return True
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False
