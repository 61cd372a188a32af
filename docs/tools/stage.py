"""Collects the pages of the site in build/docs, from docs/ and from files elsewhere in the repository.

``make docs`` runs it before Zensical builds the site. Links between pages are pointed to where their targets
are in the site; files that are no page are named by their path.
"""

import json
import posixpath
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOK = "docs/tutorial.ipynb"
DECISIONS = "docs/decisions/README.md"
# Pages whose place in the site differs from their place in the repository.
MOVED = {
    "README.md": "index.md",
    NOTEBOOK: "tutorial.md",
    DECISIONS: "decisions/index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
    "helm/linear-regressor/README.md": "reference/chart.md",
}
ICON = "predictor/web/assets/icon.svg"
# The theme would load it from another host.
MERMAID = ROOT / "docs" / "tools" / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
FENCED = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")


def pages() -> dict[str, str]:
    """Return the place of each page in the site, by its path in the repository."""
    guides = (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))
    return {path: path.removeprefix("docs/") for path in guides if not path.startswith("docs/tools/")} | MOVED


def stage(folder: Path) -> None:
    """Write all pages, pictures and style sheets to a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    found = pages()
    for source, place in found.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if source == NOTEBOOK:
            text = notebook(text)
        if source == DECISIONS:
            text += "\n" + "".join(map(_listed, sorted((ROOT / DECISIONS).parent.glob("0*.md"))))
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(relink(text, source, found), encoding="utf-8")
    for source, place in assets().items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, folder / place)


def assets() -> dict[str, str]:
    """Return the place of each picture and style sheet in the site, by its path in the repository."""
    found = (path for path in sorted((ROOT / "docs").rglob("*")) if path.suffix in {".svg", ".webp", ".css"})
    paths = (path.relative_to(ROOT / "docs").as_posix() for path in found)
    return {f"docs/{path}": path for path in paths if not path.startswith("tools/")} | {
        ICON: "assets/icon.svg"
    }


def relink(text: str, source: str, found: dict[str, str]) -> str:
    """Point the links of a page to the places that their targets have in the site.

    Args:
        text: the page.
        source: its path in the repository.
        found: the place of each page in the site, by its path in the repository.
    """

    def replace(match: re.Match[str]) -> str:
        path, hash_sign, anchor = match["target"].partition("#")
        if not path or ":" in path:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        readme = posixpath.join(path, "README.md")
        place = found.get(path) or found.get(readme)
        if place is None and path.startswith("docs/"):
            place = path.removeprefix("docs/")
        if place is None:
            return match["text"] if path in match["text"] else f"{match['text']} (`{path}`)"
        here = posixpath.dirname(found[source]) or "."
        return f"[{match['text']}]({posixpath.relpath(place, here)}{hash_sign}{anchor})"

    parts = FENCED.split(text)
    return "".join(part if FENCED.fullmatch(part) else LINK.sub(replace, part) for part in parts)


def notebook(text: str) -> str:
    """Return a notebook's cells as Markdown."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells)


def _listed(decision: Path) -> str:
    title = decision.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return f"- [{title}]({decision.name})\n"


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
    shutil.copy(MERMAID, Path(sys.argv[1]) / "assets")
