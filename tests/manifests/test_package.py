"""The chart passes ``helm lint --strict``, and its package has what a registry of charts shows."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.manifests.rendering import CHART, KUBERNETES, REQUIRED, chart_values, merged

pytestmark = pytest.mark.skipif(not shutil.which("helm"), reason="LEFT OUT: helm is not on the PATH")


def helm(*arguments: str, values: object = None) -> str:
    """Run helm, which has to succeed; returns its output."""
    done = subprocess.run(
        ["helm", *arguments], input=json.dumps(values), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lint_finds_nothing(overlay: str) -> None:
    values = merged(REQUIRED, chart_values(overlay))
    helm("lint", "--strict", str(CHART), "--kube-version", KUBERNETES, "-f", "-", values=values)


def test_package_has_readme_and_schema_and_no_values_for_tests(tmp_path: Path) -> None:
    helm("package", str(CHART), "--destination", str(tmp_path))
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {
        "README.md",
        "values.schema.json",
        "files/dashboards/service.json",
        "templates/NOTES.txt",
    } <= names
    assert not [name for name in names if name.startswith("ci/")]
