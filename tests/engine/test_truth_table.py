"""Every kind of order against every shape of bar: the price it fills at, written by hand, for both engines.

A bar is (open, high, low, close), None a missing one; bar 0 closes at 100 and is where everything is decided.
"""

from __future__ import annotations

import pytest

from engine import Account, Execution, TargetUnits
from engine.risk import Risk
from tests.engine.comparison import ENGINES
from tests.engine.markets import Market, orders_of, session_times, shaped_bars, targets

FLAT = (100.0, 100.0, 100.0, 100.0)
NONE = None

LIMIT_BUY = {"quantity": 1.0, "kind": "limit", "limit_price": 95.0}
LIMIT_SELL = {"quantity": -1.0, "kind": "limit", "limit_price": 105.0}
STOP_BUY = {"quantity": 1.0, "kind": "stop", "stop_price": 105.0}
STOP_SELL = {"quantity": -1.0, "kind": "stop", "stop_price": 95.0}
TRAIL_BUY = {"quantity": 1.0, "kind": "trailing_stop", "trail": 5.0}
TRAIL_SELL = {"quantity": -1.0, "kind": "trailing_stop", "trail_rate": 0.05}
MARKET_BUY = {"quantity": 1.0, "kind": "market"}
MARKET_SELL = {"quantity": -1.0, "kind": "market"}


def stop_limit(quantity, stop, limit):
    return {"quantity": quantity, "kind": "stop_limit", "stop_price": stop, "limit_price": limit}


ONE_BAR = [
    # order, the bar it meets, its price
    (MARKET_BUY, (103.0, 104.0, 99.0, 101.0), 103.0),
    (MARKET_SELL, (103.0, 104.0, 99.0, 101.0), 103.0),
    (MARKET_BUY, None, None),
    ({"quantity": 1.0, "kind": "moo"}, (103.0, 104.0, 99.0, 101.0), 103.0),
    ({"quantity": 1.0, "kind": "moc"}, (103.0, 104.0, 99.0, 101.0), 101.0),
    ({"quantity": -1.0, "kind": "moc"}, None, None),
    (LIMIT_BUY, (93.0, 96.0, 92.0, 94.0), 93.0),  # gap through
    (LIMIT_BUY, (95.0, 96.0, 95.0, 96.0), 95.0),  # opens at it
    (LIMIT_BUY, (100.0, 101.0, 94.0, 96.0), 95.0),  # crosses
    (LIMIT_BUY, (100.0, 101.0, 95.0, 96.0), 95.0),  # touches
    (LIMIT_BUY, (100.0, 101.0, 95.5, 96.0), None),  # misses
    (LIMIT_BUY, None, None),
    (LIMIT_SELL, (107.0, 108.0, 104.0, 106.0), 107.0),
    (LIMIT_SELL, (105.0, 105.0, 104.0, 104.0), 105.0),
    (LIMIT_SELL, (100.0, 106.0, 99.0, 104.0), 105.0),
    (LIMIT_SELL, (100.0, 105.0, 99.0, 104.0), 105.0),
    (LIMIT_SELL, (100.0, 104.5, 99.0, 104.0), None),
    (LIMIT_SELL, None, None),
    (STOP_BUY, (107.0, 108.0, 104.0, 106.0), 107.0),
    (STOP_BUY, (105.0, 105.0, 104.0, 104.0), 105.0),
    (STOP_BUY, (100.0, 106.0, 99.0, 104.0), 105.0),
    (STOP_BUY, (100.0, 105.0, 99.0, 104.0), 105.0),
    (STOP_BUY, (100.0, 104.5, 99.0, 104.0), None),
    (STOP_BUY, None, None),
    (STOP_SELL, (93.0, 96.0, 92.0, 94.0), 93.0),
    (STOP_SELL, (95.0, 96.0, 95.0, 96.0), 95.0),
    (STOP_SELL, (100.0, 101.0, 94.0, 96.0), 95.0),
    (STOP_SELL, (100.0, 101.0, 95.0, 96.0), 95.0),
    (STOP_SELL, (100.0, 101.0, 95.5, 96.0), None),
    (STOP_SELL, None, None),
    (TRAIL_BUY, (107.0, 108.0, 104.0, 106.0), 107.0),
    (TRAIL_BUY, (100.0, 106.0, 90.0, 104.0), 105.0),  # the low moves it after the bar only
    (TRAIL_BUY, (100.0, 104.5, 90.0, 104.0), None),
    (TRAIL_SELL, (93.0, 96.0, 92.0, 94.0), 93.0),
    (TRAIL_SELL, (100.0, 110.0, 95.0, 104.0), 95.0),
    (TRAIL_SELL, (100.0, 110.0, 95.5, 104.0), None),
    (TRAIL_SELL, None, None),
    (stop_limit(1.0, 105.0, 107.0), (106.0, 108.0, 105.5, 106.0), 106.0),  # gap over the stop, below the limit
    (stop_limit(1.0, 105.0, 107.0), (109.0, 110.0, 106.0, 108.0), 107.0),  # gap over both, and back
    (stop_limit(1.0, 105.0, 107.0), (109.0, 110.0, 107.5, 108.0), None),  # gap over both
    (stop_limit(1.0, 105.0, 107.0), (100.0, 106.0, 99.0, 104.0), 105.0),  # triggered inside
    (stop_limit(1.0, 105.0, 107.0), (100.0, 104.5, 99.0, 104.0), None),
    (stop_limit(1.0, 105.0, 103.0), (100.0, 106.0, 99.0, 102.0), 103.0),  # limit below the stop: closes below it
    (stop_limit(1.0, 105.0, 103.0), (100.0, 106.0, 99.0, 104.0), None),
    (stop_limit(1.0, 105.0, 107.0), None, None),
    (stop_limit(-1.0, 95.0, 93.0), (94.0, 96.0, 92.0, 94.0), 94.0),
    (stop_limit(-1.0, 95.0, 93.0), (91.0, 94.0, 90.0, 92.0), 93.0),
    (stop_limit(-1.0, 95.0, 93.0), (91.0, 92.5, 90.0, 92.0), None),
    (stop_limit(-1.0, 95.0, 93.0), (100.0, 101.0, 94.0, 96.0), 95.0),
    (stop_limit(-1.0, 95.0, 97.0), (100.0, 101.0, 94.0, 98.0), 97.0),
    (stop_limit(-1.0, 95.0, 97.0), (100.0, 101.0, 94.0, 96.0), None),
    (stop_limit(-1.0, 95.0, 93.0), None, None),
]


