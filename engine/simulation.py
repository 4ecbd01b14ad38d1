"""The recording tier: one run, with everything it did written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.account import Account
from engine.actions import Actions, Events
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import Decisions, TargetUnits, TargetWeights
from engine.errors import InputError
from engine.execution import CASH_POLICIES, TIMINGS, Execution
from engine.kernels.bar_loop import bar_loop_nb
from engine.kernels.scan import scan_nb
from engine.kernels.state import CASH_FLOWS, DONE, FILLS, Book, Market, Plan, Records, Rules
from engine.panels import Floats, number, place, read_only
from engine.records import CASH_FLOW, FILL
from engine.result import Result

_ACCOUNT, _COSTS, _EXECUTION = Account(), Costs(), Execution()
_NO_PLACES = read_only(np.empty(0, dtype=np.int64))
_NO_VALUES = read_only(np.empty(0, dtype=np.float64))
_NO_EVENTS = Events(_NO_PLACES, _NO_PLACES, _NO_VALUES, _NO_VALUES, _NO_VALUES)


def simulate(
    bars: Bars,
    decisions: Decisions,
    *,
    account: Account = _ACCOUNT,
    costs: Costs = _COSTS,
    execution: Execution = _EXECUTION,
    actions: Actions | None = None,
    periods_per_year: float = 252.0,
) -> Result:
    """Return what following the decisions would have led to.

    Each bar: corporate actions at the open; orders of earlier decisions fill (sells before buys); positions are
    marked at the close; the bar's decisions become targets. A missing bar trades nothing and keeps its mark;
    its order stays pending until the asset's next bar. Deterministic, to the last bit.

    Parameters
    ----------
    bars : Bars
    decisions : TargetWeights or TargetUnits
        Row t is decided at the close of bar t.
    account, costs, execution
        Defaults: 100,000 of cash without leverage, no costs, fills at the next open.
    actions : Actions, optional
        Splits, dividends and delistings on the axes of the bars.
    periods_per_year : float
        Bars a year, for annual metrics: 252 sessions a year by default.

    Raises
    ------
    InputError
        Shapes do not fit; a decision is infinite; a weight other than 0 is set before the asset's first bar.
    """
    run = Run.of(bars, account=account, costs=costs, execution=execution, actions=actions)
    plan, n_decisions = plan_of(decisions, bars)
    book, records = run.play(plan, n_decisions)
    return Result(
        bar_end=bars.bar_end,
        symbols=bars.symbols,
        initial_cash=account.cash,
        equity=records.equity,
        cash=records.cash,
        exposure=records.exposure,
        fills=records.fills[: records.counts[FILLS]],
        cash_flows=records.cash_flows[: records.counts[CASH_FLOWS]],
        periods_per_year=_checked_periods(periods_per_year),
        _events=run.events,
        _mark=book.mark,
    )


@dataclass(frozen=True)
class Run:
    """Everything of a run but its decisions, checked and in the kernels' form."""

    bars: Bars
    market: Market
    events: Events
    rules: Rules

    @classmethod
    def of(cls, bars: Bars, *, account: Account, costs: Costs, execution: Execution, actions: Actions | None) -> Run:
        """Return a run after checking that its parts are of the right kind and fit each other."""
        _check_kind("bars", bars, (Bars,))
        _check_kind("account", account, (Account,))
        _check_kind("costs", costs, (Costs,))
        _check_kind("execution", execution, (Execution,))
        if bars.n_bars == 0 or bars.n_assets == 0:
            raise InputError(f"a run needs at least one bar and one asset, had shape {bars.close.shape}")
        events = _NO_EVENTS
        if actions is not None:
            _check_kind("actions", actions, (Actions,))
            if actions.split.shape != bars.close.shape:
                raise InputError(
                    f"actions must have the shape of the bars {bars.close.shape}, had {actions.split.shape}"
                )
            events = actions.events
        market = Market(bars.open, bars.close, bars.has_gaps)
        return cls(bars, market, events, rules_of(account, costs, execution))

    def play(self, plan: Plan, n_decisions: int) -> tuple[Book, Records]:
        """Return the book and the records after all bars.

        The records' capacity is exact beforehand: a decision fills at most once, an action flows at most once.
        """
        book = _new_book(self.bars.n_assets, self.rules.cash)
        records = Records(
            fills=np.empty(n_decisions + self.events.bar.size, dtype=FILL),
            cash_flows=np.empty(self.events.bar.size, dtype=CASH_FLOW),
            counts=np.zeros(2, dtype=np.int64),
            equity=np.empty(self.bars.n_bars),
            cash=np.empty(self.bars.n_bars),
            exposure=np.empty(self.bars.n_bars),
        )
        bar, asset = bar_loop_nb(book, self.market, self.events, plan, self.rules, records)
        if bar != DONE:
            at = place((bar, asset), self.bars.bar_end, self.bars.symbols)
            raise InputError(
                f"a weight needs a price: it must be NaN or 0 before an asset's first bar, "
                f"was {plan.values[bar, asset]} for {at}"
            )
        return book, records


