"""Trade and quote files: every print of a session, as rows of core/trades and core/quotes.

https://massive.com/docs/flat-files/stocks/trades and .../quotes. Times are nanoseconds since 1970;
`sip_timestamp` says when the consolidated tape had the print, which is when anybody could know it,
`participant_timestamp` when the exchange made it. Tables hold microseconds: `time` is cut, `known_at` is
rounded up, and `sequence` keeps the order. Sequence numbers begin again each session; several trades of one
report share one and differ in their identifier.

A quote of 0 is a side nobody quotes: its price is null, so that no mid is made of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.sources.base import Parsed, empty_actions, empty_bars
from lakehouse.sources.polygon_bars import one_row_a_key
from lakehouse.sources.polygon_csv import (
    TICKER,
    FlatFileFormat,
    FlatFileRows,
    MAX_ROWS,
    read_flat_file,
    refuse_many_bad,
)

if TYPE_CHECKING:
    import pandas as pd

TRADES = FlatFileFormat(
    columns={
        TICKER: "string",
        "conditions": "string",
        "correction": "int64",
        "exchange": "int64",
        "id": "string",
        "participant_timestamp": "int64",
        "price": "float64",
        "sequence_number": "int64",
        "sip_timestamp": "int64",
        "size": "float64",
        "tape": "int64",
        "trf_id": "int64",
        "trf_timestamp": "int64",
    },
    time="sip_timestamp",
)
QUOTES = FlatFileFormat(
    columns={
        TICKER: "string",
        "ask_exchange": "int64",
        "ask_price": "float64",
        "ask_size": "float64",
        "bid_exchange": "int64",
        "bid_price": "float64",
        "bid_size": "float64",
        "conditions": "string",
        "indicators": "string",
        "participant_timestamp": "int64",
        "sequence_number": "int64",
        "sip_timestamp": "int64",
        "tape": "int64",
        "trf_timestamp": "int64",
    },
    time="sip_timestamp",
)