def fills_of(engine, shapes, rows=(), *, bar_end=None, units=None, risk=None, **execution):
    """(bar, kind, price) of each fill of orders, or of a position that a target opens."""
    bars = shaped_bars(shapes, bar_end=bar_end)
    decisions = orders_of(bars, rows) if units is None else TargetUnits(targets(bars.n_bars, 1, units))
    market = Market(bars, decisions, execution=Execution(**execution), risk=risk or Risk())
    return [(fill["bar"], fill["kind"], fill["price"]) for fill in ENGINES[engine](market).fills]


def statuses_of(engine, shapes, rows, *, bar_end=None, account=None, **execution):
    bars = shaped_bars(shapes, bar_end=bar_end)
    account = account or Account()
    return ENGINES[engine](
        Market(bars, orders_of(bars, rows), account=account, execution=Execution(**execution))
    ).statuses


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    return request.param


@pytest.mark.parametrize(("order", "shape", "price"), ONE_BAR)
def test_order_meets_a_bar(engine, order, shape, price):
    wanted = [] if price is None else [(1, order["kind"], pytest.approx(price))]
    assert fills_of(engine, [FLAT, shape], [{"bar": 0} | order]) == wanted


@pytest.mark.parametrize(
    ("order", "shape", "price"),
    [
        (LIMIT_BUY, (100.0, 101.0, 95.0, 96.0), None),
        (LIMIT_BUY, (95.0, 96.0, 95.0, 96.0), None),
        (LIMIT_BUY, (100.0, 101.0, 94.9, 96.0), 95.0),
        (LIMIT_SELL, (100.0, 105.0, 99.0, 104.0), None),
        (STOP_BUY, (100.0, 105.0, 99.0, 104.0), 105.0),
    ],
)
def test_limit_that_must_be_traded_through_is_not_filled_by_a_touch(engine, order, shape, price):
    wanted = [] if price is None else [(1, order["kind"], price)]
    assert fills_of(engine, [FLAT, shape], [{"bar": 0} | order], limit_touch=False) == wanted


