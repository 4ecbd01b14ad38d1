"""Walk-forward windows: calendar years that tile time, and nothing of a test year in its training."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.errors import WalkForwardError
from strategies.walk_forward import WalkForwardSettings, plan


def daily(first: str, last: str) -> np.ndarray:
    days = np.arange(np.datetime64(first), np.datetime64(last) + np.timedelta64(1, "D"))
    return (days[np.is_busday(days)].astype("datetime64[us]") + np.timedelta64(21, "h")).astype("datetime64[us]")


def quarterly(n_years: int, first_year: int = 2000) -> np.ndarray:
    """Four bars a year, the first on 3 January."""
    return np.array(
        [f"{first_year + year}-{month}-03T21:00" for year in range(n_years) for month in ("01", "04", "07", "10")],
        dtype="datetime64[us]",
    )


def parts(windows):
    return [((w.train.start, w.train.stop), (w.test.start, w.test.stop)) for w in windows]


def test_rolling_windows_train_on_the_years_before_each_test_year():
    windows = plan(quarterly(6), WalkForwardSettings(train_years=2))
    assert [window.key for window in windows] == ["2002", "2003", "2004", "2005"]
    assert parts(windows) == [((0, 8), (8, 12)), ((4, 12), (12, 16)), ((8, 16), (16, 20)), ((12, 20), (20, 24))]


def test_anchored_windows_train_on_everything_before():
    windows = plan(quarterly(6), WalkForwardSettings(train_years=2, anchored=True))
    assert parts(windows) == [((0, 8), (8, 12)), ((0, 12), (12, 16)), ((0, 16), (16, 20)), ((0, 20), (20, 24))]


def test_purging_drops_the_last_training_bars_and_no_test_bar():
    windows = plan(quarterly(5), WalkForwardSettings(train_years=2, purge_bars=1))
    assert parts(windows) == [((0, 7), (8, 12)), ((4, 11), (12, 16)), ((8, 15), (16, 20))]
    anchored = plan(quarterly(5), WalkForwardSettings(train_years=2, purge_bars=3, anchored=True))
    assert parts(anchored) == [((0, 5), (8, 12)), ((0, 9), (12, 16)), ((0, 13), (16, 20))]


def test_the_sample_tests_from_the_first_year_with_three_whole_ones_before_it():
    bar_end = daily("2000-03-01", "2013-03-01")
    windows = plan(bar_end, WalkForwardSettings(train_years=3))
    assert [window.key for window in windows] == [str(year) for year in range(2004, 2014)]
    first, last = windows[0], windows[-1]
    assert str(bar_end[first.train][0])[:10] == "2001-01-01"
    assert str(bar_end[first.train][-1])[:10] == "2003-12-31"
    assert str(bar_end[last.test][-1])[:10] == "2013-03-01"


@pytest.mark.parametrize(("first", "key"), [("2001-01-02", "2003"), ("2001-01-10", "2003"), ("2001-01-11", "2004")])
def test_a_year_is_whole_if_its_bars_begin_in_its_first_ten_days(first, key):
    assert plan(daily(first, "2006-06-30"), WalkForwardSettings(train_years=2))[0].key == key


@settings(max_examples=60, deadline=None)
@given(
    first=st.dates(min_value=dt.date(1990, 1, 1), max_value=dt.date(2005, 12, 31)),
    n_days=st.integers(1, 5000),
    train_years=st.integers(1, 6),
    anchored=st.booleans(),
    purge_bars=st.integers(0, 30),
)
def test_the_test_parts_tile_time_once_and_no_training_bar_is_near_them(
    first, n_days, train_years, anchored, purge_bars
):
    bar_end = daily(first.isoformat(), (first + dt.timedelta(n_days)).isoformat())
    try:
        windows = plan(bar_end, WalkForwardSettings(train_years, anchored, purge_bars))
    except WalkForwardError as error:
        assert f"train_years {train_years} needs {train_years + 1} whole years" in str(error)
        return
    tested = [t for window in windows for t in range(len(bar_end))[window.test]]
    assert tested == list(range(windows[0].test.start, len(bar_end)))
    for window in windows:
        train, test = range(len(bar_end))[window.train], range(len(bar_end))[window.test]
        assert train and test
        assert {str(bar_end[t])[:4] for t in test} == {window.key}
        assert test[0] - train[-1] == purge_bars + 1
        n_years = int(window.key) - int(str(bar_end[train[0]])[:4])
        assert n_years >= train_years if anchored else n_years == train_years


def test_keys_choose_windows_in_order_of_time():
    windows = plan(quarterly(6), WalkForwardSettings(train_years=2), ["2005", "2003"])
    assert [window.key for window in windows] == ["2003", "2005"]
    assert plan(quarterly(6), WalkForwardSettings(train_years=2), []) == ()


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda: plan(quarterly(3), WalkForwardSettings(train_years=3)),
            r"train_years 3 needs 4 whole years of bars \(3 to train on, 1 to test\), there are 3 "
            r"\(12 bars, 2000-01-03 to 2002-10-03\)",
        ),
        (lambda: plan(daily("2000-03-01", "2002-12-31"), WalkForwardSettings(train_years=2)), "there are 2"),
        (lambda: plan(quarterly(0), WalkForwardSettings()), r"there are 0 \(0 bars\)"),
        (
            lambda: plan(quarterly(4), WalkForwardSettings(train_years=1, purge_bars=4)),
            "window 2001 has 4 training bars, and purge_bars leaves out 4",
        ),
        (
            lambda: plan(quarterly(4), WalkForwardSettings(train_years=1), ["2020"]),
            "there is no walk-forward window '2020' among 2001 to 2003; did you mean '",
        ),
        (
            lambda: plan(quarterly(4), WalkForwardSettings(train_years=1), ["x"]),
            "there is no walk-forward window 'x' among 2001 to 2003; known: 2001, 2002, 2003",
        ),
        (lambda: plan(quarterly(4)[::-1], WalkForwardSettings()), "strictly increasing"),
        (lambda: plan(np.arange(5), WalkForwardSettings()), "must be datetime64"),
        (lambda: WalkForwardSettings(train_years=0), "train_years must be a whole number of at least 1, was 0"),
        (lambda: WalkForwardSettings(purge_bars=-1), "purge_bars must be"),
        (lambda: WalkForwardSettings(n_trials=1.5), "n_trials must be"),
        (lambda: WalkForwardSettings(anchored=1), "anchored must be true or false"),
    ],
)
def test_windows_that_do_not_fit_are_refused_with_both_lengths(ask, says):
    with pytest.raises(WalkForwardError, match=says):
        ask()
