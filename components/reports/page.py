"""A self-contained HTML page for a report. It loads no other file, so it opens from anywhere."""

from collections.abc import Iterable, Sequence
from html import escape

DOCTYPE = "<!DOCTYPE html>"
ABOUT = "<!-- about the run -->"
"""Placeholder in a page for the facts of the run, which are inserted once it has ended."""

STYLE = """
:root { color-scheme: light dark; --text: #222; --page: #fff; --line: #ccc; --grid: #ddd; --link: #0060a8; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ddd; --page: #16181b; --line: #444; --grid: #333; --link: #7ab8f0; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 60rem;
       margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
a { color: var(--link); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top;
         overflow-wrap: normal; }
td:last-child { overflow-wrap: anywhere; }
svg { display: block; width: 100%; max-width: 40rem; height: auto; margin: 1rem 0; }
"""


def page(title: str, *parts: str) -> str:
    """Put parts of HTML under a heading into one document."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    body = "\n".join((f"<h1>{escape(title)}</h1>", ABOUT, *parts))
    return f'{DOCTYPE}\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def heading(text: str) -> str:
    """Write a heading of the second level."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Write plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def link(address: str, text: str) -> str:
    """Write a link."""
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def listing(items: Iterable[str]) -> str:
    """Write a list of parts of HTML."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table, without a header if all its names are empty; see `cell` for the values."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = [f"<tr>{head}</tr>"] if any(header) else []
    lines += [f"<tr>{''.join(f'<td>{escape(cell(value))}</td>' for value in row)}</tr>" for row in rows]
    return "\n".join(['<div class="scroll"><table>', *lines, "</table></div>"])


def cell(value: object) -> str:
    """Write a value as text: floats with six significant digits, ``None`` as nothing, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
