"""Plots: valid XML with every input, text escaped, numbers written for people."""

import math
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from stage.numbers import compact, duration, log_ticks, nice_ticks, percent
from stage.plots import (
    FULL,
    NARROW,
    WIDE,
    Bar,
    Mark,
    Series,
    bar_plot,
    histogram,
    line_plot,
    share_bar,
    smooth,
)

SVG = "{http://www.w3.org/2000/svg}"
LINES: list[list[Series]] = [
    [Series("一点", [5], [2.5])],
    [Series("学習", [0, 1, 2, 3], [4.0, 3.0, 2.0, 1.0]), Series("検証", [0, 3], [5, 5])],
    [Series("一定", [0, 1, 2], [0, 0, 0]), Series("背景", [0, 2], [1, 1], faint=True)],
    [Series("長い", list(range(20_000)), [math.sin(x / 500) for x in range(20_000)])],
]


def parse(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert "nan" not in svg.lower() and ">inf" not in svg.lower() and '"inf' not in svg.lower()
    return root


def texts(root: ElementTree.Element) -> str:
    return " ".join(element.text or "" for element in root.iter(f"{SVG}text"))


@pytest.mark.parametrize("width", [NARROW, WIDE, FULL])
@pytest.mark.parametrize("series", LINES)
def test_a_line_plot_of_any_series_is_valid(series: list[Series], width: int) -> None:
    svg = line_plot(
        series,
        title="損失",
        x_label="step",
        references=[Mark("5-gram", 3.0)],
        width=width,
    )
    root = parse(svg)
    assert root.get("role") == "img" and root.get("aria-label") == "損失"
    assert root.findtext(f"{SVG}title") == "損失"
    assert root.get("viewBox", "").startswith(f"0 0 {width} ")
    assert len(svg) < 100_000


def test_a_single_point_is_drawn_as_a_dot() -> None:
    assert len(list(parse(line_plot([Series("点", [3], [2])], title="点")).iter(f"{SVG}circle"))) == 1


def test_lines_are_labelled_at_narrow_and_wide_width() -> None:
    series = [Series("学習", [0, 1], [2, 1]), Series("検証", [0, 1], [2, 1.0])]
    for width in (NARROW, WIDE):
        shown = texts(parse(line_plot(series, title="損失", width=width)))
        assert "学習" in shown and "検証" in shown


def test_labels_of_lines_that_end_together_do_not_cover_each_other() -> None:
    root = parse(line_plot([Series("甲", [0, 1], [2, 1]), Series("乙", [0, 1], [2, 1.0])], title="x"))
    places = [float(element.get("y", "0")) for element in root.iter(f"{SVG}text") if element.text in ("甲", "乙")]
    assert abs(places[0] - places[1]) >= 12


@pytest.mark.parametrize("width", [NARROW, WIDE, FULL])
def test_bars_show_value_interval_and_marks(width: int) -> None:
    marks = (Mark("random", 0.5), Mark("5-gram", 0.6, 0.55, 0.65))
    bars = [Bar("格助詞", 0.72, 0.67, 0.77, marks), Bar("零", 0.0)]
    root = parse(bar_plot(bars, title="正解率", show=percent, limit=1.0, width=width))
    shown = texts(root)
    assert "格助詞" in shown and "72.0" in shown and "67.0 – 77.0" in shown
    assert "random 50.0" in shown and "5-gram 60.0" in shown


@pytest.mark.parametrize("bars", [[Bar("a", 0.0)], [Bar("a", -1.0)], [Bar("a", 1.0, 0.5)]])
def test_odd_bars_are_valid(bars: list[Bar]) -> None:
    parse(bar_plot(bars, title="棒"))


@pytest.mark.parametrize("edges, counts", [([1, 2], [3]), ([1, 10, 100], [5, 7])])
def test_histograms_have_a_bar_for_each_bin(edges: list[float], counts: list[int]) -> None:
    root = parse(histogram(edges, counts, title="長さ", x_label="文字"))
    assert len(list(root.iter(f"{SVG}rect"))) == len(counts)


@pytest.mark.parametrize("width", [NARROW, WIDE, FULL])
def test_shares_fill_the_width_and_name_their_percentage(width: int) -> None:
    root = parse(share_bar([("漢字", 30), ("かな", 70), ("無", 0)], title="内訳", width=width))
    assert "30.0" in texts(root) and "70.0" in texts(root)
    bars = [element for element in root.iter(f"{SVG}rect") if element.find(f"{SVG}title") is not None]
    assert sum(float(bar.get("width", "0")) for bar in bars) == pytest.approx(width, abs=5)


def test_more_shares_than_colours_are_all_drawn() -> None:
    assert all(f"種{n}" in texts(parse(share_bar([(f"種{i}", 1) for i in range(9)], title="x"))) for n in range(9))


@pytest.mark.parametrize(
    "draw",
    [
        lambda text: line_plot([Series(text, [0, 1], [1, 2])], title=text, x_label=text, y_label=text),
        lambda text: bar_plot([Bar(text, 1.0, marks=(Mark(text, 0.5),))], title=text),
        lambda text: histogram([1, 2], [1], title=text, x_label=text),
        lambda text: share_bar([(text, 1.0)], title=text),
    ],
)
def test_markup_in_text_is_escaped_and_what_xml_forbids_is_replaced(draw: Callable[[str], str]) -> None:
    svg = draw("<b>&\"'\x00\x0b\ud800𠮷")
    root = parse(svg)
    assert "<b>" not in svg and root.findtext(f"{SVG}title") == "<b>&\"'\ufffd\ufffd\ufffd𠮷"


@pytest.mark.parametrize(
    "low, high, expected",
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.12, 0.31, [0.15, 0.2, 0.25, 0.3])],
)
def test_ticks_are_round_numbers_within_the_range(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high, 5) == pytest.approx(expected)


def test_logarithmic_ticks_stay_few_and_within_the_range() -> None:
    assert log_ticks(1, 1000, 4) == [1, 10, 100, 1000]
    assert log_ticks(20, 900, 6) == [20, 50, 100, 200, 500]
    assert 1 <= len(log_ticks(1, 1e12, 5)) <= 5


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (950, "950"),
        (2434, "2,434"),
        (31_105, "31.1 k"),
        (1_450_542, "1.45 M"),
        (3.25e9, "3.25 G"),
        (0.5, "0.500"),
    ],
)
def test_numbers_are_written_short(value: float, text: str) -> None:
    assert compact(value).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.42, "0.4 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7790, "2 h 10 min"),
        (3599.9, "1 h 00 min"),
    ],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds).replace("\u00a0", " ") == text


def test_smoothing_keeps_a_straight_line() -> None:
    assert smooth([1, 2, 3, 4, 5], 1)[:4] == pytest.approx([1, 2, 3, 4])
    assert smooth([], 3) == []
