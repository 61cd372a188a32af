"""Draws the dashboards from what a Prometheus holds: ``python -m docs.tools.dashboards URL FOLDER``.

It takes the place of a screenshot where no Grafana is at hand: panels, queries, legends, units and places are
those of the dashboards' files, and only the drawing is Matplotlib's.
"""

import argparse
import io
import json
import re
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import matplotlib as mpl
import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from helm.dashboards import DASHBOARDS, dashboard

GRID_COLUMNS = 24
INCHES = 0.68
"""Of a column of the grid, and of a row of half that height."""
POINTS = 240
RATE_INTERVAL = "1m"
LEGENDS, LETTERS = 10, 40
"""How much of a legend has room."""
COLOURS = ("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D")
BACKGROUND, PANEL, TEXT, LINES = "#111217", "#181b1f", "#ccccdc", "#2c3235"


class Line(NamedTuple):
    """A line of a panel: its legend, and its values at times in seconds since 1970."""

    legend: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]


class Prometheus(NamedTuple):
    """A Prometheus, and the span of time to draw."""

    url: str
    host: str
    start: float
    end: float

    def lines(self, expression: str, legend: str) -> list[Line]:
        """Evaluate an expression over the span."""
        step = max(5.0, (self.end - self.start) / POINTS)
        words = {"query": expression, "start": self.start, "end": self.end, "step": step}
        request = urllib.request.Request(f"{self.url}/api/v1/query_range?{urlencode(words)}")  # noqa: S310
        if self.host:
            request.add_header("Host", self.host)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.load(answer)["data"]["result"]
        return [_line(series, legend, step) for series in found]


def _line(series: Mapping[str, Any], legend: str, step: float) -> Line:
    """Return a line with gaps where the series has none."""
    times, values = (np.array(column, dtype=float) for column in zip(*series["values"], strict=True))
    gaps = np.flatnonzero(np.diff(times) > 1.5 * step) + 1
    name = re.sub(r"{{(\w+)}}", lambda match: series["metric"].get(match[1], ""), legend)
    return Line(name, np.insert(times, gaps, times[gaps - 1] + step), np.insert(values, gaps, np.nan))


def formatted(value: float, unit: str) -> str:
    """Write a value with its unit, as Grafana does."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "reqps":
        return f"{value:.3g} req/s"
    if unit == "bytes":
        return _scaled(value, ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")))
    if unit == "s":
        steps = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
        return _scaled(value, steps)
    return _scaled(value, ((1e6, "Mil"), (1e3, "K"), (1, ""))) if abs(value) >= 1000 else f"{value:.3g}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{value / size:.3g} {name}".rstrip() if value else "0"


def draw_panel(axes: Axes, panel: Mapping[str, Any], lines: list[Line], span: tuple[float, float]) -> None:
    """Draw a panel with its title, lines, legend and units."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.set_title(panel["title"], loc="left", fontsize=9, color=TEXT, pad=6)
    for number, line in enumerate(lines):
        moments = [datetime.fromtimestamp(moment, UTC) for moment in line.times]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(moments, line.values, color=colour, linewidth=1.1, label=line.legend)  # type: ignore[arg-type]
        if len(lines) < 4:
            axes.fill_between(moments, line.values, color=colour, alpha=0.08, linewidth=0)  # type: ignore[arg-type]
    axes.set_xlim(*(datetime.fromtimestamp(moment, UTC) for moment in span))  # type: ignore[arg-type]
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: formatted(value, unit)))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=5))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axes.tick_params(colors=TEXT, labelsize=7, length=0)
    axes.grid(color=LINES, linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if lines:
        shown = axes.lines[:LEGENDS]
        names = [str(line.get_label())[:LETTERS] for line in shown]
        axes.legend(
            shown, names, loc="upper left", bbox_to_anchor=(-0.08, -0.12), ncols=2, fontsize=6, frameon=False,
            handlelength=1, columnspacing=1, labelspacing=0.2, borderaxespad=0.1, labelcolor=TEXT,
        )  # fmt: skip
    else:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color=TEXT, fontsize=9)


def draw(document: Mapping[str, Any], source: Prometheus, names: Mapping[str, str]) -> Figure:
    """Draw a dashboard, each panel in its place of the grid."""
    panels = document["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    width, height = GRID_COLUMNS * INCHES, rows * INCHES / 2 + 0.5
    figure = Figure(figsize=(width, height), facecolor=BACKGROUND)
    figure.text(0.012, 1 - 0.3 / height, document["title"], color=TEXT, fontsize=13, va="center")
    for panel in panels:
        place = panel["gridPos"]
        left, right = (column * INCHES / width for column in (place["x"], place["x"] + place["w"]))
        top = 1 - (0.5 + place["y"] * INCHES / 2) / height
        tall = place["h"] * INCHES / 2 / height
        figure.patches.append(
            mpl.patches.Rectangle(
                (left + 0.003, top - tall + 0.004), right - left - 0.006, tall - 0.008,
                transform=figure.transFigure, facecolor=PANEL, edgecolor=LINES, linewidth=0.6, zorder=-1,
            )
        )  # fmt: skip
        axes = figure.add_axes(
            (left + 0.042, top - 0.68 * tall, right - left - 0.054, 0.55 * tall), facecolor=PANEL
        )
        lines = [
            line
            for target in panel["targets"]
            for line in source.lines(_filled(target["expr"], names), target["legendFormat"])
        ]
        draw_panel(axes, panel, lines, (source.start, source.end))
    return figure


def _filled(expression: str, names: Mapping[str, str]) -> str:
    for name, value in {**names, "__rate_interval": RATE_INTERVAL}.items():
        expression = expression.replace(f"${name}", value)
    return expression


def main() -> None:
    """Draw all dashboards into a folder, as WebP."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of Prometheus")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", default="", help="the Host header, behind a gateway")
    parser.add_argument("--namespace", default="linear-regressor")
    parser.add_argument("--release", default="linear-regressor")
    parser.add_argument("--minutes", type=float, default=60, help="how far back (%(default)g)")
    options = parser.parse_args()
    now = time.time()
    source = Prometheus(options.url.rstrip("/"), options.host, now - 60 * options.minutes, now)
    names = {"namespace": options.namespace, "release": options.release}
    for key, (topic, panels) in DASHBOARDS.items():
        document = json.loads(dashboard(topic, panels, options.release, options.namespace))
        picture = io.BytesIO()
        draw(document, source, names).savefig(picture, format="png", dpi=100)
        Image.open(picture).save(options.folder / f"dashboard-{key}.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
