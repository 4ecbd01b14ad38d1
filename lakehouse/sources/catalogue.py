"""What each source has: its datasets, the tables they fill, and whether it publishes by itself.

Plain words, so that a graph is made of them without importing a vendor's client. An entry of the settings names
a source, and a dataset after a slash where it is not the source's first: "polygon", "polygon/splits".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import nearest
from lakehouse.errors import SourceError

BARS, ACTIONS = "core/daily_bars", "core/corporate_actions"
MINUTES, TRADES, QUOTES = "core/minute_bars", "core/trades", "core/quotes"
UNIVERSE, LISTINGS = "core/universe", "core/listings"
FUNDAMENTALS, SERIES = "core/fundamentals", "core/series"
BOTH = ("split", "dividend")
POLYGON_S3 = ("POLYGON_S3_ACCESS_KEY_ID", "POLYGON_S3_SECRET_ACCESS_KEY")
POLYGON_REST = ("POLYGON_API_KEY",)
ALPACA = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
EDGAR = ("QUANTLAKE_EDGAR_CONTACT",)


@dataclass(frozen=True)
class Dataset:
    """The tables a dataset's answers may hold rows of, and the kinds of corporate actions they can tell of.

    `variables` of the environment hold the credentials that fetching it needs.
    """

    tables: tuple[str, ...]
    actions: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vendor:
    """A source: `datasets` by name, the one meant where none is named first.

    is_live : publishes new sessions by itself; the others change when somebody imports something
    is_imported : its answers are brought in by a person, nothing is fetched
    has_option : its class takes the dataset as an option
    """

    description: str
    datasets: Mapping[str, Dataset]
    is_live: bool = False
    is_imported: bool = False
    has_option: bool = True


@dataclass(frozen=True)
class Entry:
    """One thing to fetch: a source and one of its datasets; `key` names its asset in the layer `raw`."""

    source: str
    dataset: str
    key: str

    @property
    def vendor(self) -> Vendor:
        """The entry's source."""
        return CATALOGUE[self.source]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables its answers may hold rows of."""
        return self.vendor.datasets[self.dataset].tables

    @property
    def options(self) -> dict[str, Any]:
        """The option of the source's class that chooses the dataset."""
        return {"dataset": self.dataset} if self.vendor.has_option else {}


CATALOGUE: Mapping[str, Vendor] = {
    "sample": Vendor(
        "The embedded sample: real daily prices of AAPL, IBM, MSFT (2000 to 2013), GOOG and FB.",
        {"stocks": Dataset((BARS, ACTIONS), BOTH)},
        has_option=False,
    ),
    "yahoo": Vendor(
        "Yahoo's charts of the configured symbols: days, and the last 30 days' minutes.",
        {"chart_1d": Dataset((BARS, ACTIONS), BOTH), "minute": Dataset((MINUTES,))},
        is_live=True,
    ),
    "files": Vendor(
        "CSV and Parquet files brought in by `quantlake import`.",
        {"daily_bars": Dataset((BARS, ACTIONS), BOTH)},
        is_imported=True,
        has_option=False,
    ),
    "membership": Vendor(
        "Members of an index in time, from your own files (option `path`).",
        {"universe": Dataset((UNIVERSE,))},
        has_option=False,
    ),
    "alternative": Vendor(
        "Series of any kind, from your own files (options `path` and `columns`).",
        {"series": Dataset((SERIES,))},
        has_option=False,
    ),
    "polygon": Vendor(
        "Polygon's flat files of the whole US market, and its REST interface.",
        {
            "day": Dataset((BARS,), variables=POLYGON_S3),
            "minute": Dataset((MINUTES,), variables=POLYGON_S3),
            "trades": Dataset((TRADES,), variables=POLYGON_S3),
            "quotes": Dataset((QUOTES,), variables=POLYGON_S3),
            "aggregates": Dataset((BARS,), variables=POLYGON_REST),
            "splits": Dataset((ACTIONS,), ("split",), POLYGON_REST),
            "dividends": Dataset((ACTIONS,), ("dividend",), POLYGON_REST),
            "tickers": Dataset((LISTINGS,), variables=POLYGON_REST),
            "ticker_events": Dataset((LISTINGS,), variables=POLYGON_REST),
        },
        is_live=True,
    ),
    "alpaca": Vendor(
        "Alpaca's bars of US stocks and crypto pairs, and its corporate actions.",
        {
            "stock_day": Dataset((BARS,), variables=ALPACA),
            "stock_minute": Dataset((MINUTES,), variables=ALPACA),
            "crypto_day": Dataset((BARS,), variables=ALPACA),
            "crypto_minute": Dataset((MINUTES,), variables=ALPACA),
            "corporate_actions": Dataset((ACTIONS,), BOTH, ALPACA),
        },
        is_live=True,
    ),
    "edgar": Vendor(
        "Figures that companies filed with the SEC, and their lists of filings.",
        {
            "companyfacts": Dataset((FUNDAMENTALS,), variables=EDGAR),
            "submissions": Dataset((SERIES,), variables=EDGAR),
        },
        is_live=True,
    ),
    "synthetic": Vendor(
        "A made-up market of any size; nothing in it ever traded.",
        {"day": Dataset((BARS, ACTIONS), (*BOTH, "delisting")), "minute": Dataset((MINUTES,))},
    ),
}


def entry_of(text: str) -> Entry:
    """Return the entry that a text such as "polygon" or "polygon/splits" names.

    Raises
    ------
    SourceError : an unknown source or dataset; names the nearest.
    """
    source, slash, dataset = text.partition("/")
    if source not in CATALOGUE:
        raise SourceError(f"unknown source {source!r}{nearest(source, CATALOGUE)}")
    datasets = CATALOGUE[source].datasets
    if not slash:
        return Entry(source, next(iter(datasets)), source)
    if dataset not in datasets:
        raise SourceError(f"source {source!r} has no dataset {dataset!r}{nearest(dataset, datasets)}")
    return Entry(source, dataset, f"{source}_{dataset}")


def filling(table: str, entries: Iterable[str]) -> list[Entry]:
    """Return those of the entries whose answers may hold rows of a table."""
    return [entry for entry in map(entry_of, entries) if table in entry.tables]


def action_kinds(source: str, dataset: str | None) -> tuple[str, ...]:
    """Return the kinds of corporate actions an answer of a dataset can tell of; all of a dataset nobody knows."""
    vendor = CATALOGUE.get(source)
    if vendor is None or dataset is None or dataset not in vendor.datasets:
        return (*BOTH, "delisting")
    return vendor.datasets[dataset].actions


def tells_of_bars(source: str, dataset: str | None) -> bool:
    """Return whether an answer of a dataset can hold daily bars; that of a dataset nobody knows can."""
    vendor = CATALOGUE.get(source)
    known = None if vendor is None or dataset is None else vendor.datasets.get(dataset)
    return known is None or BARS in known.tables
