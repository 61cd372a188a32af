"""The command line in a Python without the packages."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_python_without_the_packages_says_which_one_has_them() -> None:
    command = [sys.executable, "-I", "-S", str(ROOT / "pipeline.py"), "runs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: No module named 'kfp'. "
        "Activate the environment that make install makes: . .venv/bin/activate\n"
    )
