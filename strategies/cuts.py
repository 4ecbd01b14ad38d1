"""Where to cut a window so that a look into the future shows, and how to put another future in its place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.actions import Actions
from engine.bars import Bars
from strategies.window import Window

_N_LARGEST = 10
_STEP_DEVIATION = 0.03  # of the log price, per bar, of the other future


def cut_points(window: Window, n_cuts: int, seed: int) -> list[int]:
    """Return numbers of bars to cut a window after, ascending; all where there are no more than `n_cuts`.

    A cut after t bars hides bar t. Each kind of event gets an equal share of the cuts, drawn at random where
    it happens more often; what is left over is spread at random over all bars.
    """
    n_bars = window._bars.n_bars
    if n_bars - 1 <= n_cuts:
        return list(range(1, n_bars))
    random = np.random.default_rng(seed)
    events = _events(window)
    share = max(1, n_cuts // (len(events) + 1))
    chosen: set[int] = set()
    for candidates in events.values():
        inside = np.unique(candidates[(candidates > 0) & (candidates < n_bars)])
        chosen.update(int(t) for t in random.permutation(inside)[:share])
    for t in random.permutation(np.arange(1, n_bars)):
        if len(chosen) >= n_cuts:
            break
        chosen.add(int(t))
    return sorted(chosen)


def _events(window: Window) -> Mapping[str, NDArray[np.intp]]:
    """Return the bars each kind of event hides behind; a cut there shows whoever has seen it."""
    bars, actions = window._bars, window._actions
    inputs = [bars.close, bars.volume, *window._asked_features().values()]
    gone, back = _any_turn([np.isnan(values) for values in inputs])
    month = bars.bar_end.astype("datetime64[M]")
    new_month = 1 + np.flatnonzero(month[1:] != month[:-1])
    has_action = (actions.split != 1.0) | (actions.dividend != 0.0) | ~np.isnan(actions.delisting)
    joined, left = _any_turn([window._universe])
    return {
        "first and last bars": np.array([1, 2, 3, bars.n_bars - 2, bars.n_bars - 1]),
        "runs of missing values": np.concatenate([gone, gone + 1]),
        "ends of such runs": back,
        "months": np.concatenate([new_month, new_month - 1]),
        "actions": np.flatnonzero(has_action.any(axis=1)),
        "membership": np.concatenate([joined, left]),
        "largest moves": np.concatenate([_largest_moves(values) for values in inputs]),
    }


def _any_turn(flags: list[NDArray[np.bool_]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the bars where any of the flags turns True, and where any turns False."""
    rows = np.concatenate(flags, axis=1)
    rises, falls = (rows[1:] & ~rows[:-1]).any(axis=1), (~rows[1:] & rows[:-1]).any(axis=1)
    return 1 + np.flatnonzero(rises), 1 + np.flatnonzero(falls)


def _largest_moves(values: NDArray[np.float64]) -> NDArray[np.intp]:
    with np.errstate(invalid="ignore", divide="ignore"):
        move = np.abs(values[1:] / values[:-1] - 1.0)
    biggest = np.where(np.isfinite(move), move, 0.0).max(axis=1, initial=0.0)
    return 1 + np.argsort(-biggest, kind="stable")[:_N_LARGEST]


def with_other_future(window: Window, t: int, random: np.random.Generator | None) -> Window:
    """Return the window with everything from bar t on replaced: by another path, or without `random` by
    nothing.

    The other path multiplies prices and volumes by random walks, shuffles and negates features, turns
    membership around and has no actions; nothing means missing bars and features, and no members.
    """
    bars, actions = window._bars, window._actions
    n_rest = bars.n_bars - t
    if random is None:
        price = volume = np.full((n_rest, bars.n_assets), np.nan)
        order = np.arange(n_rest)
        feature_factor = np.nan
    else:
        steps = random.normal(0.0, _STEP_DEVIATION, (2, n_rest, bars.n_assets))
        price, volume = np.exp(np.cumsum(steps, axis=1))
        order = random.permutation(n_rest)
        feature_factor = -1.5
    features = {}
    for name, values in window._asked_features().items():
        features[name] = np.concatenate([values[:t], feature_factor * values[t:][order]])
    rest = np.zeros_like(window._universe[t:]) if random is None else ~window._universe[t:]
    return Window(
        Bars(
            **{name: _replaced(getattr(bars, name), t, price) for name in ("open", "high", "low", "close")},
            volume=_replaced(bars.volume, t, volume),
            bar_end=bars.bar_end,
            symbols=bars.symbols,
        ),
        _without_later(actions, t),
        features=features,
        members=np.concatenate([window._universe[:t], rest]),
    )


def _replaced(values: NDArray[np.float64], t: int, factor: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([values[:t], values[t:] * factor])


def _without_later(actions: Actions, t: int) -> Actions:
    split, dividend, delisting = (np.array(getattr(actions, name)) for name in ("split", "dividend", "delisting"))
    split[t:], dividend[t:], delisting[t:] = 1.0, 0.0, np.nan
    return Actions(split, dividend, delisting)
