"""A made-up market: daily paths of any number of symbols out of a seed. Nothing here ever traded.

Each symbol has random numbers of its own for its traits, for each year and for each month of minutes; the
market has some for each year, which all symbols share. What is drawn for a year depends on the seed, the
options and the calendar alone, and a year is always computed whole, so that the numbers of a range depend
neither on the range that is asked for, nor on the other symbols, nor on the order of asking. A year begins with
the state (price, splits, volatility) that the year before it ended with.

A day's log return is

    drift + a * common[t] + b * own[t]

both factors Student's t of 5 degrees times exp(log_volatility[t]), where log_volatility is an autoregression
known the day before: tails are fat, and volatility comes in clusters. Part of a day's return happens overnight;
high and low are drawn from the distribution of the extremes of a Brownian bridge between open and close. A
dividend lowers the open of its ex-date. A share that gets dear is split, a cheap one consolidated. Most of the
delisted are taken over, at their last price; the others decline for a year and end with a return of -30 %, as
Shumway found for stocks delisted for their performance (The Delisting Bias in CRSP Data, Journal of Finance 52,
1997).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.sources.synthetic_traits import (
    LOG_VOLATILITY,
    SESSIONS_A_YEAR,
    Integers,
    MarketOptions,
    Sessions,
    Times,
    Traits,
    draw_traits,
    sessions_of,
    stream,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PRICE_UNITS = 10_000
"""Prices are whole numbers of ten-thousandths, and from 1.00 on of hundredths."""

MIN_VOLUME = 100
OVERNIGHT_SHARE = 0.3

_TAIL_DEGREES = 5.0
_PERSISTENCE = 0.98
_DRIFT_A_YEAR = 0.08
_FAILURE_RETURN = -0.3
_DECLINE_A_SESSION = 0.006
_SPLIT_CHANCE = 1.0 / 40.0


@dataclass(frozen=True)
class SymbolYear:
    """A symbol's year: arrays over its sessions, those without a bar included.

    open, high, low, close : int64[n_sessions] in PRICE_UNITS, as traded
    volume : int64[n_sessions], shares as traded
    dividend : int64[n_sessions], cash per share on the ex-date in PRICE_UNITS, else 0
    split : float64[n_sessions], new shares per old one on the ex-date, else 1
    daytime_volatility : float64[n_sessions], of the log return from open to close
    has_bar : bool[n_sessions], listed, not yet delisted, and not missing
    delisted_on, delisting_return : the first session without trading and the return; None where not in this year
    """

    sessions: Sessions
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers
    dividend: Integers
    split: Floats
    daytime_volatility: Floats
    has_bar: Flags
    delisted_on: dt.date | None
    delisting_return: float | None


@dataclass(frozen=True)
class _State:
    """A symbol between two years: log price of what was one share at first, the shares that has become."""

    log_price: float
    shares: float
    log_volatility: float


@dataclass(frozen=True)
class _Returns:
    """Log returns of a year's sessions, their overnight part, and the volatility known before each."""

    total: Floats
    overnight: Floats
    volatility: Floats
    log_volatility: Floats


