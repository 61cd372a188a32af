"""Charts as SVG text: lines and points on linear or logarithmic axes, for the reports of the steps.

A report holds two or three small charts, opens anywhere by itself, and takes its colours from the page, which
may be dark. Importing Matplotlib alone costs 0.7 s of processor time in each step that draws.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 84, 36, 54, 56
MAX_POINTS = 2000
# Okabe and Ito's palette, told apart by colour-blind readers too; the last one is for reference lines.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
GREY = "#777777"
LARGEST, SMALLEST = sys.float_info.max, sys.float_info.min


@dataclass(frozen=True, slots=True)
class Series:
    """Points (x, y) to draw together; a label puts them into the legend.

    A point that isn't finite is left out, and on a logarithmic axis one below the smallest normal double. Of
    more than ``MAX_POINTS`` points, evenly spaced ones and the extreme ones are drawn.
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
    drawn = [_points(series, log_x=log_x, log_y=log_y) for series in lines]
    axes = _Axes.around(drawn, log_x=log_x, log_y=log_y)
    marks = [_polyline(axes, x, y, colour) for (x, y), colour in zip(drawn, _colours(), strict=False)]
    legend = _legend([series.label for series in lines])
    return _svg(axes, [*marks, legend], title, x_label, y_label)


def scatter_chart(
    points: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Series] = (),
) -> str:
    """Draw each series as points, and ``lines`` dashed, for reference; returns an ``<svg>`` element."""
    drawn = [_points(series) for series in points]
    references = [_points(series) for series in lines]
    axes = _Axes.around([*drawn, *references], margin=0.06)
    marks = [_polyline(axes, x, y, GREY, dash=' stroke-dasharray="5 4"') for x, y in references]
    marks += [_dots(axes, x, y, colour) for (x, y), colour in zip(drawn, _colours(), strict=False)]
    legend = _legend([series.label for series in points])
    return _svg(axes, [*marks, legend], title, x_label, y_label)


@dataclass(frozen=True, slots=True)
class _Scale:
    """One axis: where a value stands between its ends, as a share from 0 to 1, and where the ticks are."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: NDArray[np.float64], *, log: bool, margin: float) -> "_Scale":
        if not values.size:
            return cls(0.0, 1.0, log=False, ticks=(0.0, 0.5, 1.0))
        low, high = float(values.min()), float(values.max())
        # Neighbouring doubles can't be told apart by any label: such data counts as constant.
        if high - low <= 8 * math.ulp(max(abs(low), abs(high))):
            low, high = _widen(low, high, log=log)
        elif margin:
            room = margin * (high / 2 - low / 2)
            low, high = max(low - room, -LARGEST), min(high + room, LARGEST)
        ticks = _log_ticks(low, high) if log else _linear_ticks(low, high)
        return cls(low, high, log=log, ticks=ticks)

    def share(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.log:
            return (np.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        unit = max(abs(self.low), abs(self.high))  # the difference of two huge values would overflow
        return (value / unit - self.low / unit) / (self.high / unit - self.low / unit)

    def label(self, tick: float) -> str:
        """Write a tick with as many digits as tell it from the next one."""
        steps = np.diff(np.asarray(self.ticks) / 2)
        step = float(steps.min()) * 2 if steps.size else abs(tick)
        if self.log or not tick or not step:
            return _short(f"{tick:.5g}")
        largest = max(abs(mark) for mark in self.ticks)
        digits = math.floor(math.log10(largest)) - math.floor(math.log10(step) + 1e-9) + 1
        return _short(f"{tick:.{min(max(digits, 5), 17)}g}")


@dataclass(frozen=True, slots=True)
class _Axes:
    x: _Scale
    y: _Scale

    @classmethod
    def around(
        cls,
        drawn: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]],
        *,
        log_x: bool = False,
        log_y: bool = False,
        margin: float = 0.0,
    ) -> "_Axes":
        pairs = list(drawn)
        empty = np.empty(0)
        return cls(
            x=_Scale.over(np.concatenate([empty, *(x for x, _ in pairs)]), log=log_x, margin=margin),
            y=_Scale.over(np.concatenate([empty, *(y for _, y in pairs)]), log=log_y, margin=margin),
        )

    def place(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return (
            LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - self.y.share(y) * (HEIGHT - TOP - BOTTOM),
        )


def _points(
    series: Series, *, log_x: bool = False, log_y: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = np.asarray(series.x, dtype=np.float64).ravel()
    y = np.asarray(series.y, dtype=np.float64).ravel()
    if x.size != y.size:
        raise ValueError(f"a series has {x.size} values of x and {y.size} of y")
    shown = np.isfinite(x) & np.isfinite(y)
    if log_x:
        shown &= x >= SMALLEST
    if log_y:
        shown &= y >= SMALLEST
    x, y = x[shown], y[shown]
    if x.size > MAX_POINTS:
        even = np.linspace(0, x.size - 1, MAX_POINTS).round().astype(np.int64)
        extreme = [x.argmin(), x.argmax(), y.argmin(), y.argmax()]
        kept = np.union1d(even, extreme)
        x, y = x[kept], y[kept]
    return x, y


def _widen(low: float, high: float, *, log: bool) -> tuple[float, float]:
    if log:
        return max(low / 2, SMALLEST), min(high, LARGEST / 2) * 2
    room = max(abs(low), abs(high)) / 10 or 1.0
    return max(low - room, -LARGEST), min(high + room, LARGEST)


def _linear_ticks(low: float, high: float) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten, about five of them, within [low, high]."""
    # Divided by a power of ten, so that neither huge nor tiny values overflow on the way.
    exponent = min(max(math.floor(math.log10(max(abs(low), abs(high)))), -300), 300)
    unit = 10.0**exponent
    start, end = low / unit, high / unit
    magnitude = 10.0 ** math.floor(math.log10((end - start) / 5))
    step = min((1, 2, 5, 10), key=lambda factor: abs((end - start) / (factor * magnitude) - 5)) * magnitude
    first = math.ceil(start / step - 1e-9)
    last = math.floor(end / step + 1e-9)
    return tuple(multiple * step * unit for multiple in range(first, last + 1))


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Powers of ten within [low, high], at most about nine; over a short range, multiples of them too."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        stride = (last - first) // 8 + 1
        return tuple(10.0**exponent for exponent in range(first, last + 1, stride))
    if high / low < 10:
        return _linear_ticks(low, high)
    candidates = (factor * 10.0**exponent for exponent in range(first - 1, last + 1) for factor in (1, 2, 5))
    return tuple(tick for tick in candidates if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9))


