"""The same decisions in backtesting.py 0.6 (the package `backtesting`)."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.account import Account
from engine.adapters.comparison import PEER_FILL, PeerResult, refuse, require
from engine.adapters.settings import check_charged, check_execution, check_parts, check_whole_axis, last_bar
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import TargetUnits
from engine.errors import InputError
from engine.execution import Execution
from engine.orders import Orders
from engine.profiles import profile
from engine.records import GTC, LIMIT, MARKET, MOO, STOP, STOP_LIMIT

PEER = "backtesting.py"
_CHARGED = ("commission_bps", "commission_per_share")


def run(
    bars: Bars,
    decisions: TargetUnits | Orders,
    *,
    account: Account | None = None,
    costs: Costs | None = None,
    execution: Execution | None = None,
) -> PeerResult:
    """Return the run of the same decisions in backtesting.py.

    Supported, for one asset and whole units: `TargetUnits` (market orders for the difference); `Orders` of the
    kinds market, moo, limit, stop and stop_limit with their time in force, each with at most one stop and one
    limit as children of the opposite quantity, decided on its bar: its stop loss and take profit. Costs:
    commission in bps and per share. `timing="same_close"` is trade_on_close=True: what it fills stands at the bar
    of the decision, but its commission reaches equity a bar later.

    backtesting.py lets no strategy act on its first bar: it is handed a copy of the first bar in front.

    Parameters
    ----------
    bars, decisions, account, costs
        As in `simulate`. Leverage is its 1 / margin.
    execution : Execution
        Default: `profile("backtesting.py")`, and nothing that contradicts it.

    Raises
    ------
    InputError
        backtesting is not installed, has no such order, cost or setting, or refuses an order: a stop loss and a
        take profit must lie on their sides of the entry's price, for a market order of the decision's close.
    """
    check_parts(bars, decisions, (TargetUnits, Orders), account, costs, execution)
    account = Account() if account is None else account
    costs = Costs() if costs is None else costs
    execution = profile(PEER) if execution is None else execution
    package = require("backtesting", needed_by="engine.adapters.backtesting_py")
    refuse(bars.n_assets != 1, PEER, f"{bars.n_assets} assets; it trades one")
    check_whole_axis(PEER, bars)
    check_charged(PEER, costs, _CHARGED)
    check_execution(PEER, execution, profile(PEER), free=("timing",))
    refuse(not account.allow_short, PEER, "allow_short=False")
    plan = _targets(decisions, bars) if isinstance(decisions, TargetUnits) else _orders(decisions.table(bars), bars)

    def commission(size: float, price: float) -> float:
        return abs(size) * (price * costs.commission_bps / 1e4 + costs.commission_per_share)

    test = package.Backtest(
        _frame(bars),
        _strategy(package, plan),
        cash=account.cash,
        commission=commission,
        margin=1.0 / account.leverage,
        trade_on_close=execution.timing == "same_close",
    )
    # It warns of what our semantics declare, and shows a progress bar.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        stats = test.run()
    equity = stats["_equity_curve"]["Equity"].to_numpy(dtype=np.float64)[1:]
    return PeerResult(f"{PEER} {package.__version__}", equity, _fills(stats["_strategy"], commission))


def _targets(decisions: TargetUnits, bars: Bars) -> dict[int, list[dict[str, Any]]]:
    units = decisions.aligned(bars)[:, 0]
    decided = np.flatnonzero(~np.isnan(units))
    refuse(bool((units[decided] != np.round(units[decided])).any()), PEER, "fractions of a unit")
    return {bar: [{"target": float(units[bar])}] for bar in decided.tolist()}


def _orders(table: NDArray[Any], bars: Bars) -> dict[int, list[dict[str, Any]]]:
    plan: dict[int, list[dict[str, Any]]] = {}
    for number in range(table.size):
        row = table[number]
        refuse(float(row["quantity"]) != round(float(row["quantity"])), PEER, "fractions of a unit")
        if row["parent"] >= 0:
            continue
        refuse(int(row["kind"]) not in (MARKET, MOO, LIMIT, STOP, STOP_LIMIT), PEER, "a moc or trailing order")
        refuse(row["oco_group"] >= 0, PEER, "an OCO group of entries")
        options = {"size": abs(float(row["quantity"]))}
        for price in ("limit", "stop"):
            if not math.isnan(row[f"{price}_price"]):
                options[price] = float(row[f"{price}_price"])
        options |= _exits(table, number)
        last = last_bar(row, bars)
        plan.setdefault(int(row["bar"]), []).append(
            {"is_buy": bool(row["quantity"] > 0.0), "options": options, "last": -1 if last is None else last}
        )
    return plan


def _exits(table: NDArray[Any], number: int) -> dict[str, float]:
    """Return the stop loss and take profit that an entry's children are."""
    parent, exits = table[number], {}
    children = table[table["parent"] == number]
    for child in children:
        name = {STOP: "sl", LIMIT: "tp"}.get(int(child["kind"]), "")
        refuse(not name or name in exits, PEER, "children other than one stop and one limit")
        refuse(child["quantity"] != -parent["quantity"], PEER, "a child that does not close all of its parent")
        refuse(child["bar"] != parent["bar"] or child["tif"] != GTC, PEER, "a child decided later, or with an end")
        exits[name] = float(child["stop_price" if name == "sl" else "limit_price"])
    is_group = np.unique(children["oco_group"]).size == 1 and bool((children["oco_group"] >= 0).all())
    refuse(children.size == 2 and not is_group, PEER, "two children that do not cancel each other")
    return exits


def _frame(bars: Bars) -> Any:
    import pandas as pd

    times = bars.bar_end.astype("datetime64[us]")
    times = np.concatenate([times[:1] - np.timedelta64(1, "D"), times])
    columns = {
        name.capitalize(): np.concatenate([values[:1, 0], values[:, 0]])
        for name in ("open", "high", "low", "close", "volume")
        for values in (getattr(bars, name),)
    }
    return pd.DataFrame(columns, index=pd.DatetimeIndex(times))


def _strategy(package: Any, plan: dict[int, list[dict[str, Any]]]) -> Any:
    class Planned(package.Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.ends: dict[int, list[Any]] = {}

        def next(self) -> None:
            bar = len(self.data) - 2
            for order in self.ends.pop(bar, ()):
                if order in self.orders:
                    order.cancel()
            for order in plan.get(bar, ()):
                if "target" in order:
                    self.reach(order["target"])
                else:
                    self.place(order, bar)

        def reach(self, target: float) -> None:
            difference = target - self.position.size
            if difference != 0.0:
                (self.buy if difference > 0.0 else self.sell)(size=abs(difference))

        def place(self, order: dict[str, Any], bar: int) -> None:
            send = self.buy if order["is_buy"] else self.sell
            try:
                placed = send(**order["options"])
            except ValueError as error:
                raise InputError(f"{PEER} refuses the order {order['options']} of bar {bar}: {error}") from None
            if order["last"] >= 0:
                self.ends.setdefault(order["last"], []).append(placed)

    return Planned


def _fills(strategy: Any, commission: Any) -> NDArray[Any]:
    rows = []
    for trade in (*strategy.closed_trades, *strategy.trades):
        rows.append((trade.entry_bar - 1, trade.size, trade.entry_price))
        if trade.exit_bar is not None:
            rows.append((trade.exit_bar - 1, -trade.size, trade.exit_price))
    fills = np.zeros(len(rows), dtype=PEER_FILL)
    for number, (bar, size, price) in enumerate(sorted(rows)):
        fills[number] = (bar, 0, size, price, commission(size, price))
    return fills
