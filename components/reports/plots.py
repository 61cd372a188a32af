"""Charts as SVG elements for the reports: lines and points, drawn by Matplotlib, coloured by the page."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In pixels of the drawing, which the page scales; small enough for its text to be read on a phone.
WIDTH, HEIGHT, TEXT = 480, 340, 12
MAX_POINTS = 1000
# Beyond these, Matplotlib's own arithmetic leaves the range of a double.
LARGEST, SMALLEST = 1e150, 1e-150
# Okabe and Ito's palette, for colour-blind readers too, light enough for a dark page.
COLOURS = ("#3b8fd0", "#d55e00", "#009e73", "#cc79a7")
# Placeholders for the page's colours, because Matplotlib has no CSS variables.
THEME = {"#010203": "currentColor", "#010204": "var(--grid, #ddd)"}
INK, GRID = THEME
STYLE = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "grid.color": GRID,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True)
class Series:
    """Points (x, y) to draw together; a label puts them into the legend.

    A point that is not finite or beyond ``LARGEST`` is left out, and on a logarithmic axis one below
    ``SMALLEST``. Of more than ``MAX_POINTS`` points, a selection is drawn that is even along the axis and
    includes the extreme ones.
    """

    x: ArrayLike
    y: ArrayLike
    label: str = ""


def line_chart(
    lines: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """Draw each series as a line through its points, in their order; returns an ``<svg>`` element."""
    drawn = [(*_points(series, log_x=log_x, log_y=log_y), series.label) for series in lines]

    def draw(axes: "Axes") -> None:
        from matplotlib.ticker import LogFormatter

        if any(x.size for x, _, _ in drawn):
            axes.set(xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
            for axis in [axes.xaxis] * log_x + [axes.yaxis] * log_y:
                # In plain text: Matplotlib's own labels are formulas.
                axis.set_major_formatter(LogFormatter(labelOnlyBase=False))
                axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
        for number, (x, y, label) in enumerate(drawn):
            # A single point has no line.
            mark = "o" if x.size == 1 else "None"
            axes.plot(x, y, color=COLOURS[number % len(COLOURS)], label=_text(label), marker=mark)

    return _svg(draw, title, x_label, y_label, legend=any(series.label for series in lines))


def scatter_chart(
    points: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Series] = (),
) -> str:
    """Draw each series as points, and ``lines`` dashed, for reference; returns an ``<svg>`` element."""

    def draw(axes: "Axes") -> None:
        for series in lines:
            axes.plot(*_points(series), color="#808080", linewidth=1.2, linestyle="--")
        for number, series in enumerate(points):
            axes.plot(
                *_points(series),
                color=COLOURS[number % len(COLOURS)],
                label=_text(series.label),
                linestyle="none",
                marker="o",
                markeredgewidth=0,
                markersize=5,
                alpha=0.7,
            )

    return _svg(draw, title, x_label, y_label, legend=any(series.label for series in points))


def _svg(draw: Callable[["Axes"], None], title: str, x_label: str, y_label: str, *, legend: bool) -> str:
    """Draw a figure whose axes ``draw`` fills; returns the ``<svg>`` element."""
    # Imported only here: it takes half a second, which a step without a chart need not spend.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Equal charts become equal text, and two charts of one page have different identifiers.
    with rc_context({**STYLE, "svg.hashsalt": title}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's own fonts are used
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
        axes = figure.add_axes((0.17, 0.16, 0.79, 0.66 if legend else 0.73))
        figure.suptitle(_text(title), color=INK, fontsize=TEXT + 2, y=0.985)
        axes.set(xlabel=_text(x_label), ylabel=_text(y_label))
        draw(axes)
        if legend:
            figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.94), ncols=len(COLOURS))
        written = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    return _themed(written.getvalue(), title, f"{y_label} by {x_label}")


def _themed(document: str, title: str, description: str) -> str:
    """Return the element of Matplotlib's document, with the page's colours, a title and a description."""
    element = document[document.index("<svg") :]
    for colour, themed in THEME.items():
        element = element.replace(colour, themed)
    # Nothing refers to the groups' identifiers, and another chart of the page has the same ones.
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    start = (
        f'<svg role="img" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">\n'
        f"<title>{escape(_text(title))}</title>\n<desc>{escape(_text(description))}</desc>"
    )
    return re.sub(r"<svg\b[^>]*>", lambda _: start, element, count=1).strip()


def _points(
    series: Series, *, log_x: bool = False, log_y: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = np.asarray(series.x, dtype=np.float64).ravel()
    y = np.asarray(series.y, dtype=np.float64).ravel()
    if x.size != y.size:
        raise ValueError(f"a series has {x.size} values of x and {y.size} of y")
    shown = (np.abs(x) <= LARGEST) & (np.abs(y) <= LARGEST)
    if log_x:
        shown &= x >= SMALLEST
    if log_y:
        shown &= y >= SMALLEST
    x, y = x[shown], y[shown]
    if x.size > MAX_POINTS:
        even = np.geomspace(1, x.size, MAX_POINTS) - 1 if log_x else np.linspace(0, x.size - 1, MAX_POINTS)
        extreme = [x.argmin(), x.argmax(), y.argmin(), y.argmax()]
        kept = np.union1d(even.round().astype(np.int64), extreme)
        x, y = x[kept], y[kept]
    return x, y


def _text(value: str) -> str:
    # XML has no place for control characters, not even escaped.
    return "".join(char if char.isprintable() else " " for char in value)
