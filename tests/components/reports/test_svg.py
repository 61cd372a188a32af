import re
from functools import partial
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.reports.svg import MAX_POINTS, Series, line_chart, scatter_chart

SVG = "{http://www.w3.org/2000/svg}"
lines = partial(line_chart, title="T", x_label="x", y_label="y")
scatter = partial(scatter_chart, title="T", x_label="x", y_label="y")
values = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), max_size=30)


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in parse(svg).iter(f"{SVG}text")]


def corners(svg: str) -> list[tuple[float, float]]:
    line = parse(svg).find(f"{SVG}polyline")
    assert line is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


def dots(svg: str) -> list[tuple[float, float]]:
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in parse(svg).iter(f"{SVG}circle")]


def test_line_runs_left_to_right_with_larger_values_higher_up() -> None:
    (left, bottom), (middle, _), (right, top) = corners(lines([Series([0, 1, 2], [0, 5, 10])]))
    assert left < middle < right
    assert middle == pytest.approx((left + right) / 2)
    assert top < bottom


def test_titles_and_labels_are_shown_and_escaped() -> None:
    svg = scatter_chart(
        [Series([1], [2], label="<b>&\x00")], title="<script>", x_label='"bmi" & <age>', y_label="ž"
    )
    assert {"<script>", '"bmi" & <age>', "ž", "● <b>& "} <= set(texts(svg))
    assert "<script>" not in svg


def test_linear_axis_has_ticks_at_round_numbers() -> None:
    shown = texts(lines([Series([0, 1], [-0.137, 0.26])]))
    assert {"-0.1", "0", "0.1", "0.2", "0.4", "0.6"} <= set(shown)


def test_ticks_far_from_zero_have_different_labels() -> None:
    shown = texts(lines([Series([1_000_000.25, 1_000_000.75], [0, 1])]))
    assert {"1000000.3", "1000000.4", "1000000.5"} <= set(shown)


def test_logarithmic_axis_has_evenly_spaced_powers_of_ten() -> None:
    svg = lines([Series([1, 10, 100, 1000], [1, 1, 1, 1])], log_x=True)
    assert {"1", "10", "100", "1000"} <= set(texts(svg))
    places = [x for x, _ in corners(svg)]
    assert np.diff(places) == pytest.approx([places[1] - places[0]] * 3, abs=0.02)


def test_logarithmic_axis_omits_values_that_are_not_positive() -> None:
    assert len(corners(lines([Series([0, 1, 2, 3], [5, 4, 0, 2])], log_x=True, log_y=True))) == 2


def test_omits_points_that_are_not_finite() -> None:
    svg = scatter([Series([1, 2, np.nan, np.inf], [1, 2, 3, 4])])
    assert len(dots(svg)) == 2


def test_thins_out_many_points_but_keeps_the_extreme_ones() -> None:
    x, y = np.arange(100_000.0), np.zeros(100_000)
    y[12_345] = 100.0
    drawn = dots(scatter([Series(x, y)]))
    assert len(drawn) <= MAX_POINTS + 4
    assert len({height for _, height in drawn}) == 2


def test_reference_lines_are_drawn_but_not_listed_in_the_legend() -> None:
    svg = scatter([Series([1, 2], [1, 2], label="candidate")], lines=[Series([0, 9], [0, 9], label="unseen")])
    assert len(corners(svg)) == 2
    assert "● candidate" in texts(svg)
    assert not any("unseen" in text for text in texts(svg))


def test_constant_data_is_drawn_within_the_frame() -> None:
    ((x, y),) = dots(scatter([Series([3.0], [7.0])]))
    frame = parse(scatter([])).attrib
    assert 0 < x < float(frame["width"])
    assert 0 < y < float(frame["height"])


def test_refuses_x_and_y_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="2 values of x and 3 of y"):
        lines([Series([1, 2], [1, 2, 3])])


@pytest.mark.parametrize("log", [False, True])
@given(x=values, y=values)
@example(x=[0.0, 1.0], y=[0.0, 1e-309])
@example(x=[1.0, 1.0], y=[5e-324, 2.2250738585072014e-308])
def test_any_numbers_give_well_formed_markup_within_the_frame(
    x: list[float], y: list[float], log: bool
) -> None:
    length = min(len(x), len(y))
    series = Series(x[:length], y[:length], label="s")
    for svg in (lines([series], log_x=log, log_y=log), scatter([series])):
        root = parse(svg)
        assert not re.search(r"\b(nan|inf)\b", svg)
        for place_x, place_y in dots(svg):
            assert 0 <= place_x <= float(root.attrib["width"])
            assert 0 <= place_y <= float(root.attrib["height"])