class Prepared(NamedTuple):
    """Decisions in the kernels' form and how many there are."""

    plan: Plan
    n_decisions: int


def plan_of(decisions: Decisions, bars: Bars) -> Prepared:
    """Return the decisions of a run; raises `InputError` naming the first infinite one."""
    _check_kind("decisions", decisions, (TargetWeights, TargetUnits))
    values: Floats = decisions.aligned(bars)
    counts = np.empty(bars.n_bars, dtype=np.int64)
    wrong = scan_nb(values, counts)
    if wrong >= 0:
        asset = int(np.argmax(np.isinf(values[wrong])))
        name = "weights" if isinstance(decisions, TargetWeights) else "units"
        at = place((wrong, asset), bars.bar_end, bars.symbols)
        raise InputError(f"{name} must be finite or NaN, was {values[wrong, asset]} for {at}")
    plan = Plan(np.flatnonzero(counts), values, isinstance(decisions, TargetWeights))
    return Prepared(plan, int(counts.sum()))


def rules_of(account: Account, costs: Costs, execution: Execution) -> Rules:
    """Return the settings as the kernels take them: basis points as rates, names as numbers."""
    return Rules(
        cash=account.cash,
        leverage=account.leverage,
        allow_short=account.allow_short,
        commission_rate=costs.commission_bps / 10_000.0,
        commission_fixed=costs.commission_fixed,
        commission_per_share=costs.commission_per_share,
        commission_min=costs.commission_min,
        commission_max_rate=costs.commission_max_rate,
        spread_rate=costs.spread_bps / 20_000.0,
        slippage_rate=costs.slippage_bps / 10_000.0,
        timing=TIMINGS.index(execution.timing),
        lot_size=execution.lot_size,
        cash_policy=CASH_POLICIES.index(execution.cash_policy),
    )


def _check_kind(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        wanted = " or ".join(f"{kind.__name__}(...)" for kind in kinds)
        raise InputError(f"{name} must be {wanted}, was {type(value).__name__}")


def _new_book(n_assets: int, cash: float) -> Book:
    return Book(
        cash=np.array([cash]),
        position=np.zeros(n_assets),
        mark=np.full(n_assets, np.nan),
        target=np.full(n_assets, np.nan),
        buy=np.empty(n_assets),
        held=np.empty(n_assets, dtype=np.int64),
        held_at=np.empty(n_assets, dtype=np.int64),
        pending=np.empty(n_assets, dtype=np.int64),
        buying=np.empty(n_assets, dtype=np.int64),
        is_listed=np.ones(n_assets, dtype=np.bool_),
        counts=np.zeros(2, dtype=np.int64),
    )


def _checked_periods(periods_per_year: float) -> float:
    return number("periods_per_year", periods_per_year, low=1e-9, high=1e12, rule="positive and finite")
