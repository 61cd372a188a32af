"""The chart passes ``helm lint --strict``, and its package has what a registry of charts shows."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.rendering import CHART, KUBERNETES, REQUIRED, ROOT, chart_values, merged

HOMEPAGE = "https://git.example.com/team/prices"
pytestmark = pytest.mark.skipif(
    not (shutil.which("helm") and shutil.which("make")), reason="LEFT OUT: helm or make is not on the PATH"
)


def package(folder: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    """Package the chart into a folder."""
    command = ("make", "-s", "-C", str(ROOT), "chart", f"CHARTS={folder}", *settings)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_lint_finds_nothing(overlay: str) -> None:
    values = json.dumps(merged(REQUIRED, chart_values(overlay)))
    command = ("helm", "lint", "--strict", str(CHART), "--kube-version", KUBERNETES, "-f", "-")
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_names_its_publisher_and_has_readme_and_schema(tmp_path: Path) -> None:
    done = package(tmp_path, f"HOMEPAGE={HOMEPAGE}")
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
        content = files.extractfile("linear-regressor/Chart.yaml")
        assert content
        about: dict[str, Any] = yaml.safe_load(content)
    assert {"README.md", "values.schema.json", "files/dashboard.json", "templates/NOTES.txt"} <= names
    assert not [name for name in names if name.startswith("ci/")]
    assert (about["home"], about["sources"]) == (HOMEPAGE, [HOMEPAGE])
    assert about["icon"].startswith("data:image/svg+xml;base64,")
    assert about["maintainers"]
    assert about["annotations"]["artifacthub.io/license"] == "Apache-2.0"


def test_package_without_a_homepage_is_refused(tmp_path: Path) -> None:
    done = package(tmp_path, "HOMEPAGE=")
    assert done.returncode != 0
    assert "HOMEPAGE is not set" in done.stderr
    assert not list(tmp_path.iterdir())
