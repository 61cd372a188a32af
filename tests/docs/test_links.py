"""Links and paths in the documents lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.tools import stage

ROOT = Path(__file__).parents[2]
GUIDES = sorted({ROOT / path for path in stage.pages() if path.endswith(".md")} | set(ROOT.glob("*.md")))
PACKAGES = (ROOT, ROOT / "predictor", ROOT / "components", ROOT / "helm" / "linear-regressor")
FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)

every_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda file: str(file.relative_to(ROOT)))


def anchors(guide: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub forms them."""
    text = FENCED.sub("", guide.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(next(name for name in numbered(slug) if name not in found))
    return found


def numbered(slug: str) -> Iterator[str]:
    """Yield the anchors of the first, second, ... heading with the same words."""
    yield slug
    number = 1
    while True:
        yield f"{slug}-{number}"
        number += 1


def links(guide: Path) -> list[str]:
    """Return the targets of a document's links into the repository."""
    text = FENCED.sub("", guide.read_text(encoding="utf-8"))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


@every_guide
def test_links_and_anchors_of_a_document_resolve(guide: Path) -> None:
    for target in links(guide):
        path, _, anchor = target.partition("#")
        file = (guide.parent / path).resolve() if path else guide
        assert file.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


@every_guide
def test_python_files_that_a_document_names_exist(guide: Path) -> None:
    text = FENCED.sub("", guide.read_text(encoding="utf-8"))
    for path in re.findall(r"`([\w./-]+/[\w-]+\.py)(?:::\w+)?`", text):
        written_by_the_reader = "NAME" in path or path.endswith("kinds/neighbours.py")
        assert written_by_the_reader or any((package / path).is_file() for package in PACKAGES), path


def test_anchors_are_those_that_github_makes(tmp_path: Path) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text(
        "# Data: `a b`, of *any* size\n```\n# no heading\n```\n## Same\n## Same\n", encoding="utf-8"
    )
    assert anchors(guide) == {"data-a-b-of-any-size", "same", "same-1"}
