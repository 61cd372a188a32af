"""The sections of CHANGELOG.md."""

import pytest

from delivery import changelog, chart

TEXT = """# Changelog

## Unreleased

### Added

- One thing,
  over two lines.

### Fixed

- Another.

## 1.0.0 - 2026-01-31

- The first.
"""


def test_notes_are_what_is_below_a_heading() -> None:
    assert changelog.notes(TEXT, "1.0.0") == "- The first.\n"
    assert changelog.notes(TEXT, "Unreleased").startswith("### Added\n\n- One thing,")


def test_a_release_moves_what_is_unreleased_below_its_heading() -> None:
    released = changelog.release(TEXT, "1.1.0", "2026-02-28")
    assert changelog.headings(released) == ["1.1.0", "1.0.0"]
    assert changelog.notes(released, "1.1.0") == changelog.notes(TEXT, "Unreleased")
    assert changelog.notes(released, "1.0.0") == "- The first.\n"


def test_a_release_of_nothing_or_of_a_released_version_is_refused() -> None:
    released = changelog.release(TEXT, "1.1.0", "2026-02-28")
    with pytest.raises(changelog.ChangelogError, match="nothing below the heading Unreleased"):
        changelog.release(released, "1.2.0", "2026-03-31")
    with pytest.raises(changelog.ChangelogError, match=r"has a heading of version 1\.0\.0 already"):
        changelog.release(TEXT, "1.0.0", "2026-03-31")


def test_artifact_hub_gets_each_entry_with_its_kind() -> None:
    assert chart.changes(changelog.notes(TEXT, "Unreleased")) == (
        '[{"kind": "added", "description": "One thing, over two lines."}, '
        '{"kind": "fixed", "description": "Another."}]'
    )
