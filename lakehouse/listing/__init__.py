"""The security master's making: facts of sources, and the rows of `core/listings` they make."""

from __future__ import annotations

from lakehouse.listing.building import MAX_GAP_DAYS, build_listings
from lakehouse.listing.facts import (
    CompanyTicker,
    Renaming,
    TickerHistory,
    edgar_company_tickers,
    one_spelling,
    polygon_ticker_history,
    share_class,
)
from lakehouse.listing.telling import Told, told_by
from lakehouse.listing.traces import silences

__all__ = [
    "MAX_GAP_DAYS",
    "CompanyTicker",
    "Renaming",
    "TickerHistory",
    "Told",
    "build_listings",
    "edgar_company_tickers",
    "one_spelling",
    "polygon_ticker_history",
    "share_class",
    "silences",
    "told_by",
]
