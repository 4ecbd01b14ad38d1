"""Results as pandas frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.records import FILL_KINDS, STATUSES, TIFS
from engine.trades import exit_kinds

if TYPE_CHECKING:
    from engine.result import Result


def equity_frame(result: Result) -> pd.DataFrame:
    """Return one row a bar: bar_end, equity, cash, exposure, returns and drawdown."""
    peak = np.maximum.accumulate(np.maximum(result.equity, result.initial_cash))
    return pd.DataFrame(
        {
            "bar_end": times(result, slice(None)),
            "equity": result.equity,
            "cash": result.cash,
            "exposure": result.exposure,
            "returns": result.returns,
            "drawdown": result.equity / peak - 1.0,
        }
    )


def records_frame(result: Result, records: NDArray[Any], **texts: tuple[str, ...]) -> pd.DataFrame:
    """Return one row a record: bar_end, symbol, then its fields; those named in `texts` are spelled out."""
    columns: dict[str, Any] = {"bar_end": times(result, records["bar"]), "symbol": names(result, records)}
    for field, words in texts.items():
        columns[field] = np.array(words, dtype=object)[records[field]]
    return pd.DataFrame(columns | _fields(records, {"bar", "asset", *texts}))


def orders_frame(result: Result) -> pd.DataFrame:
    """Return one row an order, what is inner state of the engine left out."""
    orders = result.orders
    inner = {"bar", "asset", "kind", "tif", "status", "active_bar", "is_triggered", "reference", "began"}
    inner |= {"met_bar", "met_slice", "begin_price", "tiers", "is_group_filled"}
    columns: dict[str, Any] = {
        "bar_end": times(result, orders["bar"]),
        "symbol": names(result, orders),
        "kind": np.array(FILL_KINDS, dtype=object)[orders["kind"]],
        "status": np.array(STATUSES, dtype=object)[orders["status"]],
        "tif": np.array(TIFS, dtype=object)[orders["tif"]],
    }
    columns["status"][columns["status"] == "working"] = "open"
    return pd.DataFrame(columns | _fields(orders, inner))


def trades_frame(result: Result, trades: NDArray[Any]) -> pd.DataFrame:
    """Return one row a trade: symbol, entry and exit (bar_end), why each, then the fields of `records.TRADE`."""
    columns: dict[str, Any] = {
        "symbol": names(result, trades),
        "entry": times(result, trades["entry_bar"]),
        "exit": times(result, trades["exit_bar"]),
        "entry_kind": np.array(FILL_KINDS, dtype=object)[trades["entry_kind"]],
        "exit_kind": exit_kinds(trades),
    }
    return pd.DataFrame(columns | _fields(trades, {"asset", "entry_kind", "exit_kind"}))


def drawdowns_frame(result: Result) -> pd.DataFrame:
    """Return one row a drawdown; a peak that is the initial cash has no time."""
    drawdowns = result.drawdowns
    peak = times(result, np.maximum(drawdowns["peak_bar"], 0)).where(drawdowns["peak_bar"] >= 0)
    columns: dict[str, Any] = {"peak_at": peak}
    for name in ("start", "trough", "end"):
        columns[f"{name}_at"] = times(result, drawdowns[f"{name}_bar"])
    return pd.DataFrame(columns | _fields(drawdowns, set()))


def times(result: Result, bars: Any) -> pd.DatetimeIndex:
    """Return the ends of some bars, aware of UTC."""
    return pd.DatetimeIndex(result.bar_end[bars]).tz_localize("UTC")


def names(result: Result, records: NDArray[Any]) -> NDArray[Any]:
    """Return the symbol of each record; empty where it is the account's."""
    symbols: NDArray[Any] = np.array((*result.symbols, ""), dtype=object)[records["asset"]]
    return symbols


def _fields(records: NDArray[Any], left_out: set[str]) -> dict[str, Any]:
    fields = (name for name in records.dtype.names or () if name not in left_out)
    return {name: np.ascontiguousarray(records[name]) for name in fields}
