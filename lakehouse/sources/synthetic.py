"""A synthetic market of any size, for trying out and for loads that no free data has. Nothing here ever traded.

    SyntheticSource(seed=7, n_symbols=500, dataset="minute")

gives bars as traded with fat tails, clusters of volatility, a common factor, splits, dividends, delistings,
missing bars and half days (`lakehouse.sources.synthetic_market`). Symbols are called SYN00000, SYN00001 and so
on; the source, every symbol and the label in every file say that the bars are made up.

One answer is a symbol's year of daily bars, or a symbol's month of minutes. It depends on the options alone:
the same options give the same bytes whatever range, symbols and order are asked for, with one version of numpy,
pyarrow and exchange_calendars on one kind of processor (elsewhere, the last digit of an exponential may differ).
A daily bar is what the minutes of its session make up. What has not ended at `as_of` is not there: an answer
that is asked for again later has the earlier one's rows first.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.errors import nearest
from lakehouse.errors import EmptyAnswer, SourceError, UnknownSymbol
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed, check_asked, check_symbol

if TYPE_CHECKING:
    from lakehouse.sources.synthetic_market import Market
    from lakehouse.sources.synthetic_traits import MarketOptions, Times

DATASETS = ("day", "minute")
GENERATOR = 1
"""Counts up when the same options come to give other numbers."""

_SYMBOL = re.compile(r"SYN(\d{5})", re.ASCII)


class SyntheticSource:
    """Made-up bars.

    Parameters
    ----------
    dataset : "day" for daily bars and corporate actions, "minute" for minute bars of the regular session
    n_symbols : how many symbols there are, up to 100,000; a smaller market is the begin of a larger one
    seed, volatility, common_share, delisting_rate, missing_rate, begin, exchange : as in
        `lakehouse.sources.synthetic_traits.MarketOptions`; `begin` as a date or written 2010-01-01
    """

    name = "synthetic"

    def __init__(
        self,
        *,
        dataset: str = "day",
        n_symbols: int = 500,
        seed: int = 0,
        volatility: float = 0.30,
        common_share: float = 0.25,
        delisting_rate: float = 0.03,
        missing_rate: float = 0.001,
        begin: dt.date | str = dt.date(2010, 1, 1),
        exchange: str = "XNYS",
    ) -> None:
        from lakehouse.sources.synthetic_traits import MAX_SYMBOLS, MarketOptions

        if dataset not in DATASETS:
            raise SourceError(f"source 'synthetic' has no dataset {dataset!r}{nearest(str(dataset), DATASETS)}")
        if type(n_symbols) is not int or not 1 <= n_symbols <= MAX_SYMBOLS:
            raise SourceError(f"n_symbols must be a whole number from 1 to {MAX_SYMBOLS:,}, was {n_symbols!r}")
        self.dataset = dataset
        self._n_symbols = n_symbols
        self._options: MarketOptions = MarketOptions(
            seed=seed,
            volatility=volatility,
            common_share=common_share,
            delisting_rate=delisting_rate,
            missing_rate=missing_rate,
            begin=_date(begin),
            exchange=exchange,
        )

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once; none means all.

        Raises
        ------
        UnknownSymbol : not one of the market's.
        """
        for symbol in configured:
            match = _SYMBOL.fullmatch(check_symbol(symbol))
            if match is None or int(match[1]) >= self._n_symbols:
                last = symbol_name(self._n_symbols - 1)
                raise UnknownSymbol(f"the synthetic market has the symbols {symbol_name(0)} to {last}, not {symbol!r}")
        return list(dict.fromkeys(configured)) or [symbol_name(number) for number in range(self._n_symbols)]

    def fetch(
        self,
        symbols: Sequence[str],
        start: dt.date,
        end: dt.date,
        *,
        as_of: dt.datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        """Yield an answer a year (day) or month (minute) that the range touches, and symbol, in this order.

        An answer holds its whole year or month, up to the last session that had ended at `as_of`. A symbol
        that has no bar then has no answer.

        Raises
        ------
        UnknownSymbol : not one of the market's.
        EmptyAnswer : no bar of any symbol in the whole range; raised at its end.
        SourceError : an empty range.
        """
        from lakehouse.calendar import month_keys
        from lakehouse.sources.synthetic_market import Market

        check_asked(start, end, as_of)
        wanted = self.symbols(symbols)
        last = min(end, as_of.astimezone(dt.UTC).date() + dt.timedelta(days=2))
        periods = month_keys(max(start, self._options.begin), last)
        if self.dataset == "day":
            periods = list(dict.fromkeys(period[:4] for period in periods))
        market, n_answers = Market(self._options), 0
        for period in periods:
            if progress is not None:
                progress(f"synthetic: {period} ({len(wanted):,} symbols)")
            for symbol in wanted:
                answer = self._answer(market, symbol, period, as_of)
                if answer is not None:
                    n_answers += 1
                    yield answer
        if not n_answers:
            raise EmptyAnswer(
                f"the synthetic market has no bar in [{start}, {end}) that had ended at {as_of.isoformat()}; it "
                f"begins on {self._options.begin}"
            )

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return the bars and actions of a symbol's year, or the minute bars of its month."""
        from lakehouse.sources.synthetic_parquet import read_daily, read_minutes

        what = f"the synthetic {request['dataset']} bars of {request['symbol']} in {request['period']}"
        return (read_daily if request["dataset"] == "day" else read_minutes)(content, what)

    def _answer(self, market: Market, symbol: str, period: str, as_of: dt.datetime) -> Answer | None:
        """Return a symbol's answer for a year or month, None where it has no bar in it."""
        import numpy as np

        until = np.datetime64(as_of.astimezone(dt.UTC).replace(tzinfo=None), "us")
        made = (_daily if self.dataset == "day" else _minutes)(market, symbol, period, until)
        if made is None:
            return None
        content, days = made
        return Answer(
            content=content,
            source=self.name,
            dataset=self.dataset,
            request={
                "generator": GENERATOR,
                "dataset": self.dataset,
                "symbol": symbol,
                "period": period,
                **asdict(self._options),
                "begin": self._options.begin.isoformat(),
            },
            known_at=as_of,
            media_type="application/vnd.apache.parquet",
            symbol=symbol,
            first_session=days[0].item(),
            last_session=days[-1].item(),
        )


def symbol_name(number: int) -> str:
    """Return the name of a symbol of the market by its number, from 0 on."""
    return f"SYN{number:05d}"


def _daily(market: Market, symbol: str, period: str, until: Any) -> tuple[bytes, Times] | None:
    """Return the bytes of a year up to a time, and the days from its first bar to its last bar or delisting."""
    import numpy as np

    from lakehouse.sources.synthetic_parquet import daily_bytes

    path = market.year(int(symbol[3:]), int(period))
    kept = None if path is None else path.has_bar & (path.sessions.close <= until)
    if path is None or kept is None or not kept.any():
        return None
    days, has_ended = path.sessions.day[kept], False
    if path.delisted_on is not None:
        end = np.datetime64(path.delisted_on)
        has_ended = bool(path.sessions.open[path.sessions.day == end][0] <= until)
        days = np.append(days, end) if has_ended else days
    return daily_bytes(symbol, path, kept, tells_end=has_ended), days


def _minutes(market: Market, symbol: str, period: str, until: Any) -> tuple[bytes, Times] | None:
    """Return the bytes of a month up to a time, and the days of its bars."""
    import numpy as np

    from lakehouse.sources.synthetic_minutes import minutes_of
    from lakehouse.sources.synthetic_parquet import minute_bytes

    path, month = market.year(int(symbol[3:]), int(period[:4])), np.datetime64(period)
    if path is None:
        return None
    days = path.sessions.day[path.has_bar & (path.sessions.close <= until)]
    days = days[days.astype("datetime64[M]") == month]
    if not len(days):
        return None
    options = market.options
    minutes = minutes_of(path, month, seed=options.seed, number=int(symbol[3:]), missing_rate=options.missing_rate)
    last_close = path.sessions.close[path.sessions.day == days[-1]][0]
    return minute_bytes(symbol, minutes, minutes.end <= last_close), days


def _date(day: dt.date | str) -> dt.date:
    try:
        return dt.date.fromisoformat(day) if isinstance(day, str) else day
    except ValueError:
        raise SourceError(f"begin must be a date like 2010-01-01, was {day!r}") from None
