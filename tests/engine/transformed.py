"""Markets made of others: what must not change a run, or change it in a known way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine import Actions, Bars, TargetUnits, TargetWeights
from engine.orders import Orders
from tests.engine.markets import random_bars

NAMES = ("open", "high", "low", "close", "volume")


def with_bars(market, change, finer=None):
    """The market with other panels: `change` takes a name and its array."""
    bars = market.bars
    panels = (change(name, getattr(bars, name)) for name in NAMES)
    return replace(market, bars=Bars(*panels, bars.bar_end, bars.symbols), finer=finer)


def decided_before(decisions, bars, cut, later):
    """The decisions, but for those from a bar on: those of panels become `later`, orders are left out."""
    if isinstance(decisions, Orders):
        ends = decisions.frame["bar_end"].dt.tz_localize(None).to_numpy()
        return Orders(decisions.frame[ends < bars.bar_end[cut]])
    values = np.array(decisions.aligned(bars))
    values[cut:] = later
    return type(decisions)(values)


def scaled(market, times):
    """The same market for an account so many times as large."""
    costs, decisions = market.costs, market.decisions
    if isinstance(decisions, Orders):
        decisions = Orders(decisions.frame.assign(quantity=decisions.frame["quantity"] * times))
    elif isinstance(decisions, TargetUnits):
        decisions = TargetUnits(decisions.aligned(market.bars) * times)
    other = with_bars(market, lambda name, values: values * times if name == "volume" else values, market.finer)
    amounts = {name: getattr(costs, name) * times for name in ("commission_fixed", "commission_min", "sell_fee_max")}
    tiers = tuple((start * times, rate) for start, rate in costs.commission_tiers)
    return replace(
        other,
        decisions=decisions,
        account=replace(market.account, cash=market.account.cash * times),
        costs=replace(costs, **amounts, commission_tiers=tiers),
        execution=replace(market.execution, lot_size=market.execution.lot_size * times),
    )


def permuted(market, order):
    def bars_in(bars):
        symbols = tuple(bars.symbols[asset] for asset in order)
        return Bars(*(getattr(bars, name)[:, order] for name in NAMES), bars.bar_end, symbols)

    actions = market.actions
    names = ("split", "dividend", "delisting", "pay_bar")
    decisions = market.decisions
    if not isinstance(decisions, Orders):
        decisions = type(decisions)(decisions.aligned(market.bars)[:, order])
    return replace(
        market,
        bars=bars_in(market.bars),
        finer=None if market.finer is None else bars_in(market.finer),
        actions=Actions(*(getattr(actions, name)[:, order] for name in names)),
        decisions=decisions,
    )


def changed_from(market, cut):
    """The market with other prices, actions and decisions from a bar on."""
    rng = np.random.default_rng(cut)

    def mixed(bars, at):
        later = random_bars(rng, bars.n_bars, bars.n_assets)
        panels = (np.concatenate([getattr(bars, name)[:at], getattr(later, name)[at:]]) for name in NAMES)
        return Bars(*panels, bars.bar_end, bars.symbols)

    bars, finer = mixed(market.bars, cut), market.finer
    if finer is not None:
        finer = mixed(finer, int(np.searchsorted(finer.bar_end, bars.bar_end[cut - 1], side="right")))
        panels = {name: getattr(bars, name).copy() for name in NAMES}
        bars = enclosing(bars, finer, panels, cut)
    none = Actions.none(bars)
    pairs = ((getattr(market.actions, name), getattr(none, name)) for name in ("split", "dividend", "delisting"))
    actions = Actions(*(np.concatenate([a[:cut], b[cut:]]) for a, b in pairs), market.actions.pay_bar)
    decisions = decided_before(market.decisions, bars, cut, 0.1)
    return replace(market, bars=bars, finer=finer, actions=actions, decisions=decisions)


def enclosing(bars, finer, panels, cut):
    """Bars that are made of their finer ones from a bar on."""
    parts = finer.n_bars // bars.n_bars
    shape = (bars.n_bars, parts, bars.n_assets)
    ways = {"open": lambda a: a[:, 0], "high": lambda a: a.max(axis=1), "low": lambda a: a.min(axis=1)}
    ways |= {"close": lambda a: a[:, -1], "volume": lambda a: a.sum(axis=1)}
    for name, way in ways.items():
        panels[name][cut:] = way(getattr(finer, name).reshape(shape)[cut:])
    return Bars(**panels, bar_end=bars.bar_end, symbols=bars.symbols)


def split_decisions(market, at):
    """Decisions as they would be made in the new units from a split of 2 on."""
    decisions, bars = market.decisions, market.bars
    if isinstance(decisions, TargetWeights):
        return decisions
    if isinstance(decisions, TargetUnits):
        units = np.array(decisions.aligned(bars))
        units[at:] *= 2.0
        return TargetUnits(units)
    frame = decisions.frame.copy()
    is_new = frame["bar_end"].dt.tz_localize(None).to_numpy() >= bars.bar_end[at]
    frame.loc[is_new, "quantity"] *= 2.0
    for name in ("limit_price", "stop_price", "trail"):
        frame.loc[is_new, name] /= 2.0
    return Orders(frame)
