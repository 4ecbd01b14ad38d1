"""From checked settings to what the kernels take: rates as fractions, names as numbers, the calendar of the bars."""

from __future__ import annotations

import math
from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.account import Account
from engine.actions import Actions, Events
from engine.bars import Bars
from engine.costs import Costs
from engine.errors import InputError
from engine.execution import CASH_POLICIES, CHILDREN_FROM, INTRABAR_RULES, Execution
from engine.kernels.calendar import sessions_nb
from engine.kernels.liquidity import BLOCK, liquidity_nb, whole_liquidity_nb
from engine.kernels.state import CALENDAR, LIQUIDITY, RULES, Finer, Market, Rules
from engine.panels import place, read_only
from engine.risk import Risk
from engine.settings import check_kind

# What is absent has the type of what is given, read-only too: another type is another loop to compile.
_NO_NUMBERS = read_only(np.empty(0, dtype=np.int64))
_NO_VALUES = read_only(np.empty(0, dtype=np.float64))
_NO_PANEL = read_only(np.empty((0, 0), dtype=np.float64))
_NO_LIQUIDITY = read_only(np.empty((0, 0), dtype=LIQUIDITY))
_NO_CALENDAR = read_only(np.empty(0, dtype=CALENDAR))
# Prices of finer bars may differ from their bar's by rounding.
_RANGE_NOISE = 1e-9
NO_EVENTS = Events(_NO_NUMBERS, _NO_NUMBERS, _NO_VALUES, _NO_VALUES, _NO_VALUES, _NO_NUMBERS, _NO_NUMBERS)
NO_FINER = Finer(_NO_PANEL, _NO_PANEL, _NO_PANEL, _NO_PANEL, _NO_NUMBERS, False)


def market_of(
    bars: Bars, costs: Costs, execution: Execution, events: Events, *, has_nights: bool, has_orders: bool
) -> Market:
    """Return the prices and, as far as the settings ask for it, the calendar and the liquidity of the bars.

    Raises `InputError` where a setting needs volumes and one is not known.
    """
    needs_volume = (
        execution.participation_rate < math.inf or costs.impact_coefficient > 0.0 or costs.volume_share_impact > 0.0
    )
    if needs_volume:
        _check_volumes(bars)
    liquidity = _NO_LIQUIDITY
    if costs.impact_coefficient > 0.0:
        # A window of more bars than there are is never full.
        liquidity = _liquidity(bars, events, min(costs.impact_bars, bars.n_bars))
    calendar = _NO_CALENDAR
    if has_nights or has_orders or costs.commission_tiers:
        calendar = _calendar(bars)
    if execution.timing == "next_close":
        # A bar is its close alone.
        return Market(*(bars.close,) * 4, bars.volume, liquidity, calendar, bars.has_gaps)
    return Market(bars.open, bars.high, bars.low, bars.close, bars.volume, liquidity, calendar, bars.has_gaps)


def finer_of(finer: Bars | None, bars: Bars, execution: Execution) -> Finer:
    """Return finer bars and where those of each bar stand.

    Raises `InputError` where they have other symbols, leave the range of their bar, or a bar is its close alone.
    """
    if finer is None:
        return NO_FINER
    if finer.symbols != bars.symbols:
        raise InputError(f"finer bars must have the symbols of the bars {bars.symbols}, had {finer.symbols}")
    if execution.timing == "next_close":
        raise InputError("finer bars have no use with timing 'next_close', where a bar is its close alone")
    start = np.zeros(bars.n_bars + 1, dtype=np.int64)
    start[1:] = np.searchsorted(finer.bar_end, bars.bar_end, side="right")
    inside = np.repeat(np.arange(bars.n_bars), np.diff(start))
    for name, side in (("high", 1.0), ("low", -1.0)):
        edge, found = getattr(bars, name)[inside], getattr(finer, name)[: inside.size]
        is_out = side * (found - edge) > _RANGE_NOISE * edge
        if is_out.any():
            where = np.unravel_index(int(np.argmax(is_out)), is_out.shape)
            at = place((int(where[0]), int(where[1])), finer.bar_end, finer.symbols)
            raise InputError(
                f"finer bars must stay within their bar, {name} was {found[where]} outside of {edge[where]} for {at}"
            )
    return Finer(finer.open, finer.high, finer.low, finer.close, read_only(start), True)


def events_of(actions: Actions | None, bars: Bars) -> Events:
    """Return the corporate actions of a run as a list."""
    if actions is None:
        return NO_EVENTS
    check_kind("actions", actions, Actions)
    if actions.split.shape != bars.close.shape:
        raise InputError(f"actions must have the shape of the bars {bars.close.shape}, had {actions.split.shape}")
    return actions.events


