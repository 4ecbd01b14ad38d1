"""The same market played by the compiled engine and by the slow reference, and the two compared."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from engine import TargetUnits, TargetWeights, simulate
from engine.orders import Orders
from engine.records import CASH_FLOW_KINDS, FILL_KINDS, REASONS, STATUSES
from tests.engine.reference import FinerBar, Inputs, OrderInput, Outcome, Settings, simulate_slowly

# Equal to 1e-9, relative to the account where values pass through zero.
RATE = 1e-9
NOISE = 1e-12
FILL_FIGURES = ("quantity", "price", "reference_price", "commission", "fees", "spread", "slippage", "impact")
TRADE_FIGURES = ("quantity", "entry_price", "exit_price", "pnl", "return_rate", "commission", "costs", "mae", "mfe")


def play(market):
    return simulate(market.bars, market.decisions, **market.settings)


def play_slowly(market, cancel_bars=()):
    """The reference's run; `cancel_bars` holds, by number, the bar at which an order is cancelled, or None."""
    settings = {}
    for part in (market.account, market.costs, market.execution, market.risk):
        settings |= asdict(part)
    inputs = inputs_of(market)
    for order, bar in zip(inputs.orders, cancel_bars, strict=False):
        order.cancel_bar = bar
    return simulate_slowly(inputs, Settings(**settings))


def play_by_names(market):
    """A compiled run in the words of the reference."""
    run = play(market)
    return Outcome(
        equity=run.equity.tolist(),
        cash=run.cash.tolist(),
        positions=run.positions.tolist(),
        fills=named(run.fills, kind=FILL_KINDS),
        flows=named(run.cash_flows, kind=CASH_FLOW_KINDS),
        rejections=named(run.rejections, reason=REASONS),
        statuses=statuses_of(run),
        trades=named(run.trades, entry_kind=FILL_KINDS, exit_kind=(*FILL_KINDS, None)),
        n_ambiguous=run.ambiguity["n_bars"],
        bound=run.ambiguity["bound_ccy"],
    )


ENGINES = {"compiled": play_by_names, "reference": play_slowly}


def named(records, **names):
    """Records as dicts, numbers of kinds as words."""
    dicts = [dict(zip(records.dtype.names, record.item(), strict=True)) for record in records]
    return [row | {name: words[row[name]] for name, words in names.items()} for row in dicts]


def statuses_of(run):
    return ["open" if STATUSES[i] == "working" else STATUSES[i] for i in run.orders["status"]]


def rows(values):
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]


def inputs_of(market):
    bars, actions = market.bars, market.actions
    shape = bars.close.shape
    is_own = actions is None or actions.pay_bar is None
    own_bars = np.broadcast_to(np.arange(shape[0])[:, None], shape)
    is_weight = isinstance(market.decisions, TargetWeights)
    panel = None
    if isinstance(market.decisions, (TargetWeights, TargetUnits)):
        panel = rows(market.decisions.aligned(bars))
    return Inputs(
        bar_end=bars.bar_end.tolist(),
        open=rows(bars.open),
        high=rows(bars.high),
        low=rows(bars.low),
        close=rows(bars.close),
        volume=rows(bars.volume),
        splits=rows(np.ones(shape) if actions is None else actions.split),
        dividends=rows(np.zeros(shape) if actions is None else actions.dividend),
        delistings=rows(np.full(shape, np.nan) if actions is None else actions.delisting),
        pay_bars=(own_bars if is_own else actions.pay_bar).tolist(),
        targets=panel,
        is_weight=is_weight,
        orders=order_inputs(market.decisions, bars) if isinstance(market.decisions, Orders) else [],
        finer=None if market.finer is None else finer_inputs(market.finer),
    )


def order_inputs(orders, bars):
    """Orders by number: the rows of the frame by bar_end, as they stand within a bar."""
    frame = orders.frame
    ends = bars.bar_end.tolist()
    bar_of = [ends.index(end.tz_convert("UTC").tz_localize(None).to_pydatetime()) for end in frame["bar_end"]]
    order = sorted(range(len(frame)), key=bar_of.__getitem__)
    number_of = {frame.index[row]: number for number, row in enumerate(order)}
    return [order_input(frame.iloc[row], bar_of[row], bars.symbols, number_of) for row in order]


def order_input(row, bar, symbols, number_of):
    def value(name):
        found = row.get(name)
        if found is None or found != found:
            return None
        return float(found) if isinstance(found, float) else found

    tif, _, tif_bars = (value("tif") or "gtc").partition(":")
    parent = value("parent")
    return OrderInput(
        bar=bar,
        asset=symbols.index(row["symbol"]),
        quantity=float(row["quantity"]),
        kind=row["kind"],
        limit=value("limit_price"),
        stop=value("stop_price"),
        trail=value("trail"),
        trail_rate=value("trail_rate"),
        tif=tif,
        tif_bars=int(tif_bars or 0),
        group=value("oco_group"),
        parent=None if parent is None else number_of[parent],
    )