@pytest.mark.parametrize(
    ("order", "first", "second", "fill"),
    [
        # a stop_limit that was triggered is a limit order from the next bar on
        (stop_limit(1.0, 105.0, 103.0), (100.0, 106.0, 99.0, 104.0), (104.0, 104.0, 102.0, 104.0), 103.0),
        (stop_limit(1.0, 105.0, 103.0), (100.0, 106.0, 99.0, 104.0), (102.0, 104.0, 102.0, 104.0), 102.0),
        (stop_limit(1.0, 105.0, 107.0), (109.0, 110.0, 108.0, 109.0), (108.0, 109.0, 106.0, 108.0), 107.0),
        (stop_limit(-1.0, 95.0, 97.0), (100.0, 101.0, 94.0, 96.0), (96.0, 98.0, 96.0, 96.0), 97.0),
        # a trailing stop follows the bars that did not reach it
        (TRAIL_SELL, (100.0, 120.0, 99.0, 118.0), (118.0, 119.0, 113.0, 113.0), 114.0),
        (TRAIL_SELL, (100.0, 120.0, 99.0, 118.0), (110.0, 119.0, 109.0, 113.0), 110.0),
        (TRAIL_BUY, (100.0, 104.0, 80.0, 82.0), (82.0, 86.0, 81.0, 84.0), 85.0),
        (TRAIL_SELL | {"stop_price": 76.0}, (99.0, 99.0, 77.0, 99.0), (99.0, 99.0, 94.0, 99.0), 94.05),
        # what a missing bar has not met waits
        (LIMIT_BUY, None, (94.0, 96.0, 94.0, 95.0), 94.0),
        (MARKET_BUY, None, (94.0, 96.0, 94.0, 95.0), 94.0),
    ],
)
def test_order_that_the_first_bar_leaves_meets_the_second(engine, order, first, second, fill):
    fills = fills_of(engine, [FLAT, first, second], [{"bar": 0} | order])
    assert fills == [(2, order["kind"], pytest.approx(fill))]


QUIET, DIP = (100.0, 101.0, 99.0, 100.0), (100.0, 101.0, 94.0, 100.0)


@pytest.mark.parametrize(
    ("tif", "dip_at", "status"),
    [
        ("gtc", 8, "filled"),
        ("ioc", 2, "filled"),
        ("ioc", 3, "expired"),
        ("bars:1", 3, "expired"),
        ("bars:3", 4, "filled"),
        ("bars:3", 5, "expired"),
        ("day", 3, "filled"),  # decided at bar 1, of a session that ends with bar 3
        ("day", 4, "expired"),
    ],
)
def test_time_in_force_ends_an_order(engine, tif, dip_at, status):
    shapes = [DIP if bar == dip_at else QUIET for bar in range(9)]
    row = {"bar": 1} | LIMIT_BUY | {"tif": tif}
    assert statuses_of(engine, shapes, [row], bar_end=session_times(9, 4)) == [status]


def test_time_in_force_counts_from_the_first_active_bar_and_bars_that_are_missing(engine):
    shapes = [QUIET, QUIET, None, DIP, DIP]
    late = {"latency_bars": 1}
    assert statuses_of(engine, shapes, [{"bar": 0} | LIMIT_BUY | {"tif": "bars:2"}], **late) == ["filled"]
    assert statuses_of(engine, shapes, [{"bar": 0} | LIMIT_BUY | {"tif": "bars:1"}], **late) == ["expired"]
    rows = [{"bar": 3} | LIMIT_BUY | {"tif": "day"}, {"bar": 4} | LIMIT_BUY]
    assert statuses_of(engine, shapes, rows) == ["filled", "open"]


