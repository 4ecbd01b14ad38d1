"""The offline sample: five US stocks, 2000 to 2013, from the package bokeh_sampledata.

Its file holds as-traded prices beside a close adjusted for splits and dividends, so the corporate actions are
derived (`lakehouse.actions`). Nothing is downloaded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from engine.errors import nearest
from lakehouse.actions import derive_actions
from lakehouse.errors import BadPayload, SourceUnavailable, UnknownSymbol
from lakehouse.snapshots import Answer
from lakehouse.sources.base import Parsed, check_asked, check_symbol, stack_actions
from lakehouse.sources.payload import gunzip

PACKAGE = "bokeh_sampledata"
RESOURCE = "_data/stocks.csv.gz"
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
FIRST_SESSION = date(2000, 3, 1)
LAST_SESSION = date(2013, 3, 1)
_COLUMNS = {
    "Ticker": "symbol",
    "Date": "session",
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Adj Close": "adjusted",
}


class SampleSource:
    """The package's file as it is: one answer with all symbols and all dates, whatever is asked for."""

    name = "sample"
    dataset = "stocks"

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the configured symbols, each once, or all five.

        Raises
        ------
        BadName : one is no symbol.
        UnknownSymbol : the sample does not hold it.
        """
        for symbol in configured:
            if check_symbol(symbol) not in SYMBOLS:
                raise UnknownSymbol(f"the sample has no symbol {symbol!r}{nearest(symbol, SYMBOLS)}")
        return list(dict.fromkeys(configured)) or list(SYMBOLS)

    def fetch(
        self,
        symbols: Sequence[str],
        start: date,
        end: date,
        *,
        as_of: datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        """Yield the package's file, byte for byte.

        Raises
        ------
        SourceError : an empty range.
        UnknownSymbol : a symbol the sample does not hold.
        SourceUnavailable : the package is not installed.
        """
        import importlib.metadata
        import importlib.resources

        check_asked(start, end, as_of)
        self.symbols(symbols)
        try:
            content = importlib.resources.files(PACKAGE).joinpath(RESOURCE).read_bytes()
            version = importlib.metadata.version(PACKAGE)
        except (ModuleNotFoundError, FileNotFoundError) as error:
            raise SourceUnavailable(
                f"the sample needs the package {PACKAGE} with {RESOURCE}: install the project's requirements"
            ) from error
        if progress is not None:
            progress(f"sample: {PACKAGE} {version}")
        yield Answer(
            content=content,
            source=self.name,
            dataset=self.dataset,
            request={"package": PACKAGE, "version": version, "resource": RESOURCE},
            known_at=as_of,
            media_type="application/gzip",
            etag=None,
            symbol=None,
            first_session=FIRST_SESSION,
            last_session=LAST_SESSION,
        )

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return the bars as traded and the derived splits and dividends of all symbols.

        Raises
        ------
        BadPayload : not the expected table.
        BadRows : prices that no split or dividend explains.
        """
        import pandas as pd

        text = gunzip(content, what="the sample's file", max_bytes=64 * 1024 * 1024)
        try:
            table = pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False)
            rows = table[list(_COLUMNS)].rename(columns=_COLUMNS)
            rows["session"] = pd.to_datetime(rows["session"], format="%Y-%m-%d").astype("datetime64[s]")
            for column in ("open", "high", "low", "close", "volume", "adjusted"):
                rows[column] = pd.to_numeric(rows[column]).astype("float64")
        except (KeyError, ValueError) as error:
            raise BadPayload(f"the sample's file is not the table of stocks that was expected: {error}") from error
        rows = rows.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
        actions = [
            derive_actions(part["session"], part["close"], part["adjusted"], symbol=symbol).assign(symbol=symbol)
            for symbol, part in rows.groupby("symbol", sort=True)
        ]
        return Parsed(bars=rows.drop(columns="adjusted"), actions=stack_actions(actions))
