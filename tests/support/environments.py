"""Python environments made from the locks in requirements/."""

import shutil
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).parents[2] / "requirements"


def install_lock(name: str, place: Path) -> Path:
    """Make an environment of a lock's packages alone, and return its interpreter."""
    python = place / "bin" / "python"
    packages = ("--quiet", "--require-hashes", "--no-deps", "-r", str(LOCKS / f"{name}.txt"))
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