@pytest.mark.parametrize(
    ("kind", "decided", "fill"),
    [
        ("moo", 0, (3, "moo", 103.0)),
        ("moo", 2, (3, "moo", 103.0)),
        ("moo", 3, (6, "moo", 106.0)),
        ("moc", 0, (2, "moc", 102.5)),
        ("moc", 1, (2, "moc", 102.5)),
        ("moc", 2, (5, "moc", 105.5)),
        ("market", 0, (1, "market", 101.0)),
    ],
)
def test_orders_on_open_and_on_close_wait_for_a_session_to_begin_or_end(engine, kind, decided, fill):
    shapes = [(100.0 + bar, 101.0 + bar, 100.0 + bar, 100.5 + bar) for bar in range(9)]
    rows = [{"bar": decided, "quantity": 1.0, "kind": kind}]
    assert fills_of(engine, shapes, rows, bar_end=session_times(9, 3)) == [fill]


def exits(bar, **more):
    group = {"bar": bar, "oco_group": "exits"} | more
    return [LIMIT_SELL | group, STOP_SELL | group]


@pytest.mark.parametrize(
    ("shape", "rule", "fill", "n_ambiguous"),
    [
        ((100.0, 106.0, 94.0, 100.0), "pessimistic", ("stop", 95.0), 1),
        ((100.0, 106.0, 94.0, 100.0), "ohlc", ("limit", 105.0), 1),
        ((100.0, 106.0, 94.0, 100.0), "olhc", ("stop", 95.0), 1),
        ((100.0, 106.0, 93.0, 100.0), "adaptive", ("limit", 105.0), 1),
        ((100.0, 107.0, 94.0, 100.0), "adaptive", ("stop", 95.0), 1),
        ((100.0, 106.0, 94.0, 100.0), "adaptive", ("stop", 95.0), 1),  # as near: the worse for a long position
        ((107.0, 108.0, 94.0, 100.0), "pessimistic", ("limit", 107.0), 0),
        ((107.0, 108.0, 94.0, 100.0), "stops_first", ("stop", 95.0), 0),
        ((93.0, 106.0, 92.0, 100.0), "ohlc", ("stop", 93.0), 0),
        ((100.0, 104.0, 94.0, 100.0), "ohlc", ("stop", 95.0), 0),
        ((100.0, 104.0, 96.0, 100.0), "ohlc", None, 0),
    ],
)
def test_of_two_exits_in_a_group_one_fills_and_ends_the_other(engine, shape, rule, fill, n_ambiguous):
    bars = shaped_bars([FLAT, FLAT, shape])
    orders = orders_of(bars, [{"bar": 0} | MARKET_BUY, *exits(1)])
    run = ENGINES[engine](Market(bars, orders, execution=Execution(intrabar=rule)))
    assert [(f["kind"], f["price"]) for f in run.fills[1:]] == ([] if fill is None else [fill])
    ended = {None: ["open"] * 2, "limit": ["filled", "cancelled"], "stop": ["cancelled", "filled"]}
    assert run.statuses[1:] == ended[fill and fill[0]]
    assert (run.n_ambiguous, run.bound) == (n_ambiguous, 10.0 * n_ambiguous)


