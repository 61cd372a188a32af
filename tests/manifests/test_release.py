"""The chart of a release installs the released images by their digests, without naming a registry."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from delivery import chart, version
from tests.manifests.rendering import KUBERNETES, ROOT

DIGESTS = {name: f"sha256:{number:064x}" for number, name in enumerate(chart.IMAGES)}
SOURCE = "https://code.example.com/team/linear-regressor"
NOTES = "### Added\n\n- A thing.\n"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged chart."""
    if not shutil.which("helm"):
        pytest.skip("LEFT OUT: helm is not on the PATH")
    folder = tmp_path_factory.mktemp("dist")
    return chart.package(ROOT, folder, "registry.example.com/team", DIGESTS, SOURCE, NOTES)


def test_every_image_is_the_released_one_by_digest(released: Path) -> None:
    on = ("storage.withoutSecret", "model.promoted", "mlflow.enabled", "canary.enabled", "rollout.enabled")
    text = _helm(
        "template",
        "prices",
        str(released),
        "--kube-version",
        KUBERNETES,
        *(f"--set={name}=true" for name in (*on, "retraining.enabled")),
    )
    images = {line.split("image: ")[1].strip('"') for line in text.splitlines() if " image: " in line}
    prefix = "registry.example.com/team/linear-regressor"
    assert images == {f"{prefix}/{name}@{digest}" for name, digest in DIGESTS.items()}


def test_the_chart_names_its_source_and_what_changed(released: Path) -> None:
    about = yaml.safe_load(_helm("show", "chart", str(released)))
    assert about["version"] == about["appVersion"] == version.current(ROOT)
    assert (about["home"], about["sources"]) == (SOURCE, [SOURCE])
    changes = yaml.safe_load(about["annotations"]["artifacthub.io/changes"])
    assert changes == [{"kind": "added", "description": "A thing."}]


def test_the_values_of_a_release_keep_their_comments(released: Path) -> None:
    ours = (ROOT / "helm/linear-regressor/values.yaml").read_text().splitlines()
    theirs = _helm("show", "values", str(released)).splitlines()
    changed = [new for old, new in zip(ours, theirs, strict=False) if old != new]
    assert len(changed) == 4
    assert all("sha256:" in line or "registry.example.com" in line for line in changed)


@pytest.mark.parametrize("digest", ["", "latest", "sha256:123"])
def test_a_release_without_a_digest_is_refused(digest: str, tmp_path: Path) -> None:
    with pytest.raises(chart.ChartError, match="the digest of the image predictor is"):
        chart.package(ROOT, tmp_path, "registry.example.com", {**DIGESTS, "predictor": digest}, SOURCE, NOTES)


def _helm(*arguments: str) -> str:
    return subprocess.run(["helm", *arguments], check=True, capture_output=True, text=True).stdout
