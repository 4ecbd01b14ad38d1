"""Does a decision use the future? Take the future away and look whether the past changes.

The decision is made on the whole window and on the window cut at many points: before and inside runs of
missing values, at month ends, corporate actions and membership changes, before the largest moves, at the
first and last bars, and at random. Every weight decided before a cut must be the same in both, missing ones
included. Then the future is replaced instead of cut, by another path and by nothing. Last, the function is
searched for data of its own (`strategies.side_data`), which no cut would reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.bars import Bars
from engine.decisions import TargetWeights
from strategies.cuts import cut_points, with_other_future
from strategies.errors import LookaheadError, StrategyError
from strategies.panel import Panel, values_of
from strategies.side_data import find_side_data
from strategies.window import Window

RELATIVE_TOLERANCE = 1e-9
_N_REPLACED = 10
_NEAR = 30  # bars: a negative shift or a centred window; further on it is a statistic of the whole sample

Floats = NDArray[np.float64]
Decide = Callable[[Window], Any]


@dataclass(frozen=True)
class Leak:
    """One weight that depends on the future.

    cut : how many bars were known; bar_end, symbol : where the weight stands; then : the weight with what was
    known; now : with all bars; bars_ahead : how many bars after its own it uses; None where a field does not
    apply
    """

    description: str
    cut: int | None = None
    bar_end: np.datetime64 | None = None
    symbol: str | None = None
    then: float | None = None
    now: float | None = None
    bars_ahead: int | None = None


@dataclass(frozen=True)
class LookaheadReport:
    """What the check found: `is_clean`, after how many cuts, and the first leak."""

    n_cuts: int
    leak: Leak | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return self.leak is None

    def raise_if_leaking(self) -> None:
        """Raise LookaheadError with the leak in words, if there is one."""
        if self.leak is not None:
            raise LookaheadError(self.leak.description)


def check(decide: Decide, window: Window, *, n_cuts: int = 50, seed: int = 0) -> LookaheadReport:
    """Return whether a decision function uses the future, with the first leak found.

    Parameters
    ----------
    decide : from a window to weights [n_bars, n_assets]: an array, a panel or engine.TargetWeights, such as
        `lambda window: evaluate(spec, window)`
    window : what to try it on; leaks that need an event show only where the window has one
    n_cuts : how many cuts; all bars where there are fewer
    seed : of the random cuts and of the replaced futures

    Raises
    ------
    StrategyError : the decision fails on a shorter window, or its answer is no weights
    """
    # First of all: from then on the window knows which features the decision asks for.
    whole = _answer(decide, window)
    cuts = cut_points(window, n_cuts, seed)
    leak = (
        _unrepeatable(decide, window, whole)
        or _first_cut_leak(decide, window, whole, cuts)
        or _replaced_leak(decide, window, whole, cuts, seed)
        or _side_data_leak(decide)
    )
    return LookaheadReport(len(cuts), leak)


def _unrepeatable(decide: Decide, window: Window, whole: Floats) -> Leak | None:
    again = _answer(decide, window)
    if again.shape == whole.shape and not _differs(whole, again).any():
        return None
    return Leak("the same window gave two different answers: decisions must not draw numbers or keep state")


def _first_cut_leak(decide: Decide, window: Window, whole: Floats, cuts: list[int]) -> Leak | None:
    for cut in cuts:
        then = _answer(decide, window.cut(cut))
        if len(then) != cut:
            return Leak(
                f"with {cut} bars known the decision answered for {len(then)}: it works on data from outside its "
                "window. Pass the data to the window as a feature.",
                cut=cut,
            )
        place = _first_difference(whole[:cut], then)
        if place is not None:
            return _cut_leak(decide, window, whole, then, cut, place)
    return None


def _cut_leak(decide: Decide, window: Window, whole: Floats, then: Floats, cut: int, place: tuple[int, int]) -> Leak:
    bar, _ = place
    too_few, enough = cut, len(whole)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        is_same = not _differs(whole[place], _answer(decide, window.cut(middle))[place]).any()
        too_few, enough = (too_few, middle) if is_same else (middle, enough)
    n_ahead = enough - 1 - bar
    if enough == len(whole) and n_ahead > _NEAR:
        reach = "it changes until the last bar"
        remedy = (
            "a mean, deviation, rank, quantile, fit or backward fill over the whole sample does that; "
            "use mean(n), std(n), expanding_mean(), carry() and the other operations of panels"
        )
    else:
        reach = f"it uses {n_ahead} bar{'s' if n_ahead > 1 else ''} after its own"
        remedy = (
            "a negative shift, a centred window or a backward fill does that; use lag(n) with n >= 0, mean(n), carry()"
        )
    return _leak(window, whole, then, cut, place, f"{reach}: {remedy}", n_ahead)


def _replaced_leak(decide: Decide, window: Window, whole: Floats, cuts: list[int], seed: int) -> Leak | None:
    random = np.random.default_rng(seed)
    step = max(1, len(cuts) // _N_REPLACED)
    for cut in cuts[::step]:
        for path in (random, None):
            then = _answer(decide, with_other_future(window, cut, path))
            place = _first_difference(whole[:cut], then[:cut])
            if place is not None:
                kind = "another path" if path is not None else "missing values"
                cause = f"it changes where the bars from there on are replaced by {kind}: it reads them"
                return _leak(window, whole, then, cut, place, cause, None)
    return None


def _side_data_leak(decide: Decide) -> Leak | None:
    found = find_side_data(decide)
    if found is None:
        return None
    return Leak(
        f"the decision uses data from outside its window: {found}. A cut cannot reach it, so nothing shows "
        "that it was known in time: pass it to the window as a feature."
    )


def _leak(
    window: Window,
    whole: Floats,
    then: Floats,
    cut: int,
    place: tuple[int, int],
    cause: str,
    n_ahead: int | None,
) -> Leak:
    bars: Bars = window._bars
    bar, asset = place
    was, is_now = float(then[place]), float(whole[place])
    day = bars.bar_end[bar].astype("datetime64[D]")
    return Leak(
        f"the weight of {bars.symbols[asset]} at {day} was {was:.10g} with the first {cut} bars known and is "
        f"{is_now:.10g} with all {len(whole)}: {cause}.",
        cut=cut,
        bar_end=bars.bar_end[bar],
        symbol=bars.symbols[asset],
        then=was,
        now=is_now,
        bars_ahead=n_ahead,
    )


def _answer(decide: Decide, window: Window) -> Floats:
    """Return the decision's weights as an array, whichever form they come in."""
    n_bars = window._bars.n_bars
    try:
        answer = decide(window)
    except Exception as error:
        raise StrategyError(f"the decision failed on a window of {n_bars} bars: {error}") from error
    if isinstance(answer, TargetWeights):
        answer = answer.weights
    values = values_of(answer) if isinstance(answer, Panel) else np.asarray(answer)
    if values.ndim != 2 or values.shape[1] != window._bars.n_assets or values.dtype.kind not in "fbiu":
        raise StrategyError(f"a decision must be weights [n_bars, n_assets], was {values.dtype}{list(values.shape)}")
    return values.astype(np.float64)


def _differs(left: Any, right: Any) -> NDArray[np.bool_]:
    """Return where two arrays differ by more than rounding; a missing value equals a missing value only."""
    is_close: NDArray[np.bool_] = np.isclose(left, right, rtol=RELATIVE_TOLERANCE, atol=1e-15, equal_nan=True)
    return ~is_close


def _first_difference(left: Floats, right: Floats) -> tuple[int, int] | None:
    differs = _differs(left, right)
    if not differs.any():
        return None
    bar, asset = np.unravel_index(int(np.argmax(differs)), differs.shape)
    return int(bar), int(asset)