@pytest.mark.parametrize(
    ("entry", "shape", "rule", "exit_fill"),
    [
        # filled at the open: the exits see the whole bar
        (MARKET_BUY, (100.0, 106.0, 94.0, 100.0), "pessimistic", ("stop", 95.0)),
        (MARKET_BUY, (100.0, 106.0, 96.0, 100.0), "pessimistic", ("limit", 105.0)),
        (MARKET_BUY, (100.0, 106.0, 94.0, 100.0), "ohlc", ("limit", 105.0)),
        (MARKET_BUY, (100.0, 104.0, 96.0, 100.0), "pessimistic", None),
        # at an open that has passed an exit: it fills at once, at the price of the entry
        (MARKET_BUY, (94.0, 96.0, 93.0, 96.0), "pessimistic", ("stop", 94.0)),
        (MARKET_BUY, (94.0, 96.0, 93.0, 96.0), "olhc", ("stop", 94.0)),
        (MARKET_BUY, (107.0, 108.0, 106.0, 106.0), "pessimistic", ("limit", 107.0)),
        # filled inside at 98: the stop counts where the bar reaches it, the limit where the bar closes beyond it
        (LIMIT_BUY | {"limit_price": 98.0}, (100.0, 106.0, 94.0, 100.0), "pessimistic", ("stop", 95.0)),
        (LIMIT_BUY | {"limit_price": 98.0}, (100.0, 106.0, 96.0, 104.0), "pessimistic", None),
        (LIMIT_BUY | {"limit_price": 98.0}, (100.0, 106.0, 96.0, 105.0), "pessimistic", ("limit", 105.0)),
        # along a path only what comes after the entry counts
        (LIMIT_BUY | {"limit_price": 98.0}, (100.0, 106.0, 96.0, 104.0), "ohlc", None),
        (LIMIT_BUY | {"limit_price": 98.0}, (100.0, 106.0, 96.0, 104.0), "olhc", ("limit", 105.0)),
        (LIMIT_BUY | {"limit_price": 98.0}, (100.0, 106.0, 94.0, 104.0), "ohlc", ("stop", 95.0)),
        (STOP_BUY | {"stop_price": 102.0}, (100.0, 103.0, 94.0, 103.0), "olhc", None),
        (STOP_BUY | {"stop_price": 102.0}, (100.0, 103.0, 94.0, 103.0), "ohlc", ("stop", 95.0)),
        (STOP_BUY | {"stop_price": 102.0}, (100.0, 103.0, 94.0, 103.0), "pessimistic", ("stop", 95.0)),
        # filled at the close: the bar has nothing left
        ({"quantity": 1.0, "kind": "moc"}, (100.0, 106.0, 94.0, 100.0), "pessimistic", None),
    ],
)
def test_exits_of_a_bracket_meet_the_bar_of_its_entry(engine, entry, shape, rule, exit_fill):
    rows = [{"bar": 0} | entry, *exits(0, parent=0.0)]
    fills = fills_of(engine, [FLAT, shape], rows, intrabar=rule)
    assert fills[1:] == ([] if exit_fill is None else [(1, *exit_fill)])
    later = fills_of(engine, [FLAT, shape], rows, intrabar=rule, children_from="next_bar")
    assert later == fills[:1]


def test_exits_end_with_an_entry_that_never_fills(engine):
    rows = [{"bar": 0} | LIMIT_BUY | {"tif": "ioc"}, *exits(0, parent=0.0)]
    assert statuses_of(engine, [FLAT, QUIET, QUIET], rows) == ["expired", "cancelled", "cancelled"]


LONG, SHORT = {(0, 0): 1.0}, {(0, 0): -1.0}
BOTH, STOP, TRAIL = Risk(stop_loss_rate=0.05, take_profit_rate=0.05), Risk(stop_loss_rate=0.05), None


