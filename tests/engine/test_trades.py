"""Trades against a plain list of lots, hand-computed round trips, and the law of equity."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.actions import Events
from engine.errors import InputError
from engine.records import CASH_FLOW, CASH_IN_LIEU, DIVIDEND, FILL, LIMIT, STOP_LOSS, TARGET, TRADE
from engine.trades import METHODS, entry_kinds, exit_kinds, trades_of

SEEDS = range(25)
COSTS = ("commission", "fees", "spread", "slippage", "impact")


def events_of(splits):
    """Events from {(bar, asset): ratio}, and nothing but splits."""
    cells = sorted(splits)
    bar, asset = (np.array([cell[i] for cell in cells], dtype=np.int64) for i in (0, 1))
    ratio = np.array([splits[cell] for cell in cells], dtype=np.float64)
    fields = {name: np.zeros(bar.size) for name in Events._fields}
    whole = {name: np.zeros(bar.size, dtype=np.int64) for name in ("pay_bar", "pay_order")}
    return Events(**fields | whole | {"bar": bar, "asset": asset, "split": ratio})


def fills_of(rows):
    """Fills from rows of bar, asset, quantity, price and optionally a dict of other fields."""
    fills = np.zeros(len(rows), dtype=FILL)
    for fill, (bar, asset, quantity, price, *more) in zip(fills, rows, strict=True):
        fill["bar"], fill["asset"], fill["quantity"], fill["price"] = bar, asset, quantity, price
        for name, value in (more[0] if more else {}).items():
            fill[name] = value
    return fills


def flow(bar, asset, kind, amount, quantity=0.0):
    record = np.zeros((), dtype=CASH_FLOW)
    record["bar"], record["asset"], record["kind"] = bar, asset, kind
    record["amount"], record["quantity"] = amount, quantity
    return record


class Story:
    """A made-up run: prices, splits, fills and flows, with the equity they lead to by plain arithmetic.

    One in three gathers a long row of lots, which small sales then eat from one end.
    """

    def __init__(self, seed, n_bars=80, n_assets=3):
        rng = np.random.default_rng(seed)
        self.n_bars, self.n_assets = n_bars, n_assets
        self.close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.03, (n_bars, n_assets)), axis=0))
        self.splits = {}
        for _ in range(4):
            cell = (int(rng.integers(1, n_bars)), int(rng.integers(n_assets)))
            self.splits[cell] = float(rng.choice([2.0, 3.0, 0.5, 1.5, 0.1]))
            self.close[cell[0] :, cell[1]] /= self.splits[cell]
        self.high = self.close * (1.0 + rng.uniform(0.0, 0.03, self.close.shape))
        self.low = self.close * (1.0 - rng.uniform(0.0, 0.03, self.close.shape))
        is_missing = rng.random(self.close.shape) < 0.1
        self.high[is_missing] = self.low[is_missing] = np.nan
        self.rows, self.flows = [], []
        self._trade(rng, is_missing, has_lots=seed % 2 == 0, sizes=[-1, 2, 3] if seed % 3 == 0 else range(-9, 10))

    def _trade(self, rng, is_missing, has_lots, sizes):
        position, cash = np.zeros(self.n_assets), 0.0
        for bar in range(self.n_bars):
            for asset in range(self.n_assets):
                ratio = self.splits.get((bar, asset))
                if ratio is not None:
                    position[asset] *= ratio
                    fraction = position[asset] - math.trunc(position[asset])
                    if has_lots and fraction != 0.0:
                        mark = self.close[bar - 1, asset] / ratio
                        self.flows.append(flow(bar, asset, CASH_IN_LIEU, fraction * mark, -fraction))
                        position[asset] += -fraction
                        cash += fraction * mark
            for asset in range(self.n_assets):
                for _ in range(int(rng.choice([0, 0, 1, 2]))):
                    quantity = float(rng.choice(sizes))
                    if len(sizes) > 3 and rng.random() < 0.25:
                        quantity = -position[asset]
                    if quantity == 0.0 or is_missing[bar, asset]:
                        continue
                    costs = dict(zip(COSTS, rng.random(5), strict=True))
                    price = self.close[bar, asset] * rng.uniform(0.96, 1.04)
                    self.rows.append((bar, asset, quantity, price, costs | {"kind": int(rng.integers(13))}))
                    position[asset] += quantity
                    cash -= quantity * price + costs["commission"] + costs["fees"]
            if rng.random() < 0.1:
                amount = float(rng.normal())
                self.flows.append(flow(bar, 0, DIVIDEND, amount))
                cash += amount
        self.change = cash + float(position @ self.close[-1])
        self.position = position

    def trades(self, method, **other):
        panels = {"high": self.high, "low": self.low} | other
        flows = np.array(self.flows, dtype=CASH_FLOW)
        fills, events = fills_of(self.rows), events_of(self.splits)
        return trades_of(fills, events, self.close[-1], self.n_bars, cash_flows=flows, method=method, **panels)


def plain_trades(story, method):
    """The same by lists: rows of a trade's fields, in the order of exits."""
    lots, done = {asset: [] for asset in range(story.n_assets)}, []

    def trade(lot, asset, units, bar, price, per_unit, kind, is_open):
        extremes = [lot["price"]], [lot["price"]]
        for t in range(lot["bar"], bar + 1):
            factor = math.prod(ratio for (at, of), ratio in story.splits.items() if of == asset and t < at <= bar)
            for panel, seen in zip((story.high, story.low), extremes, strict=True):
                if not math.isnan(panel[t, asset]):
                    seen.append(panel[t, asset] / factor)
        moves = [units * (extreme - lot["price"]) for extreme in (max(extremes[0]), min(extremes[1]))]
        commission = abs(units) * (lot["fee"] + per_unit[0])
        pnl = units * (price - lot["price"]) - commission
        done.append({
            "asset": asset, "is_open": is_open, "entry_kind": lot["kind"], "exit_kind": kind, "entry_bar": lot["bar"],
            "exit_bar": bar, "n_bars": bar - lot["bar"], "quantity": units, "entry_price": lot["price"],
            "exit_price": price, "pnl": pnl, "return_rate": pnl / abs(units * lot["price"]), "commission": commission,
            "costs": abs(units) * (lot["cost"] + per_unit[1]), "mae": min(moves), "mfe": max(moves),
        })  # fmt: skip

    def close(asset, quantity, *terms):
        while abs(quantity) > 1e-9 and lots[asset] and lots[asset][0]["units"] * quantity < 0.0:
            lot = lots[asset][-1 if method == "lifo" else 0]
            units = math.copysign(min(abs(quantity), abs(lot["units"])), lot["units"])
            trade(lot, asset, units, *terms)
            quantity, lot["units"] = quantity + units, lot["units"] - units
            if abs(lot["units"]) < 1e-9:
                lots[asset].remove(lot)
        return quantity

    fills, flows = list(story.rows), list(story.flows)
    for bar in range(story.n_bars):
        for (at, asset), ratio in story.splits.items():
            for lot in lots[asset] if at == bar else []:
                lot["units"] *= ratio
                for name in ("price", "fee", "cost"):
                    lot[name] /= ratio
        for record in [record for record in flows if record["bar"] == bar and record["kind"] == CASH_IN_LIEU]:
            price = -record["amount"] / record["quantity"]
            close(int(record["asset"]), record["quantity"], bar, price, (0.0, 0.0), -1, False)
        while fills and fills[0][0] == bar:
            _, asset, quantity, price, more = fills.pop(0)
            fee = (more["commission"] + more["fees"]) / abs(quantity)
            cost = fee + (more["spread"] + more["slippage"] + more["impact"]) / abs(quantity)
            rest = close(asset, quantity, bar, price, (fee, cost), more["kind"], False)
            if abs(rest) > 1e-9:
                fresh = {"bar": bar, "kind": more["kind"], "units": rest, "price": price, "fee": fee, "cost": cost}
                if method == "average" and lots[asset]:
                    held = lots[asset][0]
                    for name in ("price", "fee", "cost"):
                        value = held["units"] * held[name] + rest * fresh[name]
                        held[name] = value / (held["units"] + rest)
                    held["units"] += rest
                else:
                    lots[asset].append(fresh)
    for asset in range(story.n_assets):
        for lot in lots[asset]:
            mark = story.close[-1, asset]
            trade(lot, asset, lot["units"], story.n_bars - 1, mark, (0.0, 0.0), -1, True)
    return done


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS)
def test_trades_are_those_of_plain_lists_of_lots(seed, method):
    story = Story(seed)
    trades, wanted = story.trades(method), plain_trades(story, method)
    assert trades.dtype == TRADE
    assert trades.size == len(wanted)
    for name in TRADE.names:
        values = np.array([row[name] for row in wanted], dtype=np.float64)
        np.testing.assert_allclose(trades[name].astype(np.float64), values, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS)
