"""checkov and kube-score find nothing in what is rendered but what is argued for (also in .checkov.yaml)."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.conftest import OVERLAYS, ROOT

Object = dict[str, Any]

ARGUED = {
    "container-image-pull-policy": "a release's tag is never moved: a node with the image need not ask",
    "container-ephemeral-storage-request-and-limit": "read-only, and each emptyDir has a limit",
    "pod-probes-identical": "MLflow has one endpoint that tells of its health",
    "deployment-replicas": "MLflow may be away: its store is elsewhere, no prediction waits",
    "horizontalpodautoscaler-has-target": "KServe makes the Deployment",
    "networkpolicy-targets-pod": "KServe makes the pods",
    "ingress-targets-service": "KServe makes the Service",
    "horizontalpodautoscaler-replicas": "a canary may have one pod: the stable ones are there",
    "deployment-strategy": "SQLite has one writer: MLflow's old pod ends before the new one begins",
    "pod-networkpolicy": "on by default, and left out by the values for development",
}


@pytest.mark.skipif(not shutil.which("kube-score"), reason="LEFT OUT: kube-score is not on the PATH")
def test_kube_score_finds_nothing_that_is_not_argued_for(
    overlay: str, helm: Callable[..., list[Object]], values_of: Callable[[str], Path]
) -> None:
    rendered = yaml.safe_dump_all(helm(values_of(overlay), hooks=True))
    ignored = [option for check in ARGUED for option in ("--ignore-test", check)]
    command = ["kube-score", "score", "--output-format", "ci", "--exit-one-on-warning", *ignored, "-"]
    done = subprocess.run(command, input=rendered, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "[OK]" in done.stdout


@pytest.mark.skipif(not shutil.which("checkov"), reason="LEFT OUT: checkov is not on the PATH")
def test_checkov_finds_nothing_that_is_not_argued_for(
    tmp_path: Path, helm: Callable[..., list[Object]], values_of: Callable[[str], Path]
) -> None:
    for overlay in OVERLAYS.iterdir():
        rendered = yaml.safe_dump_all(helm(values_of(overlay.name), hooks=True))
        (tmp_path / f"{overlay.name}.yaml").write_text(rendered)
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
