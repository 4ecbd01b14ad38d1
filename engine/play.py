"""A run in the kernels' form: its setting, its instructions, and the passes of the bar loop over them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from engine.account import Account
from engine.actions import Actions, Events
from engine.bars import Bars
from engine.bounds import LEAST, MOST, MOST_CCY
from engine.costs import Costs
from engine.decisions import TargetUnits, TargetWeights
from engine.errors import InputError
from engine.execution import Execution
from engine.kernels.bar_loop import bar_loop_nb
from engine.kernels.scan import scan_nb
from engine.kernels.state import (
    HOLDING,
    N_LISTS,
    N_PASSES,
    QUEUED,
    STATE,
    UNCOUNTABLE,
    UNPRICED,
    Book,
    Curves,
    Finer,
    Market,
    Plan,
    Records,
    Rules,
)
from engine.kernels.streaming import opens_loop_nb
from engine.orders import Orders
from engine.panels import Floats, instant, place, read_only
from engine.policy import Policy
from engine.preparation import events_of, finer_of, market_of, rules_of
from engine.records import CASH_FLOW, FILL, ORDER, REJECTION
from engine.risk import Risk
from engine.scratch import scratch
from engine.settings import check_kind

# Bars of a plan may be written to, as those that are made for a run: another type is another loop to compile.
_NO_BARS = np.empty(0, dtype=np.int64)
_NO_VALUES = np.empty(0)
_NO_TARGETS = read_only(np.empty((0, 0), dtype=np.float64))
_NO_PLAN = Plan(_NO_BARS, _NO_BARS, _NO_TARGETS, False)
_NO_ORDERS = np.empty(0, dtype=ORDER)
# Books of a thread, by size; a few are enough for runs over the same markets.
_BOOKS = threading.local()
_MOST_BOOKS = 8
_KINDS = (TargetWeights, TargetUnits, Orders, Policy)


class Instructions(NamedTuple):
    """What to do: targets, or orders, or a policy that gives them."""

    plan: Plan
    orders: NDArray[Any] = _NO_ORDERS
    policy: Policy | None = None


class Capacity(NamedTuple):
    """How many records of each kind a pass may write."""

    fills: int = 0
    cash_flows: int = 0
    rejections: int = 0

    def records(self) -> Records:
        """Return empty records of this size."""
        if self == _NOTHING:
            return _NO_RECORDS
        return Records(
            np.empty(self.fills, dtype=FILL),
            np.empty(self.cash_flows, dtype=CASH_FLOW),
            np.empty(self.rejections, dtype=REJECTION),
        )


_NOTHING = Capacity()
_NO_RECORDS = Records(np.empty(0, dtype=FILL), np.empty(0, dtype=CASH_FLOW), np.empty(0, dtype=REJECTION))


class Played(NamedTuple):
    """What a pass left: the last state, the last marks float64[n_assets], orders, records and the account's curves.

    Cash and exposure are empty where the pass was a short one that was given no room for them.
    """

    state: Any
    mark: Floats
    orders: NDArray[Any]
    records: Records
    curves: Curves

    @property
    def capacity(self) -> Capacity:
        """What a pass has to have room for to write every record of the run."""
        state = self.state
        return Capacity(int(state["n_fills"]), int(state["n_cash_flows"]), int(state["n_rejections"]))


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
        return cls(bars, market, finer_of(finer, bars, execution), events, rules)

    @cached_property
    def trades_at_opens(self) -> bool:
        """Whether targets fill at the opens of one asset, and nothing else ever happens: see `kernels.streaming`."""
        is_alone = self.bars.n_assets == 1 and self.events.bar.size == 0 and not self.market.has_gaps
        return is_alone and bool(self.rules["trades_at_opens"])

    @property
    def n_late(self) -> int:
        """Bars of targets that wait for the latency to end: none waits for longer than there are bars."""
        return min(int(self.rules.latency), self.bars.n_bars)

    def play(self, instructions: Instructions, capacity: Capacity = _NOTHING, curves: Curves | None = None) -> Played:
        """Return the state and the records after all bars; equal passes give equal bits.

        `curves` is room for the account's curves, made where none is given. Raises `InputError` naming a weight
        that has no price to be sized with, or the bar at which there is more money than a float can count.
        """
        n_bars, n_assets = self.bars.close.shape
        if instructions.policy is not None:
            return instructions.policy.play(self, capacity)
        if self.trades_at_opens and capacity == _NOTHING and instructions.plan is not _NO_PLAN:
            played = self._play_opens(instructions.plan, curves)
            if played is not None:
                return played
        curves = new_curves(n_bars) if curves is None else curves
        orders = instructions.orders.copy() if instructions.orders.size else None
        n_orders = 0 if orders is None else orders.size
        book = book_of(n_assets, n_orders, self.n_late, self.events.bar.size)
        records = capacity.records()
        plan = instructions.plan
        status, bar, asset = bar_loop_nb(
            book, self.market, self.finer, self.events, plan, orders, self.rules, records, curves
        )
        if status == UNPRICED:
            at = place((bar, asset), self.bars.bar_end, self.bars.symbols)
            row = int(plan.row[np.searchsorted(plan.bar, bar)])
            raise InputError(
                f"a weight needs a price: it must be NaN or 0 before an asset's first bar, "
                f"was {plan.values[row, asset]} for {at}"
            )
        if status == UNCOUNTABLE:
            self.refuse_money(curves)
        return Played(book.state.copy(), book.mark.copy(), _NO_ORDERS if orders is None else orders, records, curves)

    def refuse_money(self, curves: Curves) -> NoReturn:
        """Raise the error of the first bar that ends with more money than can be counted."""
        is_wrong = ~(np.abs(np.array(curves)) <= MOST_CCY)
        bar = int(np.argmax(is_wrong.any(axis=0)))
        parts = ", ".join(f"{name} {values[bar]:g}" for name, values in curves._asdict().items())
        raise InputError(
            f"equity, cash and exposure must stay within {MOST_CCY:g} ccy, were {parts} at "
            f"{instant(self.bars.bar_end[bar])}: sizes, prices, rates or leverage are too large"
        )

    def _play_opens(self, plan: Plan, curves: Curves | None) -> Played | None:
        """Return the state after all bars of one asset, or None where that takes the bar loop.

        Of the curves equity alone is made where no room is given: fresh memory costs more than the run.
        """
        if curves is None:
            curves = Curves(np.empty(self.bars.n_bars), _NO_VALUES, _NO_VALUES)
        state = np.zeros(1, dtype=STATE)
        is_usual, mark = opens_loop_nb(
            self.market.open.reshape(-1),
            self.market.close.reshape(-1),
            plan.bar,
            plan.row,
            plan.values.reshape(-1),
            plan.is_weight,
            self.rules,
            state,
            curves,
        )
        return Played(state[0], np.array((mark,)), _NO_ORDERS, _NO_RECORDS, curves) if is_usual else None


def no_plan() -> Plan:
    """Return targets that hold none."""
    return _NO_PLAN


def new_curves(n_bars: int) -> Curves:
    """Return room for the account's curves."""
    curves = np.empty((3, n_bars))
    return Curves(curves[0], curves[1], curves[2])