def test_change_of_equity_is_all_pnl_and_all_cash_flows_but_cash_in_lieu(seed, method):
    story = Story(seed)
    trades = story.trades(method)
    flows = sum(float(record["amount"]) for record in story.flows if record["kind"] != CASH_IN_LIEU)
    assert trades["pnl"].sum() + flows == pytest.approx(story.change, abs=1e-8)
    for asset in range(story.n_assets):
        held = trades[trades["is_open"] & (trades["asset"] == asset)]
        assert held["quantity"].sum() == pytest.approx(story.position[asset], abs=1e-9)


def test_stories_reach_every_case():
    stories = [Story(seed) for seed in SEEDS]
    assert any(record["kind"] == CASH_IN_LIEU for story in stories for record in story.flows)
    trades = [story.trades("fifo") for story in stories]
    assert {len(set(group["exit_kind"].tolist())) > 5 for group in trades} == {True}
    assert any(group["is_open"].any() for group in trades)
    assert any((group["quantity"] < 0.0).any() for group in trades)


def test_methods_choose_the_oldest_the_newest_or_the_average_entry():
    fills = fills_of([(0, 0, 10.0, 100.0), (1, 0, 30.0, 120.0), (2, 0, -20.0, 130.0)])
    panel = np.full((4, 1), 125.0)
    rows = {
        method: trades_of(fills, events_of({}), panel[-1], 4, high=panel, low=panel, method=method)
        for method in METHODS
    }
    pairs = {name: list(zip(row["entry_price"], row["quantity"], strict=True)) for name, row in rows.items()}
    assert pairs["fifo"] == [(100.0, 10.0), (120.0, 10.0), (120.0, 20.0)]
    assert pairs["lifo"] == [(120.0, 20.0), (100.0, 10.0), (120.0, 10.0)]
    assert pairs["average"] == [(115.0, 20.0), (115.0, 20.0)]
    assert rows["average"]["entry_bar"].tolist() == [0, 0]
    assert rows["average"]["pnl"].tolist() == [300.0, 200.0]
    assert rows["average"]["n_bars"].tolist() == [2, 3]