def finer_inputs(finer):
    return [
        FinerBar(end, asset, *(float(getattr(finer, name)[bar, asset]) for name in ("open", "high", "low", "close")))
        for bar, end in enumerate(finer.bar_end.tolist())
        for asset in range(finer.n_assets)
        if not np.isnan(finer.close[bar, asset])
    ]


def assert_same(market, fast, slow):
    """Compare everything that a run writes down."""
    near = {"rtol": RATE, "atol": RATE * market.account.cash}
    assert_same_fills(market, fast, slow)
    # Interest on a rounding error of cash is none.
    flows = fast.cash_flows[np.abs(fast.cash_flows["amount"]) > NOISE]
    slow_flows = [flow for flow in slow.flows if abs(flow["amount"]) > NOISE]
    assert_same_records(flows, slow_flows, CASH_FLOW_KINDS, "kind", ("amount", "quantity", "rate"), near)
    assert_same_records(fast.rejections, slow.rejections, REASONS, "reason", ("quantity",), near, "order")
    np.testing.assert_allclose(fast.equity, slow.equity, **near)
    np.testing.assert_allclose(fast.cash, slow.cash, **near)
    np.testing.assert_allclose(fast.exposure, slow.exposure, **near)
    np.testing.assert_allclose(fast.positions, slow.positions, rtol=RATE, atol=1e-6 * RATE * market.account.cash)
    assert statuses_of(fast) == slow.statuses
    assert fast.ambiguity["n_bars"] == slow.n_ambiguous
    assert fast.ambiguity["bound_ccy"] == np.float64(slow.bound) or np.isclose(
        fast.ambiguity["bound_ccy"], slow.bound, **near
    )
    assert_same_trades(fast.trades, slow.trades, near)


def assert_same_fills(market, fast, slow):
    """Fills of an asset in a bar in the same sequence; whole runs first, so that the first difference is named."""
    keys = [(int(f["bar"]), int(f["asset"]), FILL_KINDS[f["kind"]], int(f["order"])) for f in fast.fills]
    wanted = [(f["bar"], f["asset"], f["kind"], f["order"]) for f in slow.fills]
    by_place, wanted_by_place = by_bar_and_asset(keys), by_bar_and_asset(wanted)
    assert [keys[i] for i in by_place] == [wanted[i] for i in wanted_by_place]
    for name in FILL_FIGURES:
        values = [float(fast.fills[name][i]) for i in by_place]
        expected = [slow.fills[i][name] for i in wanted_by_place]
        np.testing.assert_allclose(values, expected, rtol=RATE, atol=RATE * market.account.cash, err_msg=name)


def by_bar_and_asset(keys):
    return sorted(range(len(keys)), key=lambda i: keys[i][:2])


def assert_same_records(records, expected, names, column, figures, near, *more):
    keys = [(int(r["bar"]), int(r["asset"]), names[r[column]], *(int(r[name]) for name in more)) for r in records]
    wanted = [(r["bar"], r["asset"], r[column], *(r[name] for name in more)) for r in expected]
    order, wanted_order = sorted_order(keys), sorted_order(wanted)
    assert [keys[i] for i in order] == [wanted[i] for i in wanted_order]
    for name in figures:
        values = [float(records[name][i]) for i in order]
        np.testing.assert_allclose(values, [expected[i][name] for i in wanted_order], **near, err_msg=name)


def sorted_order(keys):
    return sorted(range(len(keys)), key=keys.__getitem__)


def assert_same_trades(trades, expected, near):
    names = ("is_open", "asset", "exit_bar", "entry_bar", "n_bars")
    keys = [(*(int(trade[name]) for name in names), *kinds_of(trade)) for trade in trades]
    wanted = [(*(int(trade[name]) for name in names), trade["entry_kind"], trade["exit_kind"]) for trade in expected]
    order = sorted(range(len(keys)), key=lambda i: keys[i][:4])
    wanted_order = sorted(range(len(wanted)), key=lambda i: wanted[i][:4])
    assert [keys[i] for i in order] == [wanted[i] for i in wanted_order]
    for name in TRADE_FIGURES:
        values = [float(trades[name][i]) for i in order]
        np.testing.assert_allclose(values, [expected[i][name] for i in wanted_order], **near, err_msg=name)


def kinds_of(trade):
    exit_kind = int(trade["exit_kind"])
    return FILL_KINDS[trade["entry_kind"]], FILL_KINDS[exit_kind] if exit_kind >= 0 else None
