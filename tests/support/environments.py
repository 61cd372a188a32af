"""Python environments made from the locks in requirements/."""

import shutil
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).parents[2] / "requirements"


def install_lock(name: str, place: Path) -> Path:
    """Make an environment of a lock's packages alone, and return its interpreter."""
    python = place / "bin" / "python"
    packages = ("--quiet", "--require-hashes", "-r", str(LOCKS / f"{name}.txt"))
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        _run(uv, "venv", "--quiet", "--no-python-downloads", "--python", sys.executable, str(place))
        _run(uv, "pip", "install", "--python", str(python), *packages)
    else:
        _run(sys.executable, "-m", "venv", str(place))
        _run(str(python), "-m", "pip", "install", *packages)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def check_lock_with_pip(name: str, place: Path) -> None:
    """Have pip resolve a lock as the Dockerfile does, without installing anything.

    Raises:
        CalledProcessError: pip refuses the lock, for example because it names a package without the extra
            that another package asks for.
    """
    options = ("--quiet", "--dry-run", "--ignore-installed", "--target", str(place), "--require-hashes")
    _run(sys.executable, "-m", "pip", "install", *options, "-r", str(LOCKS / f"{name}.txt"))
