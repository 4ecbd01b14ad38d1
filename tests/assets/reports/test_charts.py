"""Charts as text: extremes survive, axes are round, pictures are small and ask for nothing."""

from __future__ import annotations

import base64
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assets.reports import Line, data_uri, drawdown_chart, line_chart, markdown_image, sparkline
from assets.reports.charts import heat_class
from assets.reports.scales import date_ticks, downsample, log_ticks, padded_range, round_ticks

DAY = np.timedelta64(1, "D")
START = np.datetime64("2004-01-05T21:00", "us")


def days(n: int) -> np.ndarray:
    return START + np.arange(n) * DAY


def walk(n: int, seed: int = 0) -> np.ndarray:
    return 1e5 * np.exp(np.cumsum(np.random.default_rng(seed).normal(2e-4, 0.012, n)))


def test_a_spike_of_one_bar_survives_downsampling() -> None:
    y = walk(5000)
    y[1234], y[4321] = 1e9, 1.0
    rows = downsample(y, 400)
    assert len(rows) <= 402
    assert {0, 1234, 4321, 4999} <= set(rows)
    assert (np.diff(rows) > 0).all()


def test_a_gap_stays_a_gap_when_downsampled() -> None:
    y = walk(5000)
    y[2000:3000] = np.nan
    rows = downsample(y, 400)
    assert np.isnan(y[rows]).sum() >= 35


def test_a_short_series_keeps_every_row() -> None:
    assert downsample(np.arange(7.0), 400).tolist() == list(range(7))
    assert downsample(np.empty(0), 400).size == 0


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    assume(width > 1e-5 * abs(low))
    high = low + width
    ticks = round_ticks(low, high)
    assert all(low - 1e-6 * width <= tick <= high + 1e-6 * width for tick in ticks)
    assert len(ticks) <= 7
    if len(ticks) > 1:
        step = ticks[1] - ticks[0]
        mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5)) < 1e-3


def test_ticks_of_a_known_range() -> None:
    assert round_ticks(-0.35, 0.0, 4) == [-0.3, -0.2, -0.1, 0.0]
    assert log_ticks(8e4, 9e5) == [1e5, 1.5e5, 2e5, 3e5, 5e5, 7e5]
    assert len(log_ticks(1.0, 1e9)) <= 6


@pytest.mark.parametrize(
    ("n", "labels"),
    [
        (1, ["5 Jan 2004"]),
        (4, ["6 Jan", "7 Jan", "8 Jan"]),
        (200, ["Feb 2004", "Mar 2004", "Apr 2004", "May 2004", "Jun 2004", "Jul 2004"]),
        (2000, ["2005", "2006", "2007", "2008", "2009"]),
        (7700, ["2005", "2010", "2015", "2020", "2025"]),
    ],
)
def test_dates_are_labelled_at_round_places(n: int, labels: list[str]) -> None:
    at = days(n)
    ticks = date_ticks(at[0], at[-1])
    assert [text for _, text in ticks] == labels
    assert all(at[0] <= instant <= at[-1] for instant, _ in ticks)


def test_minutes_of_one_session_get_hours() -> None:
    labels = [text for _, text in date_ticks(START - np.timedelta64(390, "m"), START)]
    assert labels == ["15:00", "16:00", "17:00", "18:00", "19:00", "20:00", "21:00"]


def test_a_flat_series_gets_room_on_both_sides() -> None:
    for value in (0.0, 5.0, -3.0, 1e9):
        low, high = padded_range(np.full(3, value))
        assert low < value < high
    assert padded_range(np.full(3, np.nan)) == (0.0, 1.0)


def test_a_sparkline_of_twenty_years_is_below_eight_kilobytes() -> None:
    uri = data_uri(sparkline(days(5040), walk(5040)))
    assert len(uri) < 8000
    root = ElementTree.fromstring(base64.b64decode(uri.partition(",")[2]))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5000])
@pytest.mark.parametrize("fill", [None, 1e5, 0.0, np.nan, np.inf, -1.0])
@pytest.mark.parametrize("is_log", [False, True])
def test_charts_of_any_series_are_well_formed(n: int, fill: float | None, is_log: bool) -> None:
    y = walk(n) if fill is None else np.full(n, fill)
    shaded = np.arange(n) < n // 2
    for svg in (
        line_chart(
            days(n),
            [Line(y[::-1], "other"), Line(y, is_area=True)],
            label='<a> & "b"',
            is_log=is_log,
            baseline=1e5,
            shaded=shaded,
            width=800,
        ),
        drawdown_chart(days(n), np.minimum(y / 1e5 - 1, 0), label="fall", width=800),
        sparkline(days(n), y),
    ):
        ElementTree.fromstring(svg)
        assert not re.search(r"\bnan\b|\binf\b", svg)


def test_a_line_with_one_value_is_seen_as_a_dot() -> None:
    y = np.array([np.nan, 5.0, np.nan])
    assert "<circle" in line_chart(days(3), [Line(y)], label="one")
    assert "<circle" not in line_chart(days(3), [Line(np.arange(3.0))], label="three")


def test_a_gap_breaks_the_line() -> None:
    y = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    svg = line_chart(days(5), [Line(y)], label="gap")
    path = re.search(r'class="ql-main" d="([^"]+)"', svg)
    assert path is not None and path[1].count("M") == 2


def test_higher_values_are_drawn_higher() -> None:
    svg = line_chart(days(2), [Line(np.array([1.0, 2.0]))], label="up")
    path = re.search(r'class="ql-main" d="M(\d+) (\d+)L(\d+) (\d+)"', svg)
    assert path is not None
    x0, y0, x1, y1 = map(int, path.groups())
    assert x0 < x1 and y0 > y1


def test_the_words_of_a_markdown_image_cannot_leave_it() -> None:
    text = markdown_image(sparkline(days(3), np.arange(3.0)), "a](http://x) <b>\n")
    assert re.fullmatch(r"!\[ahttp://x b\]\(data:image/svg\+xml;base64,[A-Za-z0-9+/=]+\)", text)


def test_heat_deepens_with_size_and_knows_the_sign() -> None:
    assert [heat_class(v, 0.1) for v in (0.0, 0.0005, 0.01, 0.05, 0.099, 0.1, 9.0)] == [
        "z", "z", "p1", "p3", "p5", "p5", "p5",
    ]  # fmt: skip
    assert heat_class(-0.05, 0.1) == "n3"
    assert heat_class(math.nan, 0.1) == "z"
    assert heat_class(0.1, 0.0) == "z"
