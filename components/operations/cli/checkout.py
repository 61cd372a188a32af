"""Names the commit of a checkout, for the lineage of what its code makes."""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path


def commit(checkout: Path, code: Sequence[str]) -> str:
    """Return the commit of a checkout, with ``-dirty`` if its code is not that of the commit.

    Args:
        checkout: its folder.
        code: what the code consists of, relative to it. A new file there is a change, too.

    Returns:
        Empty outside of a checkout, and where git is not installed.
    """
    if not (checkout / ".git").exists():
        return ""
    found = _git(checkout, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    if found and not found.endswith("-dirty") and _git(checkout, "status", "--porcelain", "--", *code):
        return f"{found}-dirty"
    return found


def _git(checkout: Path, *words: str) -> str:
    with contextlib.suppress(OSError):
        command = ["git", "-C", str(checkout), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return ""
