"""What a made-up market is made from: its options, its sessions, and what each symbol is all its life."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.calendar import LAST_DATE, session_close, session_from, session_open, sessions
from lakehouse.errors import BadName, LakeError, SourceError

Integers = NDArray[np.int64]
Times = NDArray[np.datetime64]

MAX_SYMBOLS = 100_000
SESSIONS_A_YEAR = 252
LOG_VOLATILITY = 0.45
"""Standard deviation of the log of the volatility around a symbol's own."""

_PAYING_SHARE = 0.6
_FAILING_SHARE = 0.4
_SPREAD = 0.2


@dataclass(frozen=True)
class MarketOptions:
    """What a market is made from; two markets with equal options are equal.

    seed : whole number, 0 or above
    volatility : of a year; the root mean square over all symbols
    common_share : fraction of the variance that all symbols share, on average
    delisting_rate : fraction of the symbols that is delisted in a year
    missing_rate : fraction of the bars that is missing
    begin : the first day of the market; four in five symbols are listed then, the others in the 15 years after
    exchange : whose sessions there are, such as XNYS
    """

    seed: int = 0
    volatility: float = 0.30
    common_share: float = 0.25
    delisting_rate: float = 0.03
    missing_rate: float = 0.001
    begin: dt.date = dt.date(2010, 1, 1)
    exchange: str = "XNYS"

    def __post_init__(self) -> None:
        if type(self.seed) is not int or self.seed < 0:
            raise SourceError(f"seed must be a whole number, 0 or above, was {self.seed!r}")
        limits = {"volatility": (0.01, 3.0), "common_share": (0.0, 0.9)}
        limits |= {"delisting_rate": (0.0, 1.0), "missing_rate": (0.0, 0.5)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not low <= value <= high:
                raise SourceError(f"{name} must lie in [{low}, {high}], was {value!r}")
        if type(self.begin) is not dt.date:
            raise SourceError(f"begin must be a date, was {self.begin!r}")


@dataclass(frozen=True)
class Sessions:
    """The sessions of an exchange in a year: days, opens and closes (UTC in microseconds, without a zone)."""

    day: Times
    open: Times
    close: Times

    @functools.cached_property
    def n_minutes(self) -> Integers:
        """Minutes from open to close; a break at noon counts as traded."""
        minutes: Integers = ((self.close - self.open) // np.timedelta64(1, "m")).astype(np.int64)
        return minutes


@dataclass(frozen=True)
class Traits:
    """What a symbol is all its life. `volatility` is a session's; `delisted` is a session, not a year's first."""

    volatility: float
    common_share: float
    log_volatility: float
    price: float
    volume: float
    quarterly_yield: float
    dividend_month: int
    dividend_session: int
    listed: dt.date
    delisted: dt.date | None
    is_failing: bool


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random numbers that belong to a seed and names, independent of those of all others."""
    digest = hashlib.sha256("/".join(str(name) for name in (seed, *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


@functools.lru_cache(maxsize=256)
def sessions_of(exchange: str, year: int) -> Sessions:
    """Return the sessions of a year."""
    days = sessions(exchange, dt.date(year, 1, 1), dt.date(year + 1, 1, 1))
    opens, closes = (times(exchange, days).tz_convert(None).to_numpy() for times in (session_open, session_close))
    return Sessions(np.array(days, dtype="datetime64[D]"), opens, closes)


def draw_traits(options: MarketOptions, number: int) -> Traits:
    """Return what a symbol is, from random numbers of its own."""
    rng = stream(options.seed, "symbol", number)
    size, share, log_volatility = rng.standard_normal(3)
    price, value, pays, rate, late, when, fails = rng.random(7)
    life = rng.exponential()
    month, session = rng.integers(0, 3), rng.integers(2, 15)
    listed = _session_from(options.exchange, options.begin, 0.0 if late < 0.8 else 15.0 * when)
    if listed is None:
        raise SourceError(f"the calendar of {options.exchange} ends before {options.begin}: begin earlier")
    first_price = float(np.exp(np.log(8.0) + price * np.log(25.0)))
    return Traits(
        # The mean of the squares is one.
        volatility=options.volatility / np.sqrt(SESSIONS_A_YEAR) * float(np.exp(_SPREAD * size - _SPREAD**2)),
        common_share=min(options.common_share * float(np.clip(1.0 + 0.3 * share, 0.2, 1.8)) ** 2, 0.95),
        log_volatility=LOG_VOLATILITY * float(log_volatility),
        price=first_price,
        volume=float(np.exp(np.log(3e5) + value * np.log(300.0))) / first_price,
        quarterly_yield=(0.01 + 0.04 * float(rate)) / 4.0 if pays < _PAYING_SHARE else 0.0,
        dividend_month=int(month),
        dividend_session=int(session),
        listed=listed,
        delisted=_delisting(
            options.exchange, listed, 1.0 + life / options.delisting_rate if options.delisting_rate else np.inf
        ),
        is_failing=bool(fails < _FAILING_SHARE),
    )


def _delisting(exchange: str, listed: dt.date, years: float) -> dt.date | None:
    """Return the first session without trading; never a year's first, so that the last bar is in its year."""
    day = _session_from(exchange, listed, years)
    if day is not None and day == sessions_of(exchange, day.year).day[0]:
        day = _session_from(exchange, day + dt.timedelta(days=1), 0.0)
    return day


def _session_from(exchange: str, day: dt.date, years: float) -> dt.date | None:
    """Return the first session so many years after the day; None where the calendar does not reach that far."""
    if years > 100.0 or day + dt.timedelta(days=round(365.25 * years)) >= LAST_DATE:
        return None
    try:
        return session_from(exchange, [day + dt.timedelta(days=round(365.25 * years))])[0]
    except BadName:
        raise
    except LakeError:
        return None
