"""The diff that changes the served version in Git, applied by Git."""

import subprocess
from pathlib import Path

import pytest

from components.operations.rollout.errors import RolloutError
from components.operations.rollout.git import difference, example, rewrite
from components.operations.rollout.release import Release

ROOT = Path(__file__).parents[4]
BEFORE = Release("1", "a" * 64, "s3://models/linear-regressor/1/")
OTHER = "metadata: {annotations: {linear-regressor/model-version: '1'}}\n---\nspec: {predictor: {"
AFTER = Release("2", "b" * 64, "s3://models/linear-regressor/2/")


@pytest.mark.parametrize("name", ["helm/linear-regressor/values.yaml", "manifests/version.yaml"])
def test_git_applies_the_diff_and_the_rest_of_the_file_stays(name: str, tmp_path: Path) -> None:
    text = (ROOT / name).read_text()
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    subprocess.run(
        ["git", "apply", "-"], cwd=tmp_path, input=difference(name, text, AFTER), text=True, check=True
    )
    changed = file.read_text()
    assert changed == rewrite(name, text, AFTER)
    assert AFTER.uri in changed
    lines = list(zip(text.splitlines(), changed.splitlines(), strict=True))
    assert len([1 for old, new in lines if old != new]) == 2
    assert not difference(name, changed, AFTER)


def test_without_a_file_shows_helm_values_and_an_inference_service(tmp_path: Path) -> None:
    shown = example(BEFORE, AFTER)
    for line in ('-  version: "1"', '+  version: "2"', f"+      storageUri: {AFTER.uri}"):
        assert line in shown.splitlines()
    assert f'+    linear-regressor/model-digest: "{AFTER.digest}"' in shown.splitlines()
    assert f"+  storageUri: {AFTER.uri}" not in example(AFTER, AFTER)
    assert '-  version: ""' in example(None, AFTER).splitlines()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model: {storageUri: s3://b/1/, version: '1'}", 'model: {storageUri: s3://b/2/, version: "2"}'),
        ("model:\n  storageUri:\n  name: x\n", 'model:\n  storageUri: "s3://b/2/"\n  name: x\n'),
        ("model:\n  storageUri: ''\n", 'model:\n  storageUri: "s3://b/2/"\n'),
        ("model:\n  storageUri: s3://b/1/  # here", "model:\n  storageUri: s3://b/2/  # here"),
        (
            OTHER + "model: {storageUri: s3://b/1/}}}\n",
            OTHER + "model: {storageUri: s3://b/2/}}}\n",
        ),
        (
            "model: {storageUri: s3://b/1/}\ncanary: {storageUri: s3://b/1/, version: '1'}\n",
            "model: {storageUri: s3://b/2/}\ncanary: {storageUri: s3://b/1/, version: '1'}\n",
        ),
    ],
)
def test_replaces_only_the_version_and_its_uri(old: str, new: str) -> None:
    assert rewrite("file", old, Release("2", "d", "s3://b/2/")) == new


def test_git_applies_the_diff_of_a_file_without_a_final_newline(tmp_path: Path) -> None:
    text = "model:\n  storageUri: s3://b/1/"
    (tmp_path / "values.yaml").write_text(text)
    change = difference("values.yaml", text, Release("2", "d", "s3://b/2/"))
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=change, text=True, check=True)
    assert (tmp_path / "values.yaml").read_text() == "model:\n  storageUri: s3://b/2/"


@pytest.mark.parametrize(
    "text", ["", "replicas: 2\n", "model: here\n", "- storageUri: x\n", "model: {version: '1'}\n"]
)
def test_refuses_a_file_that_names_no_version(text: str) -> None:
    with pytest.raises(RolloutError, match=r"deploy.yaml has neither model.storageUri nor"):
        difference("deploy.yaml", text, AFTER)


def test_refuses_a_file_that_is_not_yaml() -> None:
    with pytest.raises(RolloutError, match=r"deploy.yaml is not valid YAML"):
        difference("deploy.yaml", "model: {", AFTER)