def test_excursions_are_those_of_whole_bars_from_entry_to_exit():
    high = np.array([[200.0], [110.0], [105.0], [130.0], [300.0]])
    low = np.array([[1.0], [95.0], [90.0], [99.0], [2.0]])
    long = fills_of([(1, 0, 2.0, 100.0), (3, 0, -2.0, 101.0)])
    (trade,) = trades_of(long, events_of({}), high[-1], 5, high=high, low=low)
    assert (trade["mae"], trade["mfe"]) == (-20.0, 60.0)
    short = fills_of([(1, 0, -2.0, 100.0), (3, 0, 2.0, 101.0)])
    (trade,) = trades_of(short, events_of({}), high[-1], 5, high=high, low=low)
    assert (trade["mae"], trade["mfe"]) == (-60.0, 20.0)


def test_excursions_are_never_better_or_worse_than_entry_where_bars_do_not_reach_it():
    panel = np.full((2, 1), 100.0)
    (trade,) = trades_of(fills_of([(0, 0, 1.0, 101.0), (1, 0, -1.0, 100.0)]), events_of({}), panel[0], 2, high=panel,
                         low=panel)  # fmt: skip
    assert (trade["mae"], trade["mfe"]) == (-1.0, 0.0)


def test_without_bars_there_are_no_excursions():
    story = Story(0)
    bare = story.trades("fifo", high=None, low=None)
    assert np.isnan(bare["mae"]).all()
    assert np.isnan(bare["mfe"]).all()
    assert np.array_equal(bare["pnl"], story.trades("fifo")["pnl"])