class Market:
    """All symbols of one set of options, asked for one year at a time; cheapest in order of the years."""

    def __init__(self, options: MarketOptions) -> None:
        self.options = options
        self._traits: dict[int, Traits] = {}
        self._states: dict[int, tuple[int, _State]] = {}
        self._common: list[Floats] = []
        self._common_log_volatility = 0.0

    def year(self, number: int, year: int) -> SymbolYear | None:
        """Return the year of a symbol; None where it is not listed in it."""
        if number not in self._traits:
            self._traits[number] = draw_traits(self.options, number)
        traits = self._traits[number]
        first = traits.listed.year, _first_state(traits)
        at, state = self._states.get(number, first)
        if at > year:
            at, state = first
        if year < at or (traits.delisted is not None and traits.delisted.year < year):
            return None
        while at < year:
            state = self._live(number, traits, at, state)[1]
            at += 1
        self._states[number] = at, state
        return self._live(number, traits, year, state)[0]

    def _live(self, number: int, traits: Traits, year: int, state: _State) -> tuple[SymbolYear, _State]:
        """Return a symbol's year and the state it ends with."""
        calendar = sessions_of(self.options.exchange, year)
        n_days = len(calendar.day)
        rng = stream(self.options.seed, "symbol", number, year)
        own = _student(rng, n_days)
        calm, night, bustle = rng.standard_normal((3, n_days))
        above, below, luck, absence = 1.0 - rng.random((4, n_days))  # never 0, whose logarithm is asked for

        is_listed = calendar.day >= np.datetime64(traits.listed)
        lives = is_listed & (traits.delisted is None or calendar.day < np.datetime64(traits.delisted))
        returns = _returns(traits, state, calendar.day, own, calm, night, self._common_factor(year))
        pays = lives & (calendar.day > np.datetime64(traits.listed)) & _is_ex_date(traits, calendar.day)
        paid_rate = np.where(pays, traits.quarterly_yield, 0.0)

        log_close = state.log_price + np.cumsum(returns.total + np.log1p(-paid_rate))
        log_before = np.concatenate([[state.log_price], log_close[:-1]])
        log_open = log_before + np.log1p(-paid_rate) + returns.overnight
        daytime = np.sqrt(1.0 - OVERNIGHT_SHARE) * returns.volatility
        top, bottom = _bridge_extremes(log_close - log_open, daytime, above, below)
        may_split = lives & (calendar.day > np.datetime64(traits.listed)) & ~pays & (luck < _SPLIT_CHANCE)
        split, shares = _splits(log_before, may_split, state.shares)

        is_event = pays | (split != 1.0) | (calendar.day == np.datetime64(traits.listed))
        is_last = np.append(lives[:-1] & ~lives[1:], False)
        ends = traits.delisted is not None and traits.delisted.year == year
        relative = np.abs(returns.total) / returns.volatility
        volume = traits.volume * shares * np.exp(0.5 * returns.log_volatility + 0.3 * bustle) * (0.8 + 0.25 * relative)
        volume *= calendar.n_minutes / calendar.n_minutes.max()
        path = SymbolYear(
            sessions=calendar,
            open=in_units(np.exp(log_open) / shares),
            high=in_units(np.exp(log_open + top) / shares),
            low=in_units(np.exp(log_open + bottom) / shares),
            close=in_units(np.exp(log_close) / shares),
            volume=np.maximum(np.rint(volume), MIN_VOLUME).astype(np.int64),
            dividend=np.rint(np.exp(log_before) / shares * paid_rate * PRICE_UNITS).astype(np.int64),
            split=split,
            daytime_volatility=daytime,
            has_bar=lives & ((absence >= self.options.missing_rate) | is_event | is_last),
            delisted_on=traits.delisted if ends else None,
            delisting_return=(_FAILURE_RETURN if traits.is_failing else 0.0) if ends else None,
        )
        return path, _State(float(log_close[-1]), float(shares[-1]), float(returns.log_volatility[-1]))

    def _common_factor(self, year: int) -> Floats:
        """Return the factor of a year's sessions that all symbols share, of variance one in the long run."""
        while self.options.begin.year + len(self._common) <= year:
            at = self.options.begin.year + len(self._common)
            n_days = len(sessions_of(self.options.exchange, at).day)
            rng = stream(self.options.seed, "market", at)
            shocks = _student(rng, n_days)
            log_volatility = _autoregression(self._common_log_volatility, rng.standard_normal(n_days))
            self._common.append(shocks * _scale(log_volatility))
            self._common_log_volatility = float(log_volatility[-1])
        return self._common[year - self.options.begin.year]


