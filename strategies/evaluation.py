"""From a decision function to target weights the engine accepts, by rules that hold for every strategy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.decisions import TargetWeights
from strategies.errors import StrategyError
from strategies.panel import Panel, values_of
from strategies.registry import Strategy, Value, get_strategy
from strategies.spec import Spec
from strategies.window import Window

_GROSS_TOLERANCE = 1e-9


def evaluate(
    decided_by: Spec | Strategy | str,
    window: Window,
    parameters: Mapping[str, Value] | None = None,
    *,
    leverage: float | None = None,
) -> TargetWeights:
    """Return a strategy's target weights over a window.

    Until an asset's first bar its weight is NaN: there is nothing to trade. From then on it is 0.0 wherever
    the asset is not a member (not in the universe, or delisted): what leaves the universe is sold at the next
    open. Everywhere else it is what the strategy says, NaN (leave alone) included, also on bars the asset
    misses.

    Parameters ---------- decided_by : a spec, a strategy, or a strategy's name window : Window parameters :
    values that replace the spec's, or the strategy's defaults leverage : the most that absolute weights may
    add up to; by default the spec's account's, without a spec 1.0

    Raises ------ StrategyError : a parameter is unknown or unfit; or the strategy's answer is no panel of
    weights of this window, is infinite somewhere, or asks for more than the leverage, with the strategy, the
    date and the amount
    """
    strategy, values, allowed = _unpacked(decided_by)
    panel: object = strategy(window, **{**values, **(parameters or {})})
    if not isinstance(panel, Panel):
        kind = type(panel).__name__
        raise StrategyError(f"strategy {strategy.name} must return a panel of weights, returned {kind}")
    weights = values_of(panel)
    members = values_of(window.members)
    has_begun = ~np.isnan(values_of(window.index))
    if panel._axes is not window._axes:
        raise StrategyError(f"strategy {strategy.name} returned a panel of another window")
    if weights.dtype == np.bool_:
        raise StrategyError(f"strategy {strategy.name} returned True and False: end with .equal_weight() for weights")
    masked = np.where(has_begun, np.where(members, weights, 0.0), np.nan)
    _check(strategy.name, masked, window, allowed if leverage is None else leverage)
    return TargetWeights(masked)


def _unpacked(decided_by: Spec | Strategy | str) -> tuple[Strategy, Mapping[str, Value], float]:
    if isinstance(decided_by, Spec):
        return get_strategy(decided_by.strategy), decided_by.parameters, decided_by.account.leverage
    return (get_strategy(decided_by) if isinstance(decided_by, str) else decided_by), {}, 1.0


def _check(name: str, weights: NDArray[np.float64], window: Window, leverage: float) -> None:
    axes = window._axes
    size = np.abs(weights)
    gross = np.where(np.isnan(size), 0.0, size).sum(axis=1)
    if not gross.size or gross.max() <= leverage + _GROSS_TOLERANCE:
        return
    if np.isinf(gross).any():
        t, j = (int(place) for place in np.argwhere(np.isinf(size))[0])
        raise StrategyError(
            f"weights must be finite or NaN, strategy {name} asked for {weights[t, j]} of {axes.symbols[j]} "
            f"at {_day(axes.bar_end[t])}: a division by zero, perhaps"
        )
    t = int(np.argmax(gross > leverage + _GROSS_TOLERANCE))
    raise StrategyError(
        f"absolute weights must not add up to more than the account's leverage {leverage:g}, strategy {name} "
        f"asked for {gross[t]:.6g} at {_day(axes.bar_end[t])}: end with .normalize({leverage:g}), or raise it"
    )


def _day(bar_end: np.datetime64) -> str:
    return str(bar_end.astype("datetime64[D]"))