def _svg(axes: _Axes, marks: Iterable[str], title: str, x_label: str, y_label: str) -> str:
    across, down = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    root = 'xmlns="http://www.w3.org/2000/svg" role="img" font-family="sans-serif" font-size="12"'
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    upright = f'transform="translate(16 {down}) rotate(-90)" text-anchor="middle"'
    return "\n".join(
        [
            f'<svg {root} fill="currentColor" {size}>',
            f"<title>{_text(title)}</title>",
            f'<text x="{across}" y="22" text-anchor="middle" font-size="15">{_text(title)}</text>',
            *_grid(axes),
            *marks,
            f'<text x="{across}" y="{HEIGHT - 14}" text-anchor="middle">{_text(x_label)}</text>',
            f"<text {upright}>{_text(y_label)}</text>",
            "</svg>",
        ]
    )


def _grid(axes: _Axes) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    x, y = axes.place(np.asarray(axes.x.ticks), np.full(len(axes.x.ticks), axes.y.low))
    parts = [
        f'<line x1="{at:.2f}" x2="{at:.2f}" y1="{TOP}" y2="{bottom}" stroke="var(--grid, #ddd)"/>'
        f'<text x="{at:.2f}" y="{bottom + 17}" text-anchor="middle">{axes.x.label(tick)}</text>'
        for at, tick in zip(x, axes.x.ticks, strict=True)
    ]
    x, y = axes.place(np.full(len(axes.y.ticks), axes.x.low), np.asarray(axes.y.ticks))
    parts += [
        f'<line x1="{LEFT}" x2="{right}" y1="{at:.2f}" y2="{at:.2f}" stroke="var(--grid, #ddd)"/>'
        f'<text x="{LEFT - 6}" y="{at + 4:.2f}" text-anchor="end">{axes.y.label(tick)}</text>'
        for at, tick in zip(y, axes.y.ticks, strict=True)
    ]
    frame = f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="currentColor"/>'
    return [*parts, frame]


def _polyline(
    axes: _Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, *, dash: str = ""
) -> str:
    if x.size == 1:
        return _dots(axes, x, y, colour)
    corners = " ".join(f"{at_x:.2f},{at_y:.2f}" for at_x, at_y in zip(*axes.place(x, y), strict=True))
    return f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def _dots(axes: _Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str) -> str:
    dots = (
        f'<circle cx="{at_x:.2f}" cy="{at_y:.2f}" r="3"/>'
        for at_x, at_y in zip(*axes.place(x, y), strict=True)
    )
    return f'<g fill="{colour}" fill-opacity="0.6">{"".join(dots)}</g>'


def _legend(labels: Sequence[str]) -> str:
    entries = [
        f'<tspan fill="{colour}">\u25cf</tspan> {_text(label)}'
        for label, colour in zip(labels, _colours(), strict=False)
        if label
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    return f'<text x="{middle}" y="42" text-anchor="middle">{"&#160;&#160; ".join(entries)}</text>'


def _colours() -> Iterable[str]:
    while True:
        yield from COLOURS


def _short(number: str) -> str:
    """Write 1e+06 as 1e6, and 2e-05 as 2e-5."""
    mantissa, mark, exponent = number.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else number


def _text(value: str) -> str:
    # XML has no place for control characters, not even escaped.
    return escape("".join(char if char.isprintable() else " " for char in value))
