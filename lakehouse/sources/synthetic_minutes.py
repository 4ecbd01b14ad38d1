"""Minutes of a made-up market that make up its daily bars exactly.

The minutes of a session open at its open, reach its high and low, close at its close and trade its volume. In
between the price is a Brownian bridge whose variance is largest after the open and before the close; the parts
of it beyond open and close are stretched or squeezed to end at the day's high and low. Volume has the same
shape and a closing auction. A minute without a trade has no bar: few in a share that trades a lot, most in one
that trades little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakehouse.sources.synthetic_market import PRICE_UNITS, Flags, Floats, SymbolYear, in_units
from lakehouse.sources.synthetic_traits import Integers, Times, stream

_SHARES_A_TRADE = 100.0
_AUCTION = 8.0
"""The last minute's volume, in the others'."""


@dataclass(frozen=True)
class Minutes:
    """A symbol's minute bars in order: prices in PRICE_UNITS, `end` in microseconds of UTC without a zone."""

    end: Times
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers


@dataclass(frozen=True)
class _Draws:
    """Random numbers of a session's minutes: float64[n_sessions, n_minutes], the first five normal."""

    walk: Floats
    gap: Floats
    above: Floats
    below: Floats
    bustle: Floats
    chance: Floats


def minutes_of(path: SymbolYear, month: np.datetime64, *, seed: int, number: int, missing_rate: float) -> Minutes:
    """Return the minute bars of a month; none for sessions without a daily bar.

    A month is drawn and computed whole, whatever part of it is asked for.

    Parameters
    ----------
    path : the year of the symbol
    month : datetime64[M]
    number : of the symbol
    missing_rate : fraction of the minutes that is missing though there were trades
    """
    of_month = np.flatnonzero(path.sessions.day.astype("datetime64[M]") == month)
    n_minutes = path.sessions.n_minutes[of_month]
    shape = (len(of_month), int(n_minutes.max()))
    rng = stream(seed, "minutes", number, str(month))
    walk, gap, above, below, bustle = rng.standard_normal((5, *shape))
    draws = _Draws(walk, gap, above, below, bustle, chance=rng.random(shape))
    parts = []
    for n in np.unique(n_minutes).tolist():
        rows = np.flatnonzero(n_minutes == n)
        parts.append(_sessions_of_length(path, of_month[rows], n, draws, rows, missing_rate))
    end, *bars = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(end, kind="stable")
    return Minutes(end[order], *(column[order] for column in bars))


def _sessions_of_length(
    path: SymbolYear, at: Integers, n: int, draws: _Draws, rows: Integers, missing_rate: float
) -> tuple[Times | Integers, ...]:
    """Return end, open, high, low, close and volume of the minutes of sessions that are equally long."""
    open_, high, low, close, volume = (
        getattr(path, name)[at][:, None] for name in ("open", "high", "low", "close", "volume")
    )
    shape = 0.6 + 1.2 * (2.0 * (np.arange(n) + 0.5) / n - 1.0) ** 2
    step = path.daytime_volatility[at][:, None] * np.sqrt(shape**2 / (shape**2).sum())
    walk = _walk(draws.walk[rows, :n], step, *(np.log(price / open_) for price in (close, high, low)))

    unit = open_ / PRICE_UNITS
    ends = unit * np.exp(walk)
    before = np.concatenate([unit, ends[:, :-1]], axis=1)
    begins = before * (1.0 + 0.15 * step * draws.gap[rows, :n])
    reach = 0.3 * step
    tops = np.maximum(begins, ends) * (1.0 + reach * np.abs(draws.above[rows, :n]))
    bottoms = np.minimum(begins, ends) / (1.0 + reach * np.abs(draws.below[rows, :n]))
    opens, highs, lows, closes = (np.clip(in_units(price), low, high) for price in (begins, tops, bottoms, ends))
    opens[:, :1], closes[:, -1:] = open_, close
    highs, lows = np.maximum(highs, np.maximum(opens, closes)), np.minimum(lows, np.minimum(opens, closes))
    needed = np.zeros(highs.shape, dtype=np.bool_)
    needed[:, 0] = needed[:, -1] = True
    for column, extreme, found in ((highs, high, highs.argmax(axis=1)), (lows, low, lows.argmin(axis=1))):
        place = np.arange(len(at)), found
        column[place] = extreme[:, 0]
        needed[place] = True

    weight = shape * np.exp(0.6 * draws.bustle[rows, :n])
    weight[:, -1] *= _AUCTION
    traded = _volumes(weight, volume, needed, draws.chance[rows, :n], missing_rate)
    end = path.sessions.open[at][:, None] + (np.arange(n) + 1) * np.timedelta64(60_000_000, "us")
    has_bar = (traded > 0) & path.has_bar[at][:, None]
    return tuple(column[has_bar] for column in (end, opens, highs, lows, closes, traded))


def _walk(shocks: Floats, step: Floats, close: Floats, high: Floats, low: Floats) -> Floats:
    """Return the log price after each minute: a bridge from 0 to `close`, within `low` and `high`, reaching both."""
    variance = np.cumsum(step**2, axis=1)
    time = variance / variance[:, -1:]
    path = np.cumsum(shocks * step, axis=1)
    path += time * (close - path[:, -1:])
    path[:, -1:] = close
    top, bottom = np.maximum(close, 0.0), np.minimum(close, 0.0)
    above, below = path.max(axis=1, keepdims=True) - top, bottom - path.min(axis=1, keepdims=True)
    up = np.divide(high - top, above, out=np.zeros_like(above), where=above > 0.0)
    down = np.divide(bottom - low, below, out=np.zeros_like(below), where=below > 0.0)
    within = np.clip(path, bottom, top)
    walk: Floats = within + up * np.maximum(path - top, 0.0) - down * np.maximum(bottom - path, 0.0)
    return walk


def _volumes(weight: Floats, volume: Integers, needed: Flags, chance: Floats, missing_rate: float) -> Integers:
    """Return whole volumes that sum up to the session's; 0 where nothing was traded, never where `needed`."""
    expected_trades = volume * (weight / weight.sum(axis=1, keepdims=True)) / _SHARES_A_TRADE
    is_silent = chance < missing_rate + (1.0 - missing_rate) * np.exp(-expected_trades)
    share = np.where(needed | ~is_silent, weight, 0.0)
    share /= share.sum(axis=1, keepdims=True)
    traded: Integers = np.floor(share * (volume - needed.sum(axis=1, keepdims=True))).astype(np.int64) + needed
    traded[:, -1:] += volume - traded.sum(axis=1, keepdims=True)
    return traded