def instructions_of(decisions: object, bars: Bars) -> Instructions:
    """Return decisions in the kernels' form; raises `InputError` naming the first that is infinite."""
    check_kind("decisions", decisions, *_KINDS)
    if isinstance(decisions, Orders):
        return Instructions(_NO_PLAN, decisions.table(bars))
    if isinstance(decisions, Policy):
        return Instructions(_NO_PLAN, _NO_ORDERS, decisions)
    assert isinstance(decisions, (TargetWeights, TargetUnits))
    values, rows = decisions.values_and_rows(bars)
    is_weight = isinstance(decisions, TargetWeights)
    counts = np.empty(values.shape[0], dtype=np.int64)
    wrong = scan_nb(values, counts)
    if wrong >= 0:
        sizes = np.abs(values[wrong])
        asset = int(np.argmax((sizes > MOST) | ((sizes < LEAST) & (sizes != 0.0))))
        at = place((wrong if rows is None else int(rows[wrong]), asset), bars.bar_end, bars.symbols)
        name, rule = "weights" if is_weight else "units", "finite or NaN"
        if np.isfinite(values[wrong, asset]):
            rule = f"NaN, 0 or between {LEAST:g} and {MOST:g} in size"
        raise InputError(f"{name} must be {rule}, was {values[wrong, asset]} for {at}")
    row = np.flatnonzero(counts)
    return Instructions(Plan(row if rows is None else rows[row], row, values, is_weight), _NO_ORDERS)


def book_of(n_assets: int, n_orders: int, latency: int, n_events: int) -> Book:
    """Return room for the state of a run, which the bar loop resets: one of its kind a thread, used again and again."""
    books: dict[tuple[int, int, int, int], Book] = _BOOKS.__dict__.setdefault("books", {})
    key = (n_assets, n_orders, latency, n_events)
    if key not in books:
        if len(books) >= _MOST_BOOKS:
            books.clear()
        books[key] = new_book(*key)
    return books[key]


def new_book(n_assets: int, n_orders: int, latency: int, n_events: int) -> Book:
    """Return room for the state of a run."""
    return Book(
        state=scratch(1, STATE).view(np.recarray)[0],
        position=scratch(n_assets),
        mark=scratch(n_assets),
        target=scratch(n_assets),
        lists=scratch((N_LISTS, n_assets), np.int64),
        holding=scratch(n_assets, HOLDING),
        late=scratch((latency, n_assets)),
        live=scratch(n_orders, np.int64),
        group=scratch(n_assets + n_orders, QUEUED),
        due=scratch(n_events),
        work=scratch((N_PASSES, n_assets)),
    )