@lru_cache(maxsize=1024)
def rules_of(account: Account, costs: Costs, execution: Execution, risk: Risk) -> Rules:
    """Return the settings as plain numbers."""
    if execution.timing == "same_close" and execution.latency_bars > 0:
        raise InputError(f"latency_bars must be 0 with timing 'same_close', was {execution.latency_bars}")
    if costs.slippage_ticks > 0.0 and execution.tick_size == 0.0:
        raise InputError(
            "slippage_ticks needs the size of a tick, such as Execution(tick_size=0.01); "
            f"slippage_ticks was {costs.slippage_ticks} and tick_size 0.0"
        )
    nightly = 1.0 / account.day_count
    has_risk = any(getattr(risk, field.name) for field in fields(risk))
    is_proportional = (
        costs.commission_min == 0.0 and costs.commission_max_rate == math.inf and not costs.commission_tiers
    )
    is_plain = (
        costs.impact_coefficient == 0.0
        and costs.volume_share_impact == 0.0
        and costs.slippage_ticks * execution.tick_size == 0.0
        and execution.stop_slippage
        and execution.limit_slippage
        and not execution.slip_within_bar
    )
    is_linear = is_proportional and is_plain and execution.participation_rate == math.inf
    rules = np.zeros(1, dtype=RULES).view(np.recarray)[0]
    rules.cash = account.cash
    rules.leverage = account.leverage
    rules.allow_short = account.allow_short
    rules.maintenance_margin = account.maintenance_margin
    rules.cash_rate = account.cash_rate * nightly
    rules.debit_rate = account.debit_rate * nightly
    rules.borrow_rate = costs.borrow_rate * nightly
    rules.pays_on_ex_date = account.dividends_on == "ex_date"
    rules.commission_rate = costs.commission_bps / 10_000.0
    rules.commission_fixed = costs.commission_fixed
    rules.commission_per_share = 0.0 if costs.commission_tiers else costs.commission_per_share
    rules.commission_min = costs.commission_min
    rules.commission_max_rate = costs.commission_max_rate
    rules.min_beats_max = costs.commission_min_beats_max
    rules.sell_fee_rate = costs.sell_fee_rate
    rules.sell_fee_per_share = costs.sell_fee_per_share
    rules.sell_fee_max = costs.sell_fee_max
    rules.spread_rate = costs.spread_bps / 20_000.0
    rules.slippage_rate = costs.slippage_bps / 10_000.0
    rules.slippage_ccy = costs.slippage_ticks * execution.tick_size
    rules.impact = costs.impact_coefficient
    rules.volume_share_impact = costs.volume_share_impact
    rules.volume_share_limit = costs.volume_share_limit
    rules.timing = 1 if execution.timing == "same_close" else 0
    rules.latency = execution.latency_bars
    rules.participation = execution.participation_rate
    rules.lot_size = execution.lot_size
    rules.tick_size = execution.tick_size
    rules.cash_policy = CASH_POLICIES.index(execution.cash_policy)
    rules.intrabar = INTRABAR_RULES.index(execution.intrabar)
    rules.children_from = CHILDREN_FROM.index(execution.children_from)
    rules.limit_touch = execution.limit_touch
    rules.stop_slippage = execution.stop_slippage
    rules.limit_slippage = execution.limit_slippage
    rules.slip_within_bar = execution.slip_within_bar
    rules.trail_on_close = execution.trail_on_close
    rules.cash_in_lieu = execution.cash_in_lieu
    rules.stop_loss = risk.stop_loss_rate
    rules.take_profit = risk.take_profit_rate
    rules.trailing = risk.trailing_stop_rate
    rules.time_stop = risk.time_stop_bars
    rules.has_risk = has_risk
    rules.has_financing = account.cash_rate != 0.0 or account.debit_rate != 0.0 or costs.borrow_rate != 0.0
    rules.is_linear = is_linear
    rules.is_plain = is_plain
    rules.is_proportional = is_proportional
    rules.trades_at_opens = (
        not (has_risk or rules.has_financing or costs.commission_tiers or execution.slip_within_bar)
        and costs.impact_coefficient == 0.0
        and costs.volume_share_impact == 0.0
        and account.maintenance_margin == 0.0
        and execution.timing != "same_close"
        and execution.latency_bars == 0
        and execution.participation_rate == math.inf
        and execution.cash_policy != "margin"
    )
    rules.n_tiers = len(costs.commission_tiers)
    if costs.commission_tiers:
        rules.tiers[: rules.n_tiers] = costs.commission_tiers
    return rules


def _check_volumes(bars: Bars) -> None:
    is_unknown = np.isnan(bars.volume) & ~np.isnan(bars.close)
    if is_unknown.any():
        where = np.unravel_index(int(np.argmax(is_unknown)), is_unknown.shape)
        at = place((int(where[0]), int(where[1])), bars.bar_end, bars.symbols)
        raise InputError(
            f"participation_rate, impact_coefficient and volume_share_impact need volumes, volume was NaN for {at}"
        )


def _liquidity(bars: Bars, events: Events, n_bars: int) -> NDArray[Any]:
    n_assets = bars.n_assets
    liquidity = np.empty(bars.close.shape, dtype=LIQUIDITY)
    if not bars.has_gaps and events.bar.size == 0:
        whole_liquidity_nb(
            bars.close.reshape(-1),
            bars.volume.reshape(-1),
            n_assets,
            n_bars,
            np.empty(bars.close.size),
            np.empty((2, BLOCK)),
            liquidity.reshape(-1),
        )
        return read_only(liquidity)
    liquidity_nb(
        bars.close,
        bars.volume,
        events,
        np.full(n_assets, np.nan),
        np.zeros((n_assets, n_bars)),
        np.zeros((n_assets, n_bars)),
        np.zeros(n_assets, dtype=np.int64),
        liquidity,
    )
    return read_only(liquidity)


def _calendar(bars: Bars) -> NDArray[Any]:
    calendar = np.empty(bars.n_bars, dtype=CALENDAR)
    # Months are told by NumPy, once a session: of a million minutes that would take longer than to trade them.
    firsts = np.empty(bars.n_bars, dtype=np.int64)
    firsts = firsts[: sessions_nb(bars.bar_end.view(np.int64), firsts, calendar)]
    months = calendar["session"][firsts].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    calendar["month"] = np.repeat(months, np.diff(firsts, append=bars.n_bars))
    return read_only(calendar)
