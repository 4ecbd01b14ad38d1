"""Orders that break a rule are refused with the rule, the value and the row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import InputError, Orders
from tests.engine.test_inputs_orders import BARS, ENDS, NAN, frame_of, table_of

HERE = "row 1 (MSFT at 2020-01-02 21:00 UTC)"
KINDS = "kind must be one of market, moo, moc, limit, stop, stop_limit, trailing_stop"
NO_BAR = "bar_end must be the end of a bar, none ends"
ONE_GROUP = "an order and its parent must not share an oco_group, whose other members a fill cancels"
TIF = "tif must be gtc, day, ioc, or bars:n with n from 1 to 2147483647"


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"bar_end": ENDS[1] + pd.Timedelta(1, "us")}, f"{NO_BAR} at row 1 (MSFT at 2020-01-02 21:00:00.000001 UTC)"),
        ({"bar_end": ENDS[4] + pd.Timedelta(1, "D")}, f"{NO_BAR} at row 1 (MSFT at 2020-01-06 21:00 UTC)"),
        ({"bar_end": pd.NaT}, f"{NO_BAR} at row 1 (MSFT at NaT)"),
        ({"symbol": "MSTF"}, "no bars for the symbol 'MSTF' at row 1 (MSTF at 2020-01-02 21:00 UTC); did you mean 'MS"),
        ({"symbol": None}, "no bars for the symbol nan at row 1 ("),
        ({"kind": "limt"}, f"{KINDS}, was 'limt' at {HERE}; did you mean 'limit'?"),
        ({"kind": "target"}, f"was 'target' at {HERE}"),
        ({"quantity": 0.0}, f"quantity must be finite and not 0, was 0.0 at {HERE}"),
        ({"quantity": NAN}, f"quantity must be finite and not 0, was nan at {HERE}"),
        ({"quantity": -np.inf}, f"quantity must be finite and not 0, was -inf at {HERE}"),
        ({"kind": "limit"}, f"a limit order needs a limit_price, had none at {HERE}"),
        ({"kind": "stop", "limit_price": 9.0}, f"a stop order has no limit_price, was 9.0 at {HERE}"),
        ({"kind": "stop"}, f"a stop order needs a stop_price, had none at {HERE}"),
        ({"kind": "stop_limit", "stop_price": 9.0}, f"a stop_limit order needs a limit_price, had none at {HERE}"),
        ({"kind": "stop_limit", "limit_price": 9.0}, f"a stop_limit order needs a stop_price, had none at {HERE}"),
        ({"limit_price": 9.0}, f"a market order has no limit_price, was 9.0 at {HERE}"),
        ({"kind": "moc", "stop_price": 9.0}, f"a moc order has no stop_price, was 9.0 at {HERE}"),
        ({"kind": "limit", "limit_price": 9.0, "trail": 1.0}, f"a limit order has no trail, was 1.0 at {HERE}"),
        ({"kind": "moo", "trail_rate": 0.1}, f"a moo order has no trail_rate, was 0.1 at {HERE}"),
        ({"kind": "limit", "limit_price": 0.0}, f"limit_price must be positive and finite, was 0.0 at {HERE}"),
        ({"kind": "stop", "stop_price": -1.0}, f"stop_price must be positive and finite, was -1.0 at {HERE}"),
        ({"kind": "stop", "stop_price": np.inf}, f"stop_price must be positive and finite, was inf at {HERE}"),
        ({"kind": "trailing_stop", "trail": -1.0}, f"trail must be positive and finite, was -1.0 at {HERE}"),
        ({"kind": "trailing_stop", "trail_rate": 1.0}, f"trail_rate must be above 0 and below 1, was 1.0 at {HERE}"),
        ({"kind": "trailing_stop", "trail_rate": 0.0}, f"trail_rate must be above 0 and below 1, was 0.0 at {HERE}"),
        ({"kind": "trailing_stop"}, f"a trailing_stop order needs trail or trail_rate, had neither at {HERE}"),
        (
            {"kind": "trailing_stop", "trail": 1.0, "trail_rate": 0.1},
            f"takes either trail or trail_rate, had 1.0 and 0.1 at {HERE}",
        ),
        (
            {"kind": "trailing_stop", "trail": 1.0, "limit_price": 9.0},
            f"a trailing_stop order has no limit_price, was 9.0 at {HERE}",
        ),
        ({"tif": "dya"}, f"{TIF}, was 'dya' at {HERE}; did you mean 'day'?"),
        ({"tif": "bars:0"}, f"was 'bars:0' at {HERE}"),
        ({"tif": "bars:-1"}, f"was 'bars:-1' at {HERE}"),
        ({"tif": "bars:1.5"}, f"was 'bars:1.5' at {HERE}"),
        ({"tif": "bars:"}, f"was 'bars:' at {HERE}"),
        ({"tif": "bars"}, f"was 'bars' at {HERE}"),
        ({"tif": "bars:2147483648"}, f"was 'bars:2147483648' at {HERE}"),
        ({"tif": "bars:٣"}, f"was 'bars:٣' at {HERE}"),
        ({"tif": 5}, f"was 5.0 at {HERE}"),
    ],
)
def test_row_that_breaks_a_rule_is_named(row, rule):
    with pytest.raises(InputError) as error:
        table_of({}, row)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ([{}, {"parent": 7}], f"parent must be the label of a row, was 7.0 at {HERE}"),
        ([{}, {"parent": 1}], f"an order must not be its own parent, was at {HERE}"),
        ([{"symbol": "AAPL"}, {"parent": 0}], f"of its child, was row 0 (AAPL at 2020-01-02 21:00 UTC) for {HERE}"),
        (
            [{"bar_end": ENDS[2]}, {"parent": 0}],
            f"of its child or before, was row 0 (MSFT at 2020-01-03 21:00 UTC) for {HERE}",
        ),
        (
            [{"oco_group": "x"}, {"oco_group": "x", "parent": 0}],
            f"{ONE_GROUP}, was row 0 (MSFT at 2020-01-02 21:00 UTC) for {HERE}",
        ),
        ([{"parent": 1}, {"parent": 0}], "a parent must not descend from its own child, did for row "),
        ([{"parent": 2}, {"parent": 0}, {"parent": 1}, {"parent": 0}], "a parent must not descend from its own child"),
        ([{"oco_group": "x", "symbol": "AAPL"}, {"oco_group": "x"}], f"of one symbol, 'x' held others before {HERE}"),
    ],
)
def test_ties_that_cannot_be_are_refused(rows, rule):
    with pytest.raises(InputError) as error:
        table_of(*rows)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda frame: frame.assign(qty=1.0), "orders have no column 'qty'; known: bar_end, kind,"),
        (lambda frame: frame.assign(limit=1.0), "orders have no column 'limit'; did you mean 'limit_price'?"),
        (
            lambda frame: frame.rename(columns={"quantity": "quantiy"}),
            "need the column 'quantity'; did you mean 'quantiy'?",
        ),
        (lambda frame: pd.concat([frame, frame[["kind"]]], axis=1), "columns of orders must be unique"),
        (lambda frame: frame.to_numpy(), "orders must be a pandas frame, was ndarray"),
        (lambda frame: frame.assign(bar_end=frame["bar_end"].dt.tz_localize(None)), "bar_end must be timezone-aware"),
        (lambda frame: frame.assign(bar_end="2020-01-02"), "bar_end must be timezone-aware times, was str"),
        (lambda frame: frame.assign(quantity="5"), "quantity must be numbers, was string"),
        (lambda frame: frame.assign(quantity=True), "quantity must be numbers, was boolean"),
        (lambda frame: frame.assign(limit_price=[1.0, "x"]), "limit_price must be numbers, was mixed"),
        (lambda frame: frame.assign(symbol=[["MSFT"], ["MSFT"]]), "symbol must be a text in each row"),
        (lambda frame: frame.assign(tif=[["day"], None]), "tif must be a text in each row"),
        (lambda frame: frame.assign(oco_group=[["x"], ["x"]]), "oco_group must be a text or a number in each row"),
        (lambda frame: frame.assign(parent=[None, ["x"]]), "parent must be a label of the index in each row"),
        (lambda frame: frame.set_axis([0, 0]).assign(parent=[None, 0]), "the index of orders must be unique"),
    ],
)
def test_frame_that_breaks_a_rule_is_refused(spoil, rule):
    with pytest.raises(InputError) as error:
        Orders(spoil(frame_of({}, {}))).table(BARS)
    assert rule in str(error.value)
