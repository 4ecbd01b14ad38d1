"""Settings and decisions drawn at random, so that over some hundred markets every rule is met."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine import Account, Actions, Costs, Execution, TargetUnits, TargetWeights
from engine.orders import Orders
from engine.risk import Risk

KINDS = ("market", "moo", "moc", "limit", "stop", "stop_limit", "trailing_stop")
TIFS = ("gtc", "gtc", "day", "ioc", "bars:1", "bars:3", "bars:10")


def one_of(rng, values):
    return values[int(rng.integers(len(values)))]


def account(rng, family):
    leverage = one_of(rng, (1.0, 1.0, 1.5, 3.0)) if family != "margin" else one_of(rng, (1.0, 2.0, 4.0))
    has_rates = family == "financing" or rng.random() < 0.2
    return Account(
        cash=one_of(rng, (1_000.0, 10_000.0, 100_000.0)) if family != "margin" else 10_000.0,
        leverage=leverage,
        allow_short=bool(rng.random() < 0.6) or family == "margin",
        maintenance_margin=one_of(rng, (0.6, 0.9, 0.97)) / leverage if family == "margin" else 0.0,
        cash_rate=one_of(rng, (0.0, 0.04, -0.01)) if has_rates else 0.0,
        debit_rate=one_of(rng, (0.0, 0.08)) if has_rates else 0.0,
        day_count=one_of(rng, (360.0, 365.0)),
        dividends_on=one_of(rng, ("ex_date", "pay_date")),
    )


def costs(rng, family):
    if rng.random() < 0.2:
        return Costs(borrow_rate=0.05 if family == "financing" else 0.0)
    has_limits, has_tiers = rng.random() < 0.5, rng.random() < 0.2
    has_impact, has_share = rng.random() < 0.25, rng.random() < 0.2
    return Costs(
        commission_bps=one_of(rng, (0.0, 5.0, 30.0)),
        commission_fixed=one_of(rng, (0.0, 1.0)),
        commission_per_share=0.0 if has_tiers else one_of(rng, (0.0, 0.005)),
        commission_min=one_of(rng, (0.0, 1.0, 5.0)) if has_limits else 0.0,
        commission_max_rate=one_of(rng, (0.005, 0.01, np.inf)) if has_limits else np.inf,
        commission_tiers=((0.0, 0.02), (50.0, 0.01), (300.0, 0.002)) if has_tiers else (),
        commission_min_beats_max=bool(rng.random() < 0.3),
        sell_fee_rate=one_of(rng, (0.0, 0.0000278)),
        sell_fee_per_share=one_of(rng, (0.0, 0.01)),
        sell_fee_max=one_of(rng, (0.3, np.inf)),
        spread_bps=one_of(rng, (0.0, 4.0, 40.0)),
        slippage_bps=one_of(rng, (0.0, 2.0, 30.0)),
        slippage_ticks=one_of(rng, (0.0, 0.0, 1.0)),
        impact_coefficient=one_of(rng, (0.5, 2.0)) if has_impact else 0.0,
        impact_bars=one_of(rng, (2, 5, 20)),
        volume_share_impact=0.1 if has_share else 0.0,
        volume_share_limit=one_of(rng, (0.025, 1.0)),
        borrow_rate=one_of(rng, (0.0, 0.05)) if family == "financing" else 0.0,
    )


def execution(rng, family, slippage_ticks=0.0):
    timing = one_of(rng, ("next_open",) * 7 + ("same_close",) * 3 + (() if family == "finer" else ("next_close",)))
    lot_size = one_of(rng, (0.0, 0.0, 1.0, 0.1))
    policies = ("scale", "scale", "reject", "margin") if family != "margin" else ("scale", "margin", "margin")
    has_path = family == "intrabar" or rng.random() < 0.15
    return Execution(
        timing=timing,
        latency_bars=one_of(rng, (0, 0, 0, 1, 3)) if timing != "same_close" else 0,
        participation_rate=one_of(rng, (np.inf, np.inf, 0.002, 0.02)),
        lot_size=lot_size,
        tick_size=one_of(rng, (0.0, 0.0, 0.5, 0.01)) or (0.01 if slippage_ticks > 0.0 else 0.0),
        cash_policy=one_of(rng, policies),
        intrabar=one_of(rng, ("ohlc", "olhc", "adaptive", "stops_first")) if has_path else "pessimistic",
        children_from=one_of(rng, ("same_bar", "same_bar", "same_bar", "next_bar", "market")),
        limit_touch=bool(rng.random() < 0.7),
        stop_slippage=bool(rng.random() < 0.8),
        limit_slippage=bool(rng.random() < 0.8),
        trail_on_close=bool(rng.random() < 0.2),
        slip_within_bar=bool(rng.random() < 0.2),
        cash_in_lieu=bool(lot_size > 0.0 and rng.random() < 0.5),
    )


def risk(rng, family):
    if family != "risk" and rng.random() > (0.5 if family in ("intrabar", "finer") else 0.1):
        return Risk()
    return Risk(
        stop_loss_rate=one_of(rng, (0.0, 0.01, 0.03)),
        take_profit_rate=one_of(rng, (0.0, 0.01, 0.04)),
        trailing_stop_rate=one_of(rng, (0.0, 0.0, 0.02)),
        time_stop_bars=one_of(rng, (0, 0, 1, 4)),
    )


def actions(rng, bars, family):
    shape = bars.close.shape
    rate = 0.05 if family == "financing" else 0.02
    split = np.where(rng.random(shape) < rate, rng.choice([2.0, 1.5, 0.1], shape), 1.0)
    dividend = np.where(rng.random(shape) < 2.0 * rate, rng.uniform(0.1, 3.0, shape), 0.0)
    delisting = np.full(shape, np.nan)
    for asset in range(shape[1]):
        if rng.random() < 0.25:
            delisting[rng.integers(shape[0] // 2, shape[0]), asset] = rng.choice([-1.0, -0.3, 0.0, 0.1])
    pay_bar = np.arange(shape[0])[:, None] + rng.integers(0, 8, shape)
    return Actions(split, dividend, delisting, pay_bar)


def targets(rng, bars, family):
    shape, much = bars.close.shape, 4.0 if family == "margin" else 1.0
    is_decided = rng.random(shape) < rng.choice([0.03, 0.3, 1.0])
    if rng.random() < 0.4:
        units = np.where(rng.random(shape) < 0.3, 0.0, rng.uniform(-60.0, 120.0, shape)) * much
        return TargetUnits(np.where(is_decided, units, np.nan))
    weights = np.where(rng.random(shape) < 0.2, 0.0, rng.uniform(-0.3, 0.5, shape) * much * rng.choice([1.0, 3.0]))
    has_price = np.maximum.accumulate(~np.isnan(bars.close), axis=0)
    return TargetWeights(np.where(is_decided & has_price, weights, np.nan))


def orders(rng, bars, family):
    """Orders of all kinds near the market: single ones, groups, and brackets of an entry and its exits."""
    rows = []
    n_ideas = int(rng.integers(15, 60))
    for idea in range(n_ideas):
        bar, asset = int(rng.integers(bars.n_bars - 1)), int(rng.integers(bars.n_assets))
        price = last_price(bars, bar, asset)
        place = {"bar_end": bars.bar_end[bar], "symbol": bars.symbols[asset]}
        quantity = float(rng.choice([-1.0, 1.0, 1.0]) * np.round(rng.uniform(0.05, 60.0), 1))
        quantity *= 8.0 if family == "margin" else 1.0
        if family == "brackets" or rng.random() < 0.3:
            rows += bracket(rng, place, price, quantity, idea, len(rows))
        elif rng.random() < 0.3:
            rows += [single(rng, place, price, quantity) | {"oco_group": f"g{idea}"} for _ in range(2)]
        else:
            rows.append(single(rng, place, price, quantity))
    frame = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return Orders(frame.assign(bar_end=pd.DatetimeIndex(frame["bar_end"]).tz_localize("UTC")))


COLUMNS = (
    "bar_end",
    "symbol",
    "quantity",
    "kind",
    "limit_price",
    "stop_price",
    "trail",
    "trail_rate",
    "tif",
    "oco_group",
    "parent",
)


def last_price(bars, bar, asset):
    closes = bars.close[: bar + 1, asset]
    known = closes[~np.isnan(closes)]
    return float(known[-1]) if known.size else 50.0


def near(rng, price, low=-0.04, high=0.04):
    """A price near another one, of two decimals or on a coarse grid that bars touch exactly."""
    step = one_of(rng, (0.01, 0.5))
    return max(float(np.round(price * (1.0 + rng.uniform(low, high)) / step) * step), step)


def single(rng, place, price, quantity, kinds=KINDS):
    kind = one_of(rng, kinds)
    row = place | {"quantity": quantity, "kind": kind, "tif": one_of(rng, TIFS)}
    if kind in ("limit", "stop_limit"):
        row["limit_price"] = near(rng, price)
    if kind in ("stop", "stop_limit"):
        row["stop_price"] = near(rng, price)
    if kind == "trailing_stop":
        row |= {"trail": near(rng, 1.0, -0.5, 1.0)} if rng.random() < 0.5 else {"trail_rate": rng.uniform(0.005, 0.04)}
        if rng.random() < 0.3:
            row["stop_price"] = near(rng, price)
    return row


def bracket(rng, place, price, quantity, idea, parent):
    """An entry with a stop and a limit that end each other, or with one exit of any kind."""
    entry = single(rng, place, price, quantity)
    side = np.sign(quantity)
    exits = []
    if rng.random() < 0.75:
        kinds = ("stop", "stop", "stop_limit", "trailing_stop")
        exits = [single(rng, place, price * (1.0 - 0.02 * side), -quantity, kinds)]
        exits.append(single(rng, place, price * (1.0 + 0.02 * side), -quantity, ("limit",)))
        exits = [row | {"oco_group": f"b{idea}"} for row in exits]
    else:
        exits = [single(rng, place, price, -quantity * one_of(rng, (0.5, 1.0, 2.0)))]
    exits = [row | {"parent": float(parent)} for row in exits]
    if rng.random() < 0.15:
        exits.append(single(rng, place, price, quantity) | {"parent": float(parent + 1)})
    return [entry, *exits]
