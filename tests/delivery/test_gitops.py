"""A release is written into the files that Argo CD and Flux follow."""

import shutil
from pathlib import Path

import pytest
import yaml

from delivery import version
from delivery.__main__ import main

EXAMPLES = version.ROOT / "manifests" / "gitops"


@pytest.mark.parametrize("name", ["argocd.yaml", "flux.yaml"])
def test_the_release_is_written_and_nothing_else_is_changed(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    shutil.copyfile(EXAMPLES / name, file)
    main(["gitops", "99.0.0", str(file)])
    before, after = (EXAMPLES / name).read_text().splitlines(), file.read_text().splitlines()
    changed = [new.strip() for old, new in zip(before, after, strict=True) if old != new]
    assert changed in (["targetRevision: 99.0.0"], ["tag: 99.0.0"])
    assert all(document["kind"] for document in yaml.safe_load_all(file.read_text()))


@pytest.mark.parametrize(("content", "release"), [("tag: latest\n", "99.0.0"), ("tag: 1.0.0\n", "latest")])
def test_a_file_without_a_release_and_what_is_none_are_refused(
    content: str, release: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(content)
    with pytest.raises(SystemExit):
        main(["gitops", release, str(file)])
    assert file.read_text() == content
    assert "ERROR: " in capsys.readouterr().err
