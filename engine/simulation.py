"""One run: decisions and bars in, what following them would have led to out."""

from __future__ import annotations

from engine.account import Account
from engine.actions import Actions
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import TargetUnits, TargetWeights
from engine.errors import InputError
from engine.execution import Execution
from engine.orders import Orders
from engine.play import Instructions, Setting, instructions_of
from engine.policy import Policy
from engine.result import Result
from engine.risk import Risk
from engine.rules.base import Rule
from engine.settings import periods

_ACCOUNT, _COSTS, _EXECUTION, _RISK = Account(), Costs(), Execution(), Risk()

Decisions = TargetWeights | TargetUnits | Orders | Policy | Rule


def simulate(
    bars: Bars,
    decisions: Decisions,
    *,
    account: Account = _ACCOUNT,
    costs: Costs = _COSTS,
    execution: Execution = _EXECUTION,
    risk: Risk = _RISK,
    actions: Actions | None = None,
    finer: Bars | None = None,
    periods_per_year: float = 252.0,
) -> Result:
    """Return what following the decisions would have led to.

    Each bar: corporate actions at the open; orders of earlier decisions meet the bar (at its open, inside it, at
    its close); interest and borrow fees of the night; positions are marked at the close, and margin is checked;
    the bar's decisions become targets and orders. A missing bar trades nothing and keeps its mark; what is
    pending waits for the asset's next bar. Deterministic, to the last bit.

    Parameters
    ----------
    bars : Bars
    decisions : TargetWeights, TargetUnits, Orders, Policy or Rule
        What is decided at the close of a bar sees nothing after it.
    account, costs, execution, risk
        Defaults: 100,000 of cash without leverage, no costs, fills at the next open, no stops.
    actions : Actions, optional
        Splits, dividends and delistings on the axes of the bars.
    finer : Bars, optional
        Bars of the same symbols inside these, to see in which order stops and limits were met.
    periods_per_year : float
        Bars a year, for annual metrics: 252 sessions a year by default.

    Raises
    ------
    InputError
        Shapes do not fit; a decision is infinite; a weight other than 0 is set before the asset's first bar; an
        order has no bar; a policy does not compile; a setting needs volumes that are not known.
    """
    setting = Setting.of(bars, account, costs, execution, risk, actions, finer, decisions)
    if isinstance(decisions, Rule):
        return play(setting, decisions.planner(bars, actions)(decisions), periods_per_year)
    instructions = instructions_of(decisions, bars)
    return play(setting, instructions, periods_per_year)


def play(setting: Setting, instructions: Instructions, periods_per_year: float) -> Result:
    """Return the result of a run that is checked and prepared."""
    a_year = periods(periods_per_year)
    return Result(setting, instructions, setting.play(instructions), a_year)


__all__ = ["Decisions", "InputError", "play", "simulate"]
