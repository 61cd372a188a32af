"""CHANGELOG.md in the format of Keep a Changelog: a release's heading and its notes."""

import re

UNRELEASED = "Unreleased"
_HEADING = re.compile(r"^## (?P<name>\S+)(?: - (?P<date>\d{4}-\d\d-\d\d))?$", re.MULTILINE)


class ChangelogError(Exception):
    """A changelog that does not say what it has to."""


def notes(text: str, name: str) -> str:
    """Return what the section of a version, or of what is unreleased, says.

    Raises:
        ChangelogError: there is no such section, or it is empty.
    """
    headings = list(_HEADING.finditer(text))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading["name"] == name:
            section = text[heading.end() : following.start() if following else None].strip()
            if not section:
                raise ChangelogError(f"CHANGELOG.md says nothing below the heading {name}")
            return section + "\n"
    raise ChangelogError(f"CHANGELOG.md has no heading: ## {name}")


def release(text: str, version: str, date: str) -> str:
    """Return the changelog with what is unreleased below the heading of a version, dated like 2026-01-31.

    Raises:
        ChangelogError: nothing is unreleased.
    """
    added = notes(text, UNRELEASED)
    if any(heading["name"] == version for heading in _HEADING.finditer(text)):
        raise ChangelogError(f"CHANGELOG.md has a heading of version {version} already")
    return text.replace(
        f"## {UNRELEASED}\n\n{added}", f"## {UNRELEASED}\n\n## {version} - {date}\n\n{added}", 1
    )


def headings(text: str) -> list[str]:
    """Return the versions that have a section, the newest first."""
    return [heading["name"] for heading in _HEADING.finditer(text) if heading["name"] != UNRELEASED]
