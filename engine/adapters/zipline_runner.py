"""Runs one plan in zipline: `python -I zipline_runner.py FOLDER`, in the interpreter that has zipline.

Reads `settings.json` and `bars.npz` from the folder and writes `run.npz`. It knows nothing of the engine, so that
its interpreter needs zipline-reloaded only.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy
import zipline
from zipline.algorithm import TradingAlgorithm
from zipline.assets import AssetDBWriter, AssetFinder
from zipline.data.adjustments import SQLiteAdjustmentReader, SQLiteAdjustmentWriter
from zipline.data.data_portal import DataPortal
from zipline.data.in_memory_daily_bars import InMemoryDailyBarReader
from zipline.finance import commission, slippage
from zipline.finance.blotter import SimulationBlotter
from zipline.finance.execution import ExecutionStyle
from zipline.finance.trading import SimulationParameters
from zipline.utils.calendar_utils import get_calendar

FIELDS = ("open", "high", "low", "close", "volume")


class Reader(InMemoryDailyBarReader):  # type: ignore[misc]
    """Daily bars from arrays; the parent reads single values through a name it does not have."""

    def get_value(self, sid: int, dt: Any, field: str) -> float:
        return float(self._values[field][self._sessions.get_loc(dt), sid])

    def get_last_traded_dt(self, asset: Any, dt: Any) -> Any:
        return dt

    @property
    def last_available_dt(self) -> Any:
        return self._sessions[-1]


class Exact(ExecutionStyle):  # type: ignore[misc]
    """Limit and stop as they were given: zipline's own styles round them to cents."""

    def __init__(self, limit: float | None, stop: float | None) -> None:
        self.limit, self.stop = limit, stop

    def get_limit_price(self, is_buy: bool) -> float | None:
        return self.limit

    def get_stop_price(self, is_buy: bool) -> float | None:
        return self.stop


class Blotter(SimulationBlotter):  # type: ignore[misc]
    """The simulation's blotter, writing down each transaction with what it paid."""

    def __init__(self, **models: Any) -> None:
        super().__init__(**models)
        self.executions: list[tuple[Any, int, float, float, float]] = []

    def get_transactions(self, bar_data: Any) -> Any:
        transactions, commissions, closed = super().get_transactions(bar_data)
        paid = {entry["order"].id: entry["cost"] for entry in commissions}
        for txn in transactions:
            cost = paid.get(txn.order_id, 0.0)
            self.executions.append((self.current_dt, txn.asset.sid, txn.amount, txn.price, cost))
        return transactions, commissions, closed