def test_kinds_of_entry_and_exit_are_named():
    kinds = [{"kind": kind} for kind in (LIMIT, STOP_LOSS, TARGET)]
    fills = fills_of([(0, 0, 3.0, 10.0, kinds[0]), (1, 0, -1.0, 11.0, kinds[1]), (2, 0, -1.5, 11.0, kinds[2])])
    flows = np.array([flow(2, 0, CASH_IN_LIEU, 0.25 * 5.5, -0.25)], dtype=CASH_FLOW)
    trades = trades_of(fills, events_of({(2, 0): 2.0}), np.array([5.0]), 3, cash_flows=flows)
    assert entry_kinds(trades).tolist() == ["limit"] * 4
    assert exit_kinds(trades).tolist() == ["stop_loss", "cash_in_lieu", "target", "open"]
    assert trades["quantity"].tolist() == [1.0, 0.25, 1.5, 2.25]
    assert trades["is_open"].tolist() == [False, False, False, True]


def test_position_of_less_than_a_lot_leaves_as_cash_in_lieu():
    fills = fills_of([(0, 0, 1.0, 10.0, {"commission": 1.0})])
    flows = np.array([flow(1, 0, CASH_IN_LIEU, 0.1 * 90.0, -0.1)], dtype=CASH_FLOW)
    (trade,) = trades_of(fills, events_of({(1, 0): 0.1}), np.array([90.0]), 3, cash_flows=flows)
    assert (trade["is_open"], trade["exit_kind"], trade["exit_bar"]) == (False, -1, 1)
    assert trade["pnl"] == pytest.approx(9.0 - 10.0 - 1.0)


def test_no_fills_are_no_trades():
    assert trades_of(np.empty(0, dtype=FILL), events_of({}), np.array([1.0, 2.0]), 5).size == 0


def test_closed_position_leaves_no_lot_of_rounding():
    rng = np.random.default_rng(0)
    for _ in range(50):
        units = [*rng.uniform(0.1, 1.0, 20), rng.uniform(1e5, 1e6), rng.uniform(1e-5, 1e-4)]
        rows = [(bar, 0, quantity, 1.0) for bar, quantity in enumerate(units)]
        held = 0.0
        for quantity in units:
            held += quantity
        fills = fills_of([*rows, (len(rows), 0, -held, 1.0)])
        trades = trades_of(fills, events_of({}), np.array([1.0]), len(rows) + 1)
        assert not trades["is_open"].any()
        assert trades.size == len(rows)


def test_misspelt_method_and_wrong_panels_are_refused():
    none = np.empty(0, dtype=FILL)
    with pytest.raises(InputError, match="method must be one of fifo, lifo, average, was 'filo'; did you mean"):
        trades_of(none, events_of({}), np.array([1.0]), 5, method="filo")
    with pytest.raises(InputError, match=r"low must have the shape of the bars \(5, 1\), had \(0, 1\)"):
        trades_of(none, events_of({}), np.array([1.0]), 5, high=np.ones((5, 1)))
