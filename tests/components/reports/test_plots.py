import re
from functools import partial
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.reports.plots import LARGEST, MAX_POINTS, Series, line_chart, scatter_chart

SVG = "{http://www.w3.org/2000/svg}"
lines = partial(line_chart, title="T", x_label="x", y_label="y")
scatter = partial(scatter_chart, title="T", x_label="x", y_label="y")
values = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), max_size=30)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def corners(svg: str, colour: str = "#3b8fd0") -> list[tuple[float, float]]:
    """The points of the line in the first colour."""
    (path,) = (
        path.attrib["d"]
        for path in ET.fromstring(svg).iter(f"{SVG}path")
        if f"stroke: {colour}" in path.attrib.get("style", "")
    )
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path)]


def dots(svg: str, colour: str = "#3b8fd0") -> list[tuple[float, float]]:
    """The points in the first colour, without the one in the legend."""
    return [
        (float(mark.attrib["x"]), float(mark.attrib["y"]))
        for mark in ET.fromstring(svg).iter(f"{SVG}use")
        if f"fill: {colour}" in mark.attrib.get("style", "")
    ]


def test_line_runs_left_to_right_with_larger_values_higher_up() -> None:
    (left, bottom), (middle, _), (right, top) = corners(lines([Series([0, 1, 2], [0, 4, 10])]))
    assert left < middle < right
    assert middle == pytest.approx((left + right) / 2)
    assert top < bottom


def test_titles_and_labels_are_shown_and_escaped() -> None:
    svg = scatter_chart(
        [Series([1], [2], label="<b>&\x00")], title="<script>", x_label='"bmi" & <age>', y_label="ž $x$ 目"
    )
    assert {"<script>", '"bmi" & <age>', "ž $x$ 目", "<b>& "} <= set(texts(svg))
    assert "<script>" not in svg


def test_a_screen_reader_gets_a_title_and_a_description() -> None:
    chart = ET.fromstring(scatter_chart([Series([1], [2])], title="Errors", x_label="age", y_label="error"))
    assert chart.attrib["role"] == "img"
    assert [(part.tag, part.text) for part in chart][:2] == [
        (f"{SVG}title", "Errors"),
        (f"{SVG}desc", "error by age"),
    ]


def test_text_and_grid_take_the_colours_of_the_page() -> None:
    svg = lines([Series([0, 1], [2, 3], label="loss")])
    assert "fill: currentColor" in svg
    assert "stroke: var(--grid, #ddd)" in svg
    assert not re.search("#000000|#ffffff|#01020", svg)


def test_equal_charts_are_equal_text_and_charts_of_a_page_share_no_identifier() -> None:
    chart = scatter([Series([0, 1], [2, 3])])
    assert chart == scatter([Series([0, 1], [2, 3])])
    other = scatter_chart([Series([0, 1], [2, 3])], title="Other", x_label="x", y_label="y")
    named = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (chart, other)]
    assert named[0]
    assert not named[0] & named[1]


def test_logarithmic_axis_has_evenly_spaced_powers_of_ten() -> None:
    svg = lines([Series([1, 10, 100, 1000], [1, 2, 1, 2])], log_x=True)
    assert {"1", "10", "100", "1000"} <= set(texts(svg))
    places = [x for x, _ in corners(svg)]
    assert np.diff(places) == pytest.approx([places[1] - places[0]] * 3, abs=0.02)


def test_omits_points_that_an_axis_cannot_show() -> None:
    assert len(corners(lines([Series([0, 1, 2, 3], [5, 4, 0, 2])], log_x=True, log_y=True))) == 2
    assert len(dots(scatter([Series([1, 2, np.nan, np.inf], [1, 2, 3, 4])]))) == 2


def test_thins_out_many_points_but_keeps_the_extreme_ones() -> None:
    x, y = np.arange(100_000.0), np.zeros(100_000)
    y[12_345] = 100.0
    drawn = dots(scatter([Series(x, y)]))
    assert len(drawn) <= MAX_POINTS + 4
    assert min(place for _, place in drawn) < np.median([place for _, place in drawn]) - 100


def test_thins_out_a_line_evenly_on_a_logarithmic_axis() -> None:
    steps = np.arange(1, 100_001)
    losses = 1 + np.random.default_rng(0).uniform(size=steps.size)  # no two parts lie on one straight line
    places = [x for x, _ in corners(lines([Series(steps, losses)], log_x=True))]
    # The widest gap is the one between the first two steps.
    assert max(np.diff(places)) == pytest.approx((places[-1] - places[0]) * np.log10(2) / 5, rel=1e-3)


def test_refuses_a_series_of_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="2 values of x and 1 of y"):
        lines([Series([1, 2], [1])])


@settings(max_examples=10, deadline=None)
@given(x=values, y=values, log=st.booleans())
@example(x=[], y=[], log=True)
@example(x=[0.0], y=[5e-324], log=True)
@example(x=[LARGEST, -LARGEST], y=[-LARGEST, 1.7e308], log=False)
@example(x=[1e6, 1e6 + 2**-30], y=[3.0, 3.0], log=False)
def test_draws_any_numbers(x: list[float], y: list[float], *, log: bool) -> None:
    size = min(len(x), len(y))
    series = Series(x[:size], y[:size])
    for svg in (lines([series], log_x=log, log_y=log), scatter([series], lines=[series])):
        assert ET.fromstring(svg).tag == f"{SVG}svg"
        assert not re.search(r"\b(nan|inf)\b", svg)