@pytest.mark.parametrize(
    ("units", "risk", "shapes", "rule", "exit_fill"),
    [
        (LONG, BOTH, [(100.0, 106.0, 94.0, 100.0)], "pessimistic", (1, "stop_loss", 95.0)),
        (LONG, BOTH, [(100.0, 106.0, 94.0, 100.0)], "ohlc", (1, "take_profit", 105.0)),
        (LONG, BOTH, [(100.0, 106.0, 96.0, 100.0)], "pessimistic", (1, "take_profit", 105.0)),
        (LONG, BOTH, [(100.0, 104.0, 96.0, 100.0)], "pessimistic", None),
        (LONG, BOTH, [FLAT, (93.0, 94.0, 90.0, 92.0)], "pessimistic", (2, "stop_loss", 93.0)),
        (LONG, BOTH, [FLAT, (107.0, 108.0, 90.0, 92.0)], "pessimistic", (2, "take_profit", 107.0)),
        (LONG, BOTH, [FLAT, (107.0, 108.0, 90.0, 92.0)], "stops_first", (2, "stop_loss", 95.0)),
        (LONG, BOTH, [FLAT, None, (93.0, 94.0, 90.0, 92.0)], "pessimistic", (3, "stop_loss", 93.0)),
        (SHORT, BOTH, [(100.0, 106.0, 94.0, 100.0)], "pessimistic", (1, "stop_loss", 105.0)),
        (SHORT, BOTH, [(100.0, 106.0, 94.0, 100.0)], "olhc", (1, "take_profit", 95.0)),
        (SHORT, BOTH, [FLAT, (107.0, 108.0, 90.0, 92.0)], "pessimistic", (2, "stop_loss", 107.0)),
        (LONG, Risk(trailing_stop_rate=0.05), [(100.0, 120.0, 96.0, 119.0)], "pessimistic", None),
        (
            LONG,
            Risk(trailing_stop_rate=0.05),
            [(100.0, 120.0, 96.0, 119.0), (119.0, 130.0, 113.0, 129.0)],
            "pessimistic",
            (2, "trailing_loss", 114.0),
        ),
        (
            SHORT,
            Risk(trailing_stop_rate=0.05),
            [(100.0, 104.0, 80.0, 81.0), (81.0, 85.0, 70.0, 71.0)],
            "pessimistic",
            (2, "trailing_loss", 84.0),
        ),
        (  # of two stops the nearer
            LONG,
            Risk(stop_loss_rate=0.02, trailing_stop_rate=0.05),
            [(100.0, 102.0, 99.0, 100.0), (100.0, 100.0, 90.0, 91.0)],
            "pessimistic",
            (2, "stop_loss", 98.0),
        ),
        (
            LONG,
            Risk(time_stop_bars=2),
            [FLAT, FLAT, (103.0, 104.0, 102.0, 103.0)],
            "pessimistic",
            (3, "time_stop", 103.0),
        ),
        (
            LONG,
            Risk(time_stop_bars=1),
            [FLAT, None, (103.0, 104.0, 102.0, 103.0)],
            "pessimistic",
            (3, "time_stop", 103.0),
        ),
    ],
)
def test_risk_leaves_a_position(engine, units, risk, shapes, rule, exit_fill):
    fills = fills_of(engine, [FLAT, *shapes], units=units, risk=risk, intrabar=rule)
    wanted = [] if exit_fill is None else [(*exit_fill[:2], pytest.approx(exit_fill[2]))]
    assert fills[1:] == wanted


def test_levels_of_risk_may_wait_for_the_bar_after_the_entry(engine):
    shapes = [FLAT, (100.0, 120.0, 90.0, 100.0), (100.0, 101.0, 94.0, 96.0)]
    fills = fills_of(engine, shapes, units=LONG, risk=BOTH, children_from="next_bar")
    assert fills[1:] == [(2, "stop_loss", 95.0)]


def test_target_that_waits_is_traded_after_an_exit_at_the_same_open(engine):
    shapes = [FLAT, FLAT, (90.0, 91.0, 89.0, 90.0)]
    fills = fills_of(engine, shapes, units={(0, 0): 10.0, (1, 0): 4.0}, risk=STOP)
    assert fills[1:] == [(2, "stop_loss", 90.0), (2, "target", 90.0)]


def test_tick_size_rounds_limits_in_favour_of_the_trader_and_stops_away_from_the_market(engine):
    dip, rise = (100.0, 101.0, 90.0, 100.0), (100.0, 110.0, 99.0, 100.0)
    cases = [
        (LIMIT_BUY | {"limit_price": 95.3}, dip, 95.0),
        (LIMIT_SELL | {"limit_price": 105.3}, rise, 105.5),
        (STOP_BUY | {"stop_price": 105.3}, rise, 105.5),
        (STOP_SELL | {"stop_price": 95.3}, dip, 95.0),
        (LIMIT_BUY | {"limit_price": 95.5}, dip, 95.5),
    ]
    for order, shape, price in cases:
        assert fills_of(engine, [FLAT, shape], [{"bar": 0} | order], tick_size=0.5) == [(1, order["kind"], price)]
