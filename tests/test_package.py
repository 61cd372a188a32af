"""What the distribution holds, and that each of its extras works alone."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.executable)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("dist")
    for builder in (SdistBuilder, WheelBuilder):
        list(builder(str(ROOT)).build(directory=str(folder), versions=["standard"]))
    return folder


def test_the_wheel_holds_the_code_and_the_pages_and_two_commands(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (scripts,) = [name for name in names if name.endswith("entry_points.txt")]
        commands = archive.read(scripts).decode()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
        "components",
        "pipeline.py",
        "predictor",
    }
    assert "predictor/web/assets/page.html" in names
    assert "linear-regressor = pipeline:main" in commands
    assert "linear-regressor-predictor = predictor.__main__:main" in commands


def test_the_sdist_holds_no_files_of_the_continuous_integration(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1].split("/")[0] for name in archive.getnames() if "/" in name}
    assert {"components", "predictor", "helm", "manifests", "docs", "tests", "LICENSE"} <= names
    assert not names & {".ci", ".github", ".venv", ".local"}


@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("extra", "command", "absent"),
    [
        ("pipeline", ["linear-regressor", "compile", "-o", "pipeline.yaml"], "kserve"),
        ("predictor", ["linear-regressor-predictor", "--help"], "kfp"),
    ],
)
def test_an_extra_works_alone(
    built: Path, tmp_path: Path, extra: str, command: list[str], absent: str
) -> None:
    (wheel,) = built.glob("*.whl")
    uv = shutil.which("uv") or shutil.which("uv", path=str(PYTHON.parent))
    if uv is None:
        pytest.skip("uv is not installed")
    place = tmp_path / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", str(PYTHON), str(place)], check=True)
    python = place / "bin" / "python"
    lock = ROOT / "requirements" / f"{extra}.txt"
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*install, "-c", str(lock), f"{wheel}[{extra}]"], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(place / "bin" / command[0]), *command[1:]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = subprocess.run([str(python), "-c", f"import {absent}"], capture_output=True, check=False)
    assert found.returncode == 1