def in_units(price: Floats) -> Integers:
    """Return prices as whole PRICE_UNITS: to a hundredth from 1.00 on, below to a ten-thousandth; at least one."""
    cents = np.rint(price * 100.0) * (PRICE_UNITS // 100)
    fine = np.maximum(np.rint(price * PRICE_UNITS), 1.0)
    units: Integers = np.where(price >= 1.0, cents, fine).astype(np.int64)
    return units


def _first_state(traits: Traits) -> _State:
    return _State(float(np.log(traits.price)), 1.0, traits.log_volatility)


def _returns(
    traits: Traits, state: _State, days: Times, own: Floats, calm: Floats, night: Floats, common: Floats
) -> _Returns:
    """Return a year's log returns; before the first session there are none, and it has no night before it."""
    log_volatility = _autoregression(state.log_volatility, calm)
    own_volatility = traits.volatility * np.sqrt(1.0 - traits.common_share) * _scale(log_volatility)
    shared_volatility = traits.volatility * np.sqrt(traits.common_share)
    volatility = np.sqrt(own_volatility**2 + shared_volatility**2)
    drift = np.full(len(days), _DRIFT_A_YEAR / SESSIONS_A_YEAR - 0.5 * traits.volatility**2)
    if traits.is_failing and traits.delisted is not None:
        drift[days >= np.datetime64(traits.delisted - dt.timedelta(days=365))] -= _DECLINE_A_SESSION
    total = drift + shared_volatility * common + own_volatility * own
    bridge = np.sqrt(OVERNIGHT_SHARE * (1.0 - OVERNIGHT_SHARE)) * volatility
    overnight = OVERNIGHT_SHARE * total + bridge * night
    is_first = days == np.datetime64(traits.listed)
    total = np.where(is_first, total - overnight, total)
    before = days < np.datetime64(traits.listed)
    return _Returns(
        total=np.where(before, 0.0, total),
        overnight=np.where(before | is_first, 0.0, overnight),
        volatility=volatility,
        log_volatility=log_volatility,
    )


def _student(rng: np.random.Generator, n: int) -> Floats:
    """Return draws of Student's t with variance one."""
    draws: Floats = rng.standard_t(_TAIL_DEGREES, n) * np.sqrt((_TAIL_DEGREES - 2.0) / _TAIL_DEGREES)
    return draws


def _autoregression(before: float, shocks: Floats) -> Floats:
    """Return x[t] = p * x[t-1] + shock, from x[-1] = `before`, with the standard deviation LOG_VOLATILITY."""
    power = _PERSISTENCE ** np.arange(1, len(shocks) + 1)
    size = LOG_VOLATILITY * np.sqrt(1.0 - _PERSISTENCE**2)
    walk: Floats = power * (before + np.cumsum(size * shocks / power))
    return walk


def _scale(log_volatility: Floats) -> Floats:
    """Return the factors of volatility, whose squares are one in the mean."""
    scale: Floats = np.exp(log_volatility - LOG_VOLATILITY**2)
    return scale


def _is_ex_date(traits: Traits, days: Times) -> Flags:
    months = days.astype("datetime64[M]")
    place = np.arange(len(days)) - np.searchsorted(months, months)
    is_due: Flags = (months.astype(np.int64) % 3 == traits.dividend_month) & (place == traits.dividend_session)
    return is_due & (traits.quarterly_yield > 0.0)


def _bridge_extremes(move: Floats, volatility: Floats, above: Floats, below: Floats) -> tuple[Floats, Floats]:
    """Return the highest and lowest point of a Brownian bridge from 0 to `move`.

    P(max < x) = 1 - exp(-2 x (x - move) / volatility**2) is solved for x; the two ends are drawn apart.
    """
    top = 0.5 * (move + np.sqrt(move**2 - 2.0 * volatility**2 * np.log(above)))
    bottom = 0.5 * (move - np.sqrt(move**2 - 2.0 * volatility**2 * np.log(below)))
    return top, bottom


def _splits(log_before: Floats, may_split: Flags, shares_before: float) -> tuple[Floats, Floats]:
    """Return each session's split ratio and the shares that one share at first has become with it."""
    split, shares = np.ones(len(log_before)), np.full(len(log_before), shares_before)
    for at in np.flatnonzero(may_split).tolist():
        price = float(np.exp(log_before[at])) / shares[at]
        ratio = _ratio(price)
        split[at] = ratio
        shares[at:] *= ratio
    return split, shares


def _ratio(price: float) -> float:
    """Return the split that brings a dear or a cheap share back, 1 for the others."""
    for limit, ratio in ((10_000.0, 50.0), (2_000.0, 20.0), (800.0, 5.0), (400.0, 3.0), (250.0, 2.0)):
        if price > limit:
            return ratio
    return 0.02 if price < 0.2 else 0.1 if price < 2.0 else 1.0
