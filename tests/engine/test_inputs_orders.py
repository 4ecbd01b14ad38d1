"""Orders: a frame becomes a table of records, and every row that breaks a rule is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import InputError, Orders
from engine.records import FILL_KINDS, ORDER, TIFS
from tests.engine.markets import bars_of

NAN = np.nan
BARS = bars_of([[10.0, 10.0]] * 5, symbols=("AAPL", "MSFT"))
ENDS = pd.DatetimeIndex(BARS.bar_end).tz_localize("UTC")


def frame_of(*rows, index=None):
    """Orders with a market order in row 0 as the default of what a row does not say."""
    plain = {"bar_end": ENDS[1], "symbol": "MSFT", "quantity": 5.0, "kind": "market"}
    return pd.DataFrame([plain | row for row in rows], index=index)


def table_of(*rows, index=None):
    return Orders(frame_of(*rows, index=index)).table(BARS)


def test_orders_are_numbered_by_bar_and_then_by_row():
    table = table_of(
        {"bar_end": ENDS[3], "quantity": 1.0},
        {"bar_end": ENDS[0], "quantity": 2.0, "symbol": "AAPL"},
        {"bar_end": ENDS[3], "quantity": -3.0, "symbol": "AAPL"},
        {"bar_end": ENDS[1], "quantity": 4.0},
    )
    assert table.dtype == ORDER
    assert table["bar"].tolist() == [0, 1, 3, 3]
    assert table["quantity"].tolist() == [2.0, 4.0, 1.0, -3.0]
    assert table["asset"].tolist() == [0, 1, 1, 0]


def test_new_order_has_done_nothing_yet():
    (order,) = table_of({"quantity": -5})
    said = {name: order[name] for name in ORDER.names}
    numbers = {name: said.pop(name) for name in ("bar", "asset", "kind", "quantity", "rest")}
    assert numbers == {"bar": 1, "asset": 1, "kind": FILL_KINDS.index("market"), "quantity": -5.0, "rest": -5.0}
    for name in ("limit_price", "stop_price", "trail", "trail_rate", "reference"):
        assert np.isnan(said.pop(name))
    for name in ("oco_group", "parent", "active_bar", "met_bar", "met_slice"):
        assert said.pop(name) == -1
    assert set(said.values()) == {0}


def test_table_is_new_each_time_and_may_be_written():
    orders = Orders(frame_of({}))
    first = orders.table(BARS)
    first["rest"] = 0.0
    assert orders.table(BARS)["rest"].tolist() == [5.0]


def test_every_kind_takes_its_prices():
    table = table_of(
        {"kind": "moo"},
        {"kind": "moc"},
        {"kind": "limit", "limit_price": 9.0},
        {"kind": "stop", "stop_price": 12},
        {"kind": "stop_limit", "limit_price": 9.0, "stop_price": 12.0},
        {"kind": "trailing_stop", "trail": 1.5},
        {"kind": "trailing_stop", "trail_rate": 0.25, "stop_price": 8.0},
    )
    assert [FILL_KINDS[kind] for kind in table["kind"]] == [
        "moo", "moc", "limit", "stop", "stop_limit", "trailing_stop", "trailing_stop",
    ]  # fmt: skip
    np.testing.assert_array_equal(table["limit_price"], [NAN, NAN, 9.0, NAN, 9.0, NAN, NAN])
    np.testing.assert_array_equal(table["stop_price"], [NAN, NAN, NAN, 12.0, 12.0, NAN, 8.0])
    np.testing.assert_array_equal(table["trail"], [NAN] * 5 + [1.5, NAN])
    np.testing.assert_array_equal(table["trail_rate"], [NAN] * 6 + [0.25])


def test_time_in_force_is_read_and_good_till_cancelled_by_default():
    given = [{}, *({"tif": tif} for tif in (None, "gtc", "day", "ioc", "bars:1", "bars:21"))]
    table = table_of(*given)
    assert [TIFS[tif] for tif in table["tif"]] == ["gtc", "gtc", "gtc", "day", "ioc", "bars", "bars"]
    assert table["tif_bars"].tolist() == [0, 0, 0, 0, 0, 1, 21]


@pytest.mark.parametrize("names", [("x", "y"), (7, 3), (1.5, 0.5), (("a", 1), ("b", 1)), (7, "7")])
def test_groups_of_any_name_are_numbered_by_their_first_order(names):
    one, two = names
    groups = [None, one, two, one, two, NAN]
    frame = frame_of(*({"bar_end": ENDS[4 - i // 2]} for i in range(6)))
    frame["oco_group"] = pd.Series(groups, dtype=object)
    assert Orders(frame).table(BARS)["oco_group"].tolist() == [0, -1, 0, 3, -1, 3]


@pytest.mark.parametrize(
    ("index", "parents"),
    [
        (None, [None, None, 0, 1]),
        ([10, 20, 30, 40], [NAN, NAN, 10, 20]),
        (["in", "up", "out", "down"], [None, None, "in", "up"]),
        ([("a", 1), ("a", 2), ("b", 1), ("b", 2)], [None, None, ("a", 1), ("a", 2)]),
    ],
)
def test_parent_is_found_by_its_label_and_given_by_its_number(index, parents):
    frame = frame_of(*({"bar_end": ENDS[bar]} for bar in (3, 1, 4, 2)))
    if index is not None:
        frame.index = pd.Index(index, tupleize_cols=False)
    frame["parent"] = pd.Series(parents, index=frame.index, dtype=None if index == [10, 20, 30, 40] else object)
    table = Orders(frame).table(BARS)
    assert table["bar"].tolist() == [1, 2, 3, 4]
    assert table["parent"].tolist() == [-1, 0, -1, 2]


def test_child_may_stand_before_its_parent_in_the_frame_and_have_children():
    table = table_of({"parent": 2}, {"parent": 0}, {}, {"parent": 2})
    assert table["parent"].tolist() == [2, 0, -1, 2]


def test_no_orders_are_orders():
    assert Orders(frame_of({}).iloc[:0]).table(BARS).shape == (0,)
    assert Orders(pd.DataFrame(columns=["bar_end", "symbol", "quantity", "kind"])).table(BARS).dtype == ORDER


def test_times_of_another_zone_and_unit_and_text_of_another_type_are_the_same_orders():
    frame = frame_of({"kind": "limit", "limit_price": 9}, {"quantity": -2, "tif": "day"})
    other = frame.assign(bar_end=frame["bar_end"].dt.tz_convert("Asia/Tokyo").dt.as_unit("ns"))
    for name in ("symbol", "kind", "tif"):
        other[name] = other[name].astype("category")
    other["quantity"] = other["quantity"].astype("Int64")
    other["limit_price"] = other["limit_price"].astype("Float64")
    assert Orders(other).table(BARS).tobytes() == Orders(frame).table(BARS).tobytes()


def test_a_long_line_of_descendants_is_no_circle_and_a_long_circle_is_one():
    n = 1_000
    frame = frame_of(*[{}] * n)
    frame["parent"] = [*range(1, n), NAN]
    assert Orders(frame).table(BARS)["parent"].tolist() == [*range(1, n), -1]
    frame["parent"] = [*range(1, n), 0]
    with pytest.raises(InputError, match="a parent must not descend from its own child"):
        Orders(frame).table(BARS)
