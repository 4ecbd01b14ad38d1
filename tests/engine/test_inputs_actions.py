"""Corporate actions: where they take effect, when dividends are paid, and what is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from engine import Actions, InputError
from tests.engine.markets import bars_of

NAN = np.nan


def four_bars():
    return bars_of([[10.0, 10.0]] * 4, symbols=("AAPL", "MSFT"))


def actions_frame(*rows, columns=("symbol", "ex_date", "kind", "value")):
    return pd.DataFrame(rows, columns=list(columns))


def paid_frame(*rows):
    return actions_frame(*rows, columns=("symbol", "ex_date", "kind", "value", "pay_date"))


def test_actions_take_effect_at_the_first_bar_of_their_date_or_later():
    bars = four_bars()[::2]
    frame = actions_frame(
        ("AAPL", "2020-01-02", "split", 2.0),
        ("AAPL", "2020-01-03", "split", 3.0),
        ("MSFT", "2020-01-01", "dividend", 0.5),
        ("MSFT", "2020-01-02", "dividend", 0.25),
        ("MSFT", "2020-01-03", "dividend", 0.25),
        ("AAPL", "2019-12-31", "dividend", 9.0),
        ("AAPL", "2020-01-04", "dividend", 9.0),
        ("MSFT", "2020-01-03", "delisting", -0.3),
    )
    actions = Actions.from_frame(bars, frame)
    assert actions.split.tolist() == [[1.0, 1.0], [6.0, 1.0]]
    assert actions.dividend.tolist() == [[0.0, 0.5], [0.0, 0.5]]
    np.testing.assert_array_equal(actions.delisting, [[NAN, NAN], [NAN, -0.3]])
    assert actions.events.bar.tolist() == [0, 1, 1]
    assert actions.pay_bar is None
    assert actions.events.pay_bar.tolist() == [0, 1, 1]
    assert actions.events.pay_order.tolist() == [0, 1, 2]


def test_dividends_are_paid_at_the_first_bar_of_their_pay_date_or_later():
    bars = bars_of([[10.0, 10.0]] * 7, symbols=("AAPL", "MSFT"))[::2]  # 1, 3, 5 and 7 January
    frame = paid_frame(
        ("AAPL", "2020-01-01", "dividend", 1.0, "2020-01-07"),
        ("MSFT", "2020-01-01", "dividend", 1.0, "2020-01-02"),
        ("AAPL", "2020-01-03", "dividend", 1.0, None),
        ("MSFT", "2020-01-03", "split", 2.0, "2020-01-01"),
        ("AAPL", "2020-01-05", "dividend", 1.0, "2020-01-08"),
        ("MSFT", "2020-01-05", "dividend", 1.0, "2020-01-05"),
    )
    events = Actions.from_frame(bars, frame).events
    assert list(zip(events.bar.tolist(), events.asset.tolist(), events.pay_bar.tolist(), strict=True)) == [
        (0, 0, 3),
        (0, 1, 1),
        (1, 0, 1),
        (1, 1, 1),
        (2, 0, 4),
        (2, 1, 2),
    ]
    assert events.pay_order.tolist() == [1, 2, 3, 5, 0, 4]
    assert events.pay_bar.dtype == events.pay_order.dtype == np.int64


def test_of_dividends_that_meet_on_one_bar_the_latest_pay_date_counts():
    bars = four_bars()
    frame = paid_frame(
        ("AAPL", "2020-01-02", "dividend", 1.0, "2020-01-04"),
        ("AAPL", "2020-01-02", "dividend", 2.0, "2020-01-03"),
    )
    events = Actions.from_frame(bars, frame).events
    assert (events.dividend.tolist(), events.pay_bar.tolist()) == ([3.0], [3])


def test_pay_dates_that_are_all_missing_are_none():
    bars = four_bars()
    for missing in (None, pd.NaT, NAN):
        frame = paid_frame(("AAPL", "2020-01-02", "dividend", 1.0, missing))
        assert Actions.from_frame(bars, frame).pay_bar is None


def test_slice_of_actions_keeps_who_is_paid_when():
    bars = bars_of([[10.0]] * 8, symbols=("AAPL",))
    frame = paid_frame(
        ("AAPL", "2020-01-01", "dividend", 1.0, "2020-01-04"),
        ("AAPL", "2020-01-03", "dividend", 1.0, "2020-01-05"),
        ("AAPL", "2020-01-04", "dividend", 1.0, "2020-01-08"),
    )
    actions = Actions.from_frame(bars, frame)
    assert actions.events.pay_bar.tolist() == [3, 4, 7]
    part = actions[2:6]
    assert (part.events.bar.tolist(), part.events.pay_bar.tolist()) == ([0, 1], [2, 4])
    assert part.split.shape == (4, 1)
    assert actions[-6:-2].events.pay_bar.tolist() == [2, 4]
    assert actions[2:][:4].events.pay_bar.tolist() == [2, 4]
    assert actions[:].events.pay_bar.tolist() == [3, 4, 7]


@pytest.mark.parametrize("dates", [["2020-01-02"], [dt.date(2020, 1, 2)], pd.DatetimeIndex(["2020-01-02"])])
def test_dates_of_any_type_are_the_same_day(dates):
    bars = four_bars()
    frame = pd.DataFrame({"symbol": "AAPL", "ex_date": dates, "kind": "split", "value": 2.0})
    assert Actions.from_frame(bars, frame).split[:, 0].tolist() == [1.0, 2.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("AAPL", "2020-01-02", "spilt", 2.0), "was 'spilt'; did you mean 'split'?"),
        (("AAPL", "2020-01-02", None, 2.0), "kind must be one of split, dividend, delisting, was"),
        (("APPL", "2020-01-02", "split", 2.0), "no bars for the symbol 'APPL'; did you mean 'AAPL'?"),
        (("AAPL", "2020-01-02", "split", 0.0), "split must be positive and finite, was 0.0 for AAPL at 2020-01-02"),
        (("AAPL", "2020-01-02", "dividend", NAN), "dividend must be zero or positive, and finite, was nan for AAPL"),
        (("AAPL", "2020-01-02", "dividend", "1"), "dividend must be a number, was '1' for AAPL at 2020-01-02"),
        (("AAPL", "2020-01-02", "delisting", -1.5), "delisting must be a return of at least -1, was -1.5 for AAPL"),
        (("AAPL", None, "split", 2.0), "ex_date must not be missing"),
        (("AAPL", 20200102, "split", 2.0), "ex_date must be dates, was int64"),
        (("AAPL", "soon", "split", 2.0), "ex_date must be dates (Unknown datetime string format"),
        (
            ("AAPL", pd.Timestamp("2020-01-02", tz="Asia/Tokyo"), "split", 2.0),
            "ex_date must be dates without a timezone, was datetime64[us, Asia/Tokyo]",
        ),
    ],
)
def test_bad_action_is_refused(row, rule):
    with pytest.raises(InputError) as error:
        Actions.from_frame(four_bars(), actions_frame(row))
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("pay_date", "rule"),
    [
        ("2020-01-01", "pay_date must not be before ex_date, was 2020-01-01 for AAPL at 2020-01-02"),
        (20200105, "pay_date must be dates, was int64"),
        (pd.Timestamp("2020-01-05", tz="UTC"), "pay_date must be dates without a timezone"),
    ],
)
def test_bad_pay_date_is_refused(pay_date, rule):
    with pytest.raises(InputError) as error:
        Actions.from_frame(four_bars(), paid_frame(("AAPL", "2020-01-02", "dividend", 1.0, pay_date)))
    assert rule in str(error.value)


def test_column_that_is_missing_is_named_with_the_nearest():
    frame = actions_frame(("AAPL", "2020-01-02", "split", 2.0)).rename(columns={"ex_date": "exdate"})
    with pytest.raises(InputError, match="actions need the column 'ex_date'; did you mean 'exdate'?"):
        Actions.from_frame(four_bars(), frame)


def test_asset_is_delisted_once():
    bars = bars_of([[10.0]] * 4, symbols=("AAPL",))
    frame = actions_frame(("AAPL", "2020-01-02", "delisting", 0.0), ("AAPL", "2020-01-03", "delisting", 0.0))
    with pytest.raises(InputError, match="an asset is delisted once"):
        Actions.from_frame(bars, frame)


def test_bad_action_array_is_refused():
    bars = bars_of([[10.0]] * 2)
    none = Actions.none(bars)
    for split in (0.0, -1.0, NAN, np.inf):
        with pytest.raises(InputError, match="split must be positive and finite"):
            Actions(np.full((2, 1), split), none.dividend, none.delisting)
    with pytest.raises(InputError, match="dividend must be zero or positive, and finite, was nan at bar 0, asset 0"):
        Actions(none.split, np.full((2, 1), NAN), none.delisting)
    with pytest.raises(InputError, match="delisting must be a return of at least -1"):
        Actions(none.split, none.dividend, np.full((2, 1), -1.01))


@pytest.mark.parametrize(
    ("pay_bar", "rule"),
    [
        (np.array([[0], [0]]), "pay_bar must not be before its own bar 1, was 0 for asset 0"),
        (np.array([[0.0], [1.0]]), "pay_bar must be whole numbers of bars, was float64"),
        (np.array([0, 1]), r"pay_bar must have the shape of the bars \(2, 1\), had \(2,\)"),
    ],
)
def test_bad_pay_bar_is_refused(pay_bar, rule):
    none = Actions.none(bars_of([[10.0]] * 2))
    with pytest.raises(InputError, match=rule):
        Actions(none.split, np.array([[0.0], [1.0]]), none.delisting, pay_bar)


def test_pay_bar_counts_only_where_there_is_a_dividend_and_never_past_the_end():
    none = Actions.none(bars_of([[10.0]] * 3))
    actions = Actions(np.full((3, 1), 2.0), np.array([[0.0], [1.0], [0.0]]), none.delisting, np.array([[9], [9], [0]]))
    assert actions.events.pay_bar.tolist() == [0, 3, 2]
    assert actions.events.pay_order.tolist() == [0, 2, 1]
