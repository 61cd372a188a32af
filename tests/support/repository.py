"""Git repositories to release and deploy from."""

import os
import shutil
import subprocess
from pathlib import Path

from delivery import version


def copy_checkout(folder: Path) -> None:
    """Copy the files that git knows."""
    for path in version.tracked(version.ROOT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(version.ROOT / path, folder / path)


def make_repository(folder: Path) -> None:
    """Commit a folder's files to a repository of its own, and push it to the folder ``remote`` beside it."""
    git(folder.parent, "init", "--quiet", "--bare", "remote")
    git(folder, "init", "--quiet")
    # The settings of the person who runs the tests must not count.
    configure(
        folder,
        {
            "user.name": "Tester",
            "user.email": "tester@example.com",
            "commit.gpgsign": "false",
            "core.hooksPath": os.devnull,
        },
    )
    git(folder, "remote", "add", "origin", str(folder.with_name("remote")))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    git(folder, "push", "--quiet", "--set-upstream", "origin", "HEAD")


def add_signing_key(folder: Path) -> None:
    """Let a repository sign with a key of its own."""
    key = folder.with_name("key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    configure(folder, {"gpg.format": "ssh", "user.signingkey": f"{key}.pub"})


def configure(folder: Path, options: dict[str, str]) -> None:
    """Set options of a repository."""
    for name, value in options.items():
        git(folder, "config", name, value)


def pushed(folder: Path, *options: str) -> str:
    """Return what git log says of the repository that a folder is pushed to."""
    return git(folder.with_name("remote"), "log", "--all", *options)


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; returns what it prints."""
    return subprocess.run(["git", *words], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
