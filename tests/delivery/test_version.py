"""The version has one source, and every other place has the same."""

import re
from pathlib import Path

import pytest

from delivery import changelog, version
from delivery.__main__ import main


def test_every_place_has_the_version() -> None:
    version.check(version.current(version.ROOT), version.ROOT)
    found = {place.path for place in version.places(version.ROOT)}
    assert {"pyproject.toml", "Dockerfile", "compose.yaml", "helm/linear-regressor/Chart.yaml"} <= found


def test_the_newest_heading_of_the_changelog_is_the_version() -> None:
    text = (version.ROOT / "CHANGELOG.md").read_text()
    assert changelog.headings(text)[:1] in ([], [version.current(version.ROOT)])


def test_the_version_stands_nowhere_that_a_release_does_not_change(repository: Path) -> None:
    token = re.compile(rf"(?<![\w.]){re.escape(version.current(repository))}(?![\w.])")
    version.change("987.6.5", repository)
    left = [
        path
        for path in version.tracked(repository)
        if not path.startswith(("requirements/", "CHANGELOG.md", "tests/manifests/values/"))
        and token.search((repository / path).read_bytes().decode("utf-8", "replace"))
    ]
    assert left == []


def test_a_release_changes_every_place_and_the_changelog(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(version.places(repository))
    main(["--root", str(repository), "set-version", "1.2.0-rc.1"])
    after = list(version.places(repository))
    assert [place[:2] for place in after] == [place[:2] for place in before]
    assert {place.version for place in after} == {"1.2.0-rc.1"}
    text = (repository / "CHANGELOG.md").read_text()
    assert changelog.headings(text)[0] == "1.2.0-rc.1"
    assert "## Unreleased\n\n## 1.2.0-rc.1 - " in text
    capsys.readouterr()
    main(["--root", str(repository), "version", "--tag", "v1.2.0-rc.1"])
    assert capsys.readouterr().out == "1.2.0-rc.1\n"


def test_what_is_no_version_is_refused_and_nothing_is_written(repository: Path) -> None:
    text = (repository / "CHANGELOG.md").read_text()
    for wrong in ("1.2", "v1.2.3", "1.2.3.4", "1.2.3-beta", "1.2.3+build", "latest", ""):
        with pytest.raises(SystemExit):
            main(["--root", str(repository), "set-version", wrong])
    assert (repository / "CHANGELOG.md").read_text() == text
    version.check(version.current(version.ROOT), repository)


def test_a_tag_that_differs_from_a_place_is_refused_with_the_place(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--root", str(repository), "set-version", "1.2.0"])
    chart = repository / "helm/linear-regressor/Chart.yaml"
    chart.write_text(chart.read_text().replace('appVersion: "1.2.0"', 'appVersion: "1.1.0"'))
    with pytest.raises(SystemExit):
        main(["--root", str(repository), "version", "--tag", "v1.2.0"])
    assert "helm/linear-regressor/Chart.yaml:6 has 1.1.0" in capsys.readouterr().err


def test_a_tag_without_a_heading_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version.change("1.2.0", repository)
    with pytest.raises(SystemExit):
        main(["--root", str(repository), "version", "--tag", "v1.2.0"])
    assert "the newest version in CHANGELOG.md is" in capsys.readouterr().err
