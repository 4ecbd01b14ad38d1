"""A run in the kernels' form: its setting, its instructions, and the passes of the bar loop over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.account import Account
from engine.actions import Actions, Events
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import TargetUnits, TargetWeights
from engine.errors import InputError
from engine.execution import Execution
from engine.kernels.bar_loop import bar_loop_nb
from engine.kernels.scan import scan_nb
from engine.kernels.state import (
    HOLDING,
    N_LISTS,
    QUEUED,
    STATE,
    UNPRICED,
    Book,
    Curves,
    Finer,
    Market,
    Plan,
    Records,
    Rules,
)
from engine.orders import Orders
from engine.panels import place, read_only
from engine.policy import Policy
from engine.preparation import events_of, finer_of, market_of, rules_of
from engine.records import CASH_FLOW, FILL, ORDER, REJECTION
from engine.risk import Risk

_NO_BARS = read_only(np.empty(0, dtype=np.int64))
_NO_TARGETS = read_only(np.empty((0, 0), dtype=np.float64))
_NO_PLAN = Plan(_NO_BARS, _NO_BARS, _NO_TARGETS, False)
_NO_ORDERS = np.empty(0, dtype=ORDER)
_KINDS = (TargetWeights, TargetUnits, Orders, Policy)


class Instructions(NamedTuple):
    """What to do: targets, or orders, or a policy that gives them."""

    plan: Plan
    orders: NDArray[Any]
    policy: Policy | None = None


class Capacity(NamedTuple):
    """How many records of each kind a pass may write."""

    fills: int = 0
    cash_flows: int = 0
    rejections: int = 0


class Played(NamedTuple):
    """The state after a pass, and what it has written."""

    book: Book
    orders: NDArray[Any]
    records: Records
    curves: Curves

    @property
    def capacity(self) -> Capacity:
        """What a pass has to have room for to write every record of the run."""
        state = self.book.state
        return Capacity(int(state.n_fills), int(state.n_cash_flows), int(state.n_rejections))


@dataclass(frozen=True)
class Setting:
    """Everything of a run but its decisions, checked and in the kernels' form."""

    bars: Bars
    market: Market
    finer: Finer
    events: Events
    rules: Rules

    @classmethod
    def of(
        cls,
        bars: Bars,
        account: Account,
        costs: Costs,
        execution: Execution,
        risk: Risk,
        actions: Actions | None,
        finer: Bars | None,
        decisions: object = None,
    ) -> Setting:
        """Return a setting after checking that its parts are of the right kind and fit each other."""
        check_kind("bars", bars, Bars)
        check_kind("account", account, Account)
        check_kind("costs", costs, Costs)
        check_kind("execution", execution, Execution)
        check_kind("risk", risk, Risk)
        if actions is not None:
            check_kind("actions", actions, Actions)
        if finer is not None:
            check_kind("finer", finer, Bars)
        if bars.n_bars == 0 or bars.n_assets == 0:
            raise InputError(f"a run needs at least one bar and one asset, had shape {bars.close.shape}")
        rules = rules_of(account, costs, execution, risk)
        events = events_of(actions, bars)
        has_orders = isinstance(decisions, (Orders, Policy))
        market = market_of(bars, costs, execution, events, has_nights=rules.has_financing, has_orders=has_orders)
        return cls(bars, market, finer_of(finer, bars), events, rules)

    def play(self, instructions: Instructions, capacity: Capacity = Capacity()) -> Played:  # noqa: B008
        """Return the state and the records after all bars; equal passes give equal bits.

        Raises `InputError` naming a weight that has no price to be sized with.
        """
        n_bars, n_assets = self.bars.close.shape
        orders = instructions.orders.copy() if instructions.orders.size else _NO_ORDERS
        no_orders = None if orders.size == 0 else orders
        book = new_book(n_assets, orders, self.rules, self.events.bar.size)
        records = Records(
            fills=np.empty(capacity.fills, dtype=FILL),
            cash_flows=np.empty(capacity.cash_flows, dtype=CASH_FLOW),
            rejections=np.empty(capacity.rejections, dtype=REJECTION),
        )
        curves = Curves(np.empty(n_bars), np.empty(n_bars), np.empty(n_bars))
        plan = instructions.plan
        if instructions.policy is not None:
            return instructions.policy.play(self, book, records)
        status, bar, asset = bar_loop_nb(
            book, self.market, self.finer, self.events, plan, no_orders, self.rules, records, curves
        )
        if status == UNPRICED:
            at = place((bar, asset), self.bars.bar_end, self.bars.symbols)
            row = int(plan.row[np.searchsorted(plan.bar, bar)])
            raise InputError(
                f"a weight needs a price: it must be NaN or 0 before an asset's first bar, "
                f"was {plan.values[row, asset]} for {at}"
            )
        return Played(book, orders, records, curves)


def instructions_of(decisions: object, bars: Bars) -> Instructions:
    """Return decisions in the kernels' form; raises `InputError` naming the first that is infinite."""
    check_kind("decisions", decisions, *_KINDS)
    if isinstance(decisions, Orders):
        return Instructions(_NO_PLAN, decisions.table(bars))
    if isinstance(decisions, Policy):
        return Instructions(_NO_PLAN, _NO_ORDERS, decisions)
    assert isinstance(decisions, (TargetWeights, TargetUnits))  # noqa: S101
    values, rows = decisions.values_and_rows(bars)
    is_weight = isinstance(decisions, TargetWeights)
    counts = np.empty(values.shape[0], dtype=np.int64)
    wrong = scan_nb(values, counts)
    if wrong >= 0:
        asset = int(np.argmax(np.isinf(values[wrong])))
        at = place((wrong if rows is None else int(rows[wrong]), asset), bars.bar_end, bars.symbols)
        name = "weights" if is_weight else "units"
        raise InputError(f"{name} must be finite or NaN, was {values[wrong, asset]} for {at}")
    row = np.flatnonzero(counts)
    return Instructions(Plan(row if rows is None else rows[row], row, values, is_weight), _NO_ORDERS)


def new_book(n_assets: int, orders: NDArray[Any], rules: Rules, n_events: int) -> Book:
    """Return the state before the first bar."""
    state = np.zeros(1, dtype=STATE).view(np.recarray)[0]
    state.cash = rules.cash
    state.n_orders = orders.size
    if orders.size:
        state.n_children = np.count_nonzero(orders["parent"] >= 0)
    holding = np.zeros(n_assets, dtype=HOLDING)
    for name in ("used_bar", "exit_kind", "ambiguous_bar", "visited_bar", "entry_bar"):
        holding[name] = -1
    holding["liquidation"] = np.nan
    holding["is_listed"] = True
    return Book(
        state=state,
        position=np.zeros(n_assets),
        mark=np.full(n_assets, np.nan),
        target=np.full(n_assets, np.nan),
        lists=np.empty((N_LISTS, n_assets), dtype=np.int64),
        holding=holding,
        late=np.full((rules.latency, n_assets), np.nan),
        live=np.empty(orders.size, dtype=np.int64),
        group=np.empty(n_assets + orders.size, dtype=QUEUED),
        due=np.zeros(n_events),
    )


def check_kind(name: str, value: object, *kinds: type) -> None:
    """Refuse a value that is of none of the kinds."""
    if not isinstance(value, kinds):
        wanted = " or ".join(f"{kind.__name__}(...)" for kind in kinds)
        raise InputError(f"{name} must be {wanted}, was {type(value).__name__}")