class Equity:
    """The metric that writes down the portfolio's value at each session's end."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def end_of_session(self, packet: Any, ledger: Any, session: Any, session_ix: int, data_portal: Any) -> None:
        self.values.append(float(ledger.portfolio.portfolio_value))


def main(folder: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    with np.load(folder / "bars.npz") as data:
        panels = {field: data[field] for field in FIELDS}
        sessions = pd.DatetimeIndex(data["days"].astype("datetime64[D]").astype("datetime64[ns]"))
    calendar = get_calendar("XNYS", start=sessions[0] - pd.Timedelta(days=30), end=sessions[-1] + pd.Timedelta(days=30))
    expected = calendar.sessions_in_range(sessions[0], sessions[-1])
    if len(expected) != len(sessions) or (expected != sessions).any():
        missing = expected.symmetric_difference(sessions)[0].date()
        raise SystemExit(f"days must be the sessions of XNYS, differs at {missing}")
    portal = _portal(settings, panels, sessions, calendar)
    equity = Equity()
    blotter = Blotter(
        equity_slippage=_slippage(settings["slippage"]), equity_commission=_commission(settings["commission"])
    )
    TradingAlgorithm(
        SimulationParameters(sessions[0], sessions[-1], calendar, capital_base=settings["cash"]),
        data_portal=portal,
        initialize=lambda context: None,
        handle_data=_decider(settings["plan"], sessions),
        blotter=blotter,
        metrics_set={equity},
        benchmark_returns=pd.Series(0.0, index=sessions),
    ).run()
    bars = {day: bar for bar, day in enumerate(sessions)}
    fills = [(bars[at.tz_localize(None).normalize()], *rest) for at, *rest in blotter.executions]
    np.savez(
        folder / "run.npz",
        equity=np.array(equity.values),
        fills=np.array(fills, dtype=np.float64).reshape(-1, 5),
        version=np.array(zipline.__version__),
    )


def _portal(settings: dict[str, Any], panels: dict[str, Any], sessions: Any, calendar: Any) -> Any:
    symbols = settings["symbols"]
    sids = pd.Index(range(len(symbols)))
    frames = {field: pd.DataFrame(panels[field], index=sessions, columns=sids) for field in FIELDS}
    reader = Reader(frames, calendar, pd.Series("USD", index=sids))
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    equities = pd.DataFrame(
        {
            "symbol": [f"S{sid}" for sid in sids],
            "asset_name": symbols,
            "start_date": sessions[0],
            "end_date": sessions[-1],
            "auto_close_date": sessions[-1] + pd.Timedelta(days=20),
            "exchange": "XNYS",
        },
        index=sids,
    )
    exchanges = pd.DataFrame({"exchange": ["XNYS"], "canonical_name": ["XNYS"], "country_code": ["US"]})
    AssetDBWriter(engine).write(equities=equities, exchanges=exchanges)
    connection = sqlite3.connect(":memory:")
    _write_adjustments(SQLiteAdjustmentWriter(connection, reader), settings, sessions)
    return DataPortal(
        AssetFinder(engine),
        trading_calendar=calendar,
        first_trading_day=sessions[0],
        equity_daily_reader=reader,
        adjustment_reader=SQLiteAdjustmentReader(connection),
    )


def _write_adjustments(writer: Any, settings: dict[str, Any], sessions: Any) -> None:
    splits = pd.DataFrame(
        [(asset, sessions[int(bar)], ratio) for bar, asset, ratio in settings["splits"]],
        columns=["sid", "effective_date", "ratio"],
    )
    writer.write_frame("splits", splits.astype({"sid": np.int64}))
    writer.write_frame("mergers", None)
    writer.write_frame("dividends", None)
    seconds = sessions.values.astype("datetime64[s]").astype(np.int64)
    never = int(seconds[-1]) + 400 * 86_400
    payouts = pd.DataFrame(
        [
            (asset, seconds[bar], seconds[bar], seconds[bar], never if paid < 0 else seconds[paid], amount)
            for bar, asset, amount, paid in settings["dividends"]
        ],
        columns=["sid", "ex_date", "declared_date", "record_date", "pay_date", "amount"],
    )
    whole = {name: np.int64 for name in payouts.columns if name != "amount"}
    writer.write_dividend_payouts(payouts.astype(whole))
    writer.write_stock_dividend_payouts(None)


def _slippage(model: dict[str, Any]) -> Any:
    if model["kind"] == "basis_points":
        return slippage.FixedBasisPointsSlippage(model["bps"], model["limit"])
    if model["kind"] == "volume_share":
        return slippage.VolumeShareSlippage(model["limit"], model["impact"])
    return slippage.NoSlippage()


def _commission(model: dict[str, Any]) -> Any:
    if model["kind"] == "per_share":
        return commission.PerShare(model["rate"], model["least"])
    if model["kind"] == "per_dollar":
        return commission.PerDollar(model["rate"])
    if model["kind"] == "per_trade":
        return commission.PerTrade(model["rate"])
    return commission.NoCommission()


def _decider(plan: list[dict[str, Any]], sessions: Any) -> Any:
    by_bar: dict[int, list[dict[str, Any]]] = {}
    for row in plan:
        by_bar.setdefault(row["bar"], []).append(row)
    ends: dict[int, list[str]] = {}

    def decide(context: Any, data: Any) -> None:
        bar = sessions.get_loc(context.get_datetime().tz_localize(None).normalize())
        for number in ends.pop(bar, ()):
            context.cancel_order(number)
        for row in by_bar.get(bar, ()):
            asset = context.asset_finder.retrieve_asset(row["asset"])
            if "target" in row:
                for order in list(context.blotter.open_orders.get(asset, ())):
                    context.cancel_order(order.id)
                context.order(asset, int(row["target"] - context.portfolio.positions[asset].amount))
            else:
                number = context.order(asset, row["quantity"], style=Exact(row["limit"], row["stop"]))
                if row["last"] is not None:
                    ends.setdefault(row["last"], []).append(number)

    return decide


if __name__ == "__main__":
    main(Path(sys.argv[1]))
