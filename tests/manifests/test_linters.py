"""checkov finds nothing in what is rendered but what `.checkov.yaml` and annotations argue for."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.conftest import ROOT

Object = dict[str, Any]


@pytest.mark.skipif(not shutil.which("checkov"), reason="LEFT OUT: checkov is not on the PATH")
def test_checkov_finds_nothing_that_is_not_argued_for(
    tmp_path: Path, helm: Callable[..., list[Object]], values_of: Callable[[str], Path]
) -> None:
    (tmp_path / "rendered.yaml").write_text(yaml.safe_dump_all(helm(values_of("production"), hooks=True)))
    command = [
        "checkov",
        "-d",
        str(tmp_path),
        "--framework",
        "kubernetes",
        "--skip-download",
        "--compact",
        "--quiet",
    ]
    done = subprocess.run(
        [*command, "--config-file", str(ROOT / ".checkov.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
