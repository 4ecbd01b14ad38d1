"""The same decisions in backtrader 1.9 (`backtrader`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.account import Account
from engine.adapters.comparison import PEER_FILL, PeerResult, refuse, require
from engine.adapters.settings import check_charged, check_execution, check_parts, check_whole_axis, last_bar
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import TargetUnits
from engine.execution import Execution
from engine.orders import Orders
from engine.profiles import profile
from engine.records import GTC, LIMIT, MARKET, MOC, MOO, STOP, STOP_LIMIT, TRAILING_STOP

PEER = "backtrader"
_CHARGED = ("commission_bps", "commission_per_share", "spread_bps", "slippage_bps", "slippage_ticks")
_STOPS_FIRST = {STOP: 0, STOP_LIMIT: 0, TRAILING_STOP: 0}


def run(
    bars: Bars,
    decisions: TargetUnits | Orders,
    *,
    account: Account | None = None,
    costs: Costs | None = None,
    execution: Execution | None = None,
) -> PeerResult:
    """Return the run of the same decisions in backtrader.

    Supported: `TargetUnits` (market orders for the difference); `Orders` of every kind but moc, with their time in
    force, OCO groups, and children decided on their parent's bar, which must be one or form one OCO group
    (a bracket). Members of a group are handed over stops first, since backtrader takes the first that fits.
    Costs: commission in bps and per share; spread and slippage in bps, or in ticks, which need
    `Execution(slip_within_bar=True)`. `timing="same_close"` is backtrader's cheat-on-close; a fill then stands
    at the bar of the decision but reaches equity a bar later.

    Parameters
    ----------
    bars, decisions, account, costs
        As in `simulate`. Every asset must have every bar.
    execution : Execution
        Default: `profile("backtrader")`, and nothing that contradicts it.

    Raises
    ------
    InputError
        backtrader is not installed, or has no such order, cost or setting.
    """
    check_parts(bars, decisions, (TargetUnits, Orders), account, costs, execution)
    account = Account() if account is None else account
    costs = Costs() if costs is None else costs
    execution = profile("backtrader") if execution is None else execution
    bt = require("backtrader", needed_by="engine.adapters.backtrader")
    check_whole_axis(PEER, bars)
    check_charged(PEER, costs, _CHARGED)
    check_execution(PEER, execution, profile("backtrader"), free=("timing", "tick_size"))
    refuse(account.leverage != 1.0, PEER, "leverage other than 1")
    refuse(not account.allow_short, PEER, "allow_short=False (its broker always sells short)")
    plan = _targets(decisions, bars) if isinstance(decisions, TargetUnits) else _orders(decisions.table(bars), bars)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.set_cash(account.cash)
    cerebro.broker.set_coc(execution.timing == "same_close")
    cerebro.broker.addcommissioninfo(_commission(bt, costs))
    _slip(cerebro.broker, costs, execution)
    for asset, symbol in enumerate(bars.symbols):
        cerebro.adddata(_feed(bt, bars, asset), name=symbol)
    cerebro.addstrategy(_strategy(bt), plan=plan)
    strategy = cerebro.run(maxcpus=1)[0]
    stamps = np.array([bt.date2num(time) for time in bars.bar_end.astype("datetime64[us]").tolist()])
    fills = np.zeros(len(strategy.executions), dtype=PEER_FILL)
    for row, (stamp, asset, quantity, price, commission) in enumerate(strategy.executions):
        fills[row] = (int(np.argmin(np.abs(stamps - stamp))), asset, quantity, price, commission)
    return PeerResult(f"{PEER} {bt.__version__}", np.array(strategy.equity), fills)


def _targets(decisions: TargetUnits, bars: Bars) -> dict[int, list[dict[str, Any]]]:
    units = decisions.aligned(bars)
    plan: dict[int, list[dict[str, Any]]] = {}
    for bar, asset in np.argwhere(~np.isnan(units)).tolist():
        plan.setdefault(bar, []).append({"asset": asset, "target": float(units[bar, asset])})
    return plan


def _orders(table: NDArray[Any], bars: Bars) -> dict[int, list[dict[str, Any]]]:
    """Return what is to be placed at each bar; a bracket stands together, its parent first and its stops next."""
    plan: dict[int, list[dict[str, Any]]] = {}
    for number in sorted(range(table.size), key=lambda row: _place(table, row)):
        row = table[number]
        refuse(row["kind"] == MOC, PEER, "a moc order (its Close order fills a bar late)")
        parent = int(row["parent"])
        if parent >= 0:
            _check_child(table, number)
        children = np.flatnonzero(table["parent"] == number)
        is_last = parent < 0 or number == max(
            np.flatnonzero(table["parent"] == parent).tolist(), key=lambda child: _place(table, child)
        )
        plan.setdefault(int(row["bar"]), []).append(
            {
                "number": number,
                "asset": int(row["asset"]),
                "quantity": float(row["quantity"]),
                "kind": int(row["kind"]),
                "limit_price": float(row["limit_price"]),
                "stop_price": float(row["stop_price"]),
                "trail": float(row["trail"]),
                "trail_rate": float(row["trail_rate"]),
                "valid": _valid(row, bars),
                "oco_group": int(row["oco_group"]) if parent < 0 else -1,
                "parent": parent,
                "transmit": children.size == 0 and is_last,
            }
        )
    return plan


def _place(table: NDArray[Any], number: int) -> tuple[int, int, int, int]:
    """Return where an order stands: by bar; with its parent or the first of its group; stops first; by number."""
    row = table[number]
    leader, generation = number, 0
    if row["parent"] >= 0:
        leader, generation = int(row["parent"]), 1
    if row["oco_group"] >= 0 and generation == 0:
        mates = (table["oco_group"] == row["oco_group"]) & (table["bar"] == row["bar"]) & (table["parent"] < 0)
        leader = int(np.argmax(mates))
    return int(row["bar"]), leader, 2 * generation + _STOPS_FIRST.get(int(row["kind"]), 1), number


def _check_child(table: NDArray[Any], number: int) -> None:
    row = table[number]
    parent = table[row["parent"]]
    family = table[table["parent"] == row["parent"]]
    refuse(parent["parent"] >= 0, PEER, "a child of a child")
    refuse(parent["bar"] != row["bar"], PEER, "a child decided on another bar than its parent")
    refuse(row["tif"] != GTC, PEER, "a child with a time in force")
    refuse(
        family.size > 1 and ((family["oco_group"] < 0).any() or np.unique(family["oco_group"]).size > 1),
        PEER,
        "two children that do not cancel each other (its brackets always do)",
    )


def _valid(row: Any, bars: Bars) -> Any:
    last = last_bar(row, bars)
    if last is None:
        return None
    return (bars.bar_end[last] + np.timedelta64(1, "ms")).astype("datetime64[us]").item()


def _commission(bt: Any, costs: Costs) -> Any:
    rate, per_share = costs.commission_bps / 1e4, costs.commission_per_share

    class Schedule(bt.CommInfoBase):  # type: ignore[misc]
        params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))

        def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
            return abs(size) * (price * rate + per_share)

    return Schedule()


def _slip(broker: Any, costs: Costs, execution: Execution) -> None:
    rate = costs.slippage_bps / 1e4 + costs.spread_bps / 2e4
    ticks = costs.slippage_ticks * execution.tick_size
    if rate == 0.0 and ticks == 0.0:
        return
    refuse(rate > 0.0 and ticks > 0.0, PEER, "slippage in bps and in ticks together")
    refuse(not execution.slip_within_bar, PEER, "slippage with slip_within_bar=False")
    refuse(
        execution.timing == "same_close", PEER, "slippage with timing='same_close' (it caps at the next bar's range)"
    )
    if rate > 0.0:
        broker.set_slippage_perc(rate)
    else:
        broker.set_slippage_fixed(ticks)


def _feed(bt: Any, bars: Bars, asset: int) -> Any:
    import pandas as pd

    columns = {name: getattr(bars, name)[:, asset] for name in ("open", "high", "low", "close", "volume")}
    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(bars.bar_end.astype("datetime64[us]")))
    return bt.feeds.PandasData(dataname=frame, openinterest=None)


def _strategy(bt: Any) -> Any:
    types = {
        MARKET: bt.Order.Market,
        MOO: bt.Order.Market,
        LIMIT: bt.Order.Limit,
        STOP: bt.Order.Stop,
        STOP_LIMIT: bt.Order.StopLimit,
        TRAILING_STOP: bt.Order.StopTrail,
    }

    class Planned(bt.Strategy):  # type: ignore[misc]
        params = (("plan", None),)

        def __init__(self) -> None:
            self.equity: list[float] = []
            self.executions: list[tuple[float, int, float, float, float]] = []
            self.placed: dict[int, Any] = {}
            self.leaders: dict[int, Any] = {}
            self.seen: dict[int, int] = {}
            self.assets = {id(data): asset for asset, data in enumerate(self.datas)}

        def next(self) -> None:
            self.equity.append(self.broker.getvalue())
            for order in self.p.plan.get(len(self) - 1, ()):
                if "target" in order:
                    self.order_target_size(self.datas[order["asset"]], target=order["target"])
                else:
                    self.place(order)

        def place(self, order: dict[str, Any]) -> None:
            data, kind = self.datas[order["asset"]], order["kind"]
            price: float | None = None
            options: dict[str, Any] = {}
            if kind == LIMIT:
                price = order["limit_price"]
            elif kind in (STOP, STOP_LIMIT):
                price = order["stop_price"]
            elif kind == TRAILING_STOP:
                price, options = _trailing(order)
            if kind == STOP_LIMIT:
                options["plimit"] = order["limit_price"]
            if order["parent"] >= 0:
                options["parent"] = self.placed[order["parent"]]
            if order["oco_group"] in self.leaders:
                options["oco"] = self.leaders[order["oco_group"]]
            send = self.buy if order["quantity"] > 0.0 else self.sell
            placed = send(
                data,
                size=abs(order["quantity"]),
                exectype=types[kind],
                price=price,
                valid=order["valid"],
                transmit=order["transmit"],
                **options,
            )
            self.placed[order["number"]] = placed
            if order["oco_group"] >= 0:
                self.leaders.setdefault(order["oco_group"], placed)

        def notify_order(self, order: Any) -> None:
            first = self.seen.get(order.ref, 0)
            bits = list(order.executed.exbits)
            for bit in bits[first:]:
                commission = bit.closedcomm + bit.openedcomm
                self.executions.append((bit.dt, self.assets[id(order.data)], bit.size, bit.price, commission))
            self.seen[order.ref] = max(first, len(bits))

    return Planned


def _trailing(order: dict[str, Any]) -> tuple[float | None, dict[str, Any]]:
    """Return the price a trail starts at (None: the close) and the distance, as backtrader wants them."""
    is_rate = not np.isnan(order["trail_rate"])
    distance = {"trailpercent": order["trail_rate"]} if is_rate else {"trailamount": order["trail"]}
    if np.isnan(order["stop_price"]):
        return None, distance
    side = 1.0 if order["quantity"] > 0.0 else -1.0
    if is_rate:
        return order["stop_price"] / (1.0 + side * order["trail_rate"]), distance
    return order["stop_price"] - side * order["trail"], distance
