"""checkov and kube-score pass on the rendered chart, but for the checks ignored here and in .checkov.yaml."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.manifests.rendering import OVERLAYS, ROOT, chart_values, render_chart

# Each ignored check, and why.
IGNORED = {
    "container-image-pull-policy": "a release's tag never changes, so an image need not be pulled again",
    "container-ephemeral-storage-request-and-limit": "read-only, and each emptyDir has a limit",
    "pod-probes-identical": "MLflow has only one health endpoint",
    "deployment-replicas": "MLflow may be down: its database is elsewhere and predictions do not need it",
    "horizontalpodautoscaler-has-target": "KServe creates the Deployment",
    "networkpolicy-targets-pod": "KServe creates the pods",
    "ingress-targets-service": "KServe creates the Service",
    "horizontalpodautoscaler-replicas": "a canary may have one pod beside the stable pods",
    "deployment-strategy": "SQLite allows one writer, so MLflow's old pod ends before the new one starts",
    "pod-networkpolicy": "on by default; the values for development turn it off",
}


@pytest.mark.skipif(not shutil.which("kube-score"), reason="LEFT OUT: kube-score is not on the PATH")
def test_kube_score_passes(overlay: str) -> None:
    rendered = yaml.safe_dump_all(render_chart(chart_values(overlay), hooks=True))
    ignored = [option for check in IGNORED for option in ("--ignore-test", check)]
    command = ["kube-score", "score", "--output-format", "ci", "--exit-one-on-warning", *ignored, "-"]
    done = subprocess.run(command, input=rendered, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "[OK]" in done.stdout


@pytest.mark.skipif(not shutil.which("checkov"), reason="LEFT OUT: checkov is not on the PATH")
def test_checkov_passes(tmp_path: Path) -> None:
    for overlay in OVERLAYS.iterdir():
        rendered = yaml.safe_dump_all(render_chart(chart_values(overlay.name), hooks=True))
        (tmp_path / f"{overlay.name}.yaml").write_text(rendered)
    options = ["--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "--config-file"]
    command = ["checkov", "-d", str(tmp_path), *options, str(ROOT / ".checkov.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
