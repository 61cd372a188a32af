"""What the guides say of the chart and of make exists."""

import re
from pathlib import Path

import pytest
import yaml

from helm import readme
from tests.manifests.rendering import CHART, MANIFESTS, ROOT

GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), CHART / "README.md"]
FILES = "py|json|db|csv|yaml|parquet|html"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize("guide", GUIDES, ids=lambda file: str(file.relative_to(ROOT)))
def test_values_that_a_guide_sets_exist(guide: Path) -> None:
    text = guide.read_text()
    for name in re.findall(r"--set(?:-string)? ([a-zA-Z.]+)=", text):
        readme.default(VALUES, name)
    sections = "|".join(key for key in VALUES if isinstance(VALUES[key], dict))
    for name in re.findall(
        rf"`((?:{sections})\.(?!(?:{FILES})\b)[a-zA-Z.]*[a-zA-Z])(?:=[^`]*|: [^`]*)?`",
        text,
    ):
        try:
            readme.default(VALUES, name)
        except (KeyError, TypeError):
            raise AssertionError(f"{name} is no value of the chart") from None


@pytest.mark.parametrize("guide", GUIDES, ids=lambda file: str(file.relative_to(ROOT)))
def test_targets_and_paths_that_a_guide_names_exist(guide: Path) -> None:
    text = guide.read_text()
    rules = (ROOT / "Makefile").read_text() + (ROOT / "delivery/delivery.mk").read_text()
    targets = set(re.findall(r"^([a-z0-9.-]+):", rules, re.MULTILINE))
    for command in re.findall(r"(?:`|\$ )make ([a-z][^`\n]*)", text):
        words = [word for word in command.split() if re.fullmatch(r"[a-z][a-z0-9-]*", word)]
        assert words[0] in targets, command
    for path in re.findall(r"(?<![\w/])manifests/[\w./-]*\w", text):
        assert (MANIFESTS.parent / path).exists(), path
