"""Execution: when, where and how much of a decision is filled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.errors import InputError
from engine.settings import SMALLEST, amount, choice, flag, limit, whole

TIMINGS = ("next_open", "same_close", "next_close")
CASH_POLICIES = ("scale", "reject", "margin")
INTRABAR_RULES = ("pessimistic", "ohlc", "olhc", "adaptive", "stops_first")
CHILDREN_FROM = ("same_bar", "next_bar", "market")
_FLAGS = ("limit_touch", "stop_slippage", "limit_slippage", "slip_within_bar", "trail_on_close", "cash_in_lieu")


@dataclass(frozen=True)
class Execution:
    """How decisions become fills.

    Parameters
    ----------
    timing : {"next_open", "same_close", "next_close"}
        A target or market order decided at the close of bar t fills at the open of the asset's next bar, or at
        the very close it was decided on. The latter trades at a price that was part of the decision: ask for
        it on purpose. Orders of other kinds always work from the next bar on. next_close: a bar is its close
        alone, and everything fills there, stops and limits too, as in zipline.
    latency_bars : int
        Further bars before a decision can trade: it meets bar t + 1 + latency_bars first. None with
        timing same_close.
    participation_rate : float
        The fills of an asset in one bar take at most this fraction of the bar's volume, cut to whole lots; the
        rest waits for the next bars until its time in force ends. inf: no limit. Else volume must be known.
    lot_size : float
        Smallest tradable step in units; 0: fractions trade. Quantities, and what is left of one, are rounded
        towards zero; a target of zero also sells an odd rest.
    tick_size : float
        Step of prices (ccy); 0: none. Limit prices are rounded to be no worse for the trader (buys down, sales
        up), stop prices away from the market (buys up, sales down).
    cash_policy : {"scale", "reject", "margin"}
        Where cash is short for all buys of a moment: scale all of them down in proportion, or reject all of
        them. margin: cash may go below zero, and all orders of a moment that enlarge a position, long or
        short, are rejected where exposure would pass leverage x equity.
    intrabar : {"pessimistic", "ohlc", "olhc", "adaptive", "stops_first"}
        Which of several levels touched inside one bar comes first. pessimistic: stops before limits and
        profits. ohlc, olhc: along the path open-high-low-close or open-low-high-close. adaptive: the path that
        visits first the extreme nearer to the open, and the one worse for the position where both are as near.
        stops_first: as pessimistic, but also a limit that the open has passed waits until all stops of the bar
        were looked at, as in vectorbt, backtrader and backtesting.py.
    children_from : {"same_bar", "next_bar", "market"}
        From when the orders of a filled parent, and the levels of `Risk`, work: already in the parent's bar
        (what it would have done after the fill decides, see `Orders`), or from the bar after. market: in the
        same bar after a market order, which fills at its open, in the next one after any other.
    limit_touch : bool
        True: a limit order fills where the price reaches its limit; False: only where it trades through.
    stop_slippage : bool
        False: stop orders and stops of `Risk` pay no spread, slippage or impact.
    limit_slippage : bool
        False: limit orders and profits of `Risk` pay none either. True: they pay where the open is better than
        the limit, up to the limit.
    slip_within_bar : bool
        True: spread, slippage and impact never take a price beyond the bar's high or low.
    trail_on_close : bool
        True: what a trailing stop trails moves with the closes, not with the highs and lows.
    cash_in_lieu : bool
        True: a split that leaves a fraction of a lot pays it out at the rescaled mark. Needs a lot size.
    """

    timing: str = "next_open"
    latency_bars: int = 0
    participation_rate: float = math.inf
    lot_size: float = 0.0
    tick_size: float = 0.0
    cash_policy: str = "scale"
    intrabar: str = "pessimistic"
    children_from: str = "same_bar"
    limit_touch: bool = True
    stop_slippage: bool = True
    limit_slippage: bool = True
    slip_within_bar: bool = False
    trail_on_close: bool = False
    cash_in_lieu: bool = False

    def __post_init__(self) -> None:
        rule = "positive, or inf for no limit"
        self.__dict__.update(
            timing=choice("timing", self.timing, TIMINGS),
            latency_bars=whole("latency_bars", self.latency_bars, low=0),
            participation_rate=limit("participation_rate", self.participation_rate, low=SMALLEST, rule=rule),
            lot_size=amount("lot_size", self.lot_size),
            tick_size=amount("tick_size", self.tick_size),
            cash_policy=choice("cash_policy", self.cash_policy, CASH_POLICIES),
            intrabar=choice("intrabar", self.intrabar, INTRABAR_RULES),
            children_from=choice("children_from", self.children_from, CHILDREN_FROM),
        )
        for name in _FLAGS:
            flag(name, getattr(self, name))
        if self.cash_in_lieu and self.lot_size == 0.0:
            raise InputError(
                "cash_in_lieu pays out fractions of a lot and needs a lot size, such as Execution(cash_in_lieu=True, "
                "lot_size=1.0); lot_size was 0.0"
            )

    @classmethod
    def profile(cls, name: str) -> Execution:
        """Return the execution that reproduces a peer: vectorbt, backtrader, backtesting.py, zipline or lean.

        What each profile reproduces and what not is written in `engine.profiles`. Raises `InputError` naming the
        nearest where there is none of that name.
        """
        from engine.profiles import profile

        return profile(name)
