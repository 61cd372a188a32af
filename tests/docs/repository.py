"""A Git repository for the commands of the documents."""

import shutil
import subprocess
from pathlib import Path

from delivery import version
from tests.docs.blocks import ROOT


def copy_checkout(folder: Path) -> None:
    """Copy the files that git knows."""
    for path in version.tracked(ROOT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)


def make_repository(folder: Path) -> None:
    """Commit a folder's files to a repository of its own, which can push, and sign tags."""
    remote, key = folder.with_name("remote"), folder.with_name("key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    options = {
        "user.name": "Tester",
        "user.email": "tester@example.com",
        "gpg.format": "ssh",
        "user.signingkey": f"{key}.pub",
        "push.autoSetupRemote": "true",
    }
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    commands: list[list[str]] = [
        ["init", "--quiet"],
        *(["config", name, value] for name, value in options.items()),
        ["remote", "add", "origin", str(remote)],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "Begin"],
    ]
    for command in commands:
        subprocess.run(["git", "-C", str(folder), *command], check=True)


def pushed(folder: Path, *options: str) -> str:
    """Return what git log says of the repository that a folder is pushed to."""
    command = ["git", "-C", str(folder.with_name("remote")), "log", "--all", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
