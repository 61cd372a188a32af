"""The site of the documents: every page is in it, and it loads nothing from another host."""

import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from docs.tools import stage
from tests.support.browser import PROGRAM, browse

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "zensical.toml").read_text(encoding="utf-8")
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(https?://[^\"]+)|<link\b[^>]*\bhref=\"(https?://[^\"]+)"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    stage.stage(folder)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as ``make docs`` does."""
    place = tmp_path_factory.mktemp("site")
    stage.stage(place / "build" / "docs")
    (place / "zensical.toml").write_text(CONFIGURATION, encoding="utf-8")
    command: list[str | Path] = [Path(sys.executable).with_name("zensical"), "build", "--strict"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "build" / "site"


def named(entries: list[Any]) -> Iterator[str]:
    """Yield the pages of a navigation."""
    for entry in entries:
        for content in entry.values():
            yield from named(content) if isinstance(content, list) else [content]


def test_navigation_names_every_page_once(pages: Path) -> None:
    navigation = sorted(named(tomllib.loads(CONFIGURATION)["project"]["nav"]))
    found = sorted(
        path.relative_to(pages).as_posix() for path in pages.rglob("*.md") if not path.name.startswith("0")
    )
    assert navigation == found


def test_page_of_the_decisions_lists_each_of_them(pages: Path) -> None:
    folder = pages / "decisions"
    text = (folder / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\((0.*\.md)\)", text)
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


def test_links_are_pointed_to_the_places_of_their_targets_in_the_site() -> None:
    found = {"README.md": "index.md", "docs/a.md": "a.md", "helm/chart/README.md": "reference/chart.md"}
    text = "[a](docs/a.md#x), [chart](helm/chart), [code](tests/conftest.py), [w](https://w)\n```\n[a](docs/a.md)\n```\n"
    assert stage.relink(text, "README.md", found) == (
        "[a](a.md#x), [chart](reference/chart.md), code (`tests/conftest.py`), [w](https://w)\n"
        "```\n[a](docs/a.md)\n```\n"
    )
    assert stage.relink("[a](../../docs/a.md)", "helm/chart/README.md", found) == "[a](../a.md)"


def test_site_is_built_without_warnings_and_loads_nothing_from_another_host(site: Path) -> None:
    built = sorted(site.rglob("*.html"))
    assert len(built) > 15
    for page in built:
        text = page.read_text(encoding="utf-8")
        assert not LOADED.findall(text), page.name
        assert "mermaid.tiny.js" in text, page.name


def test_lists_and_code_in_lists_are_rendered_as_such(site: Path) -> None:
    """Markdown for Python wants an empty line before a list, and four spaces inside an item."""
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"<p>[^<]*\n[-*] [^\n]*", text), page.name
        assert "```" not in re.sub(r"<(pre|code)\b.*?</\1>", "", text, flags=re.DOTALL), page.name


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.skipif(not (PROGRAM and shutil.which("npm")), reason="needs Chromium and npm")
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_the_screen_and_draw_their_pictures(
    site: Path, address: str, tmp_path: Path, width: int
) -> None:
    npm: list[str | Path] = ["npm", "ci", "--prefix", ROOT / "docs" / "tools", "--ignore-scripts", "--silent"]
    subprocess.run(npm, check=True)
    shutil.copy(stage.MERMAID, site / "assets")
    with browse(tmp_path) as tab:
        for page in sorted(site.rglob("*.html")):
            if page.name == "404.html":
                continue
            pictures = page.read_text(encoding="utf-8").count('class="mermaid"')
            tab.open(f"{address}/{page.relative_to(site).as_posix()}", width=width)
            # The theme replaces each block by a drawing in a shadow root that is closed.
            tab.wait("!document.querySelector('pre.mermaid')")
            assert tab.evaluate("document.querySelectorAll('div.mermaid').length") == pictures, page.name
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, page.name
            loaded = tab.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
            assert all(name.startswith((address, "data:", "blob:")) for name in loaded), loaded
            assert not tab.errors, (page.name, tab.errors)


_BROKEN = """[...document.querySelectorAll('td code')]
    .filter(code => /^[\\w.]+$/.test(code.textContent) && code.getClientRects().length > 1)
    .map(code => code.textContent)"""
_EMPTY = """[...document.querySelectorAll('thead')]
    .filter(head => !head.textContent.trim() && head.getBoundingClientRect().height).length"""


@pytest.mark.slow
@pytest.mark.skipif(not PROGRAM, reason="needs Chromium")
def test_tables_keep_names_whole_and_show_no_empty_headings(site: Path, address: str, tmp_path: Path) -> None:
    built = [page for page in sorted(site.rglob("*.html")) if "<table>" in page.read_text(encoding="utf-8")]
    assert any("<th></th>" in page.read_text(encoding="utf-8") for page in built)
    with browse(tmp_path) as tab:
        for page in built:
            tab.open(f"{address}/{page.relative_to(site).as_posix()}", width=1000)
            assert tab.evaluate(_BROKEN) == [], page.name
            assert tab.evaluate(_EMPTY) == 0, page.name
            assert tab.evaluate("document.documentElement.scrollWidth") <= 1000, page.name
