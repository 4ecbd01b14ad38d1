"""What panels and windows refuse, each refusal with its reason and the way to go instead.

A decision function written against an array can reach any bar with an index; one written against named
operations cannot. So every door to the raw values is closed here, and misspelt or pandas names are answered
with ours.
"""

from __future__ import annotations

from typing import Any, NoReturn

from engine.errors import nearest
from strategies.errors import ClosedPanelError

_INSTEAD = {
    "shift": "lag(n) with n >= 0: a negative shift reads the future",
    "diff": "difference(n)",
    "pct_change": "change(n)",
    "ewm": "ema(n)",
    "expanding": "expanding_mean() and its sisters",
    "ffill": "carry()",
    "fillna": "fill(value) or carry()",
    "bfill": "carry(): filling backwards reads the future",
    "interpolate": "carry(): interpolation reads the next value",
    "resample": "month_start, week_start or year_start of the window with where(...)",
    "groupby": "rank(), zscore(), demean(): the operations across the assets of a bar",
    "quantile": "rank() across assets or rolling(n, function) over time: a whole sample holds the future",
    "values": "operations of the panel; raw values would show the future",
    "to_numpy": "operations of the panel; raw values would show the future",
    "to_array": "operations of the panel; raw values would show the future",
    "iloc": "lag(n); positions would show the future",
    "loc": "lag(n); positions would show the future",
    "apply": "rolling(n, function), which sees the last n bars only",
    "isna": "~panel.is_valid()",
    "notna": "is_valid()",
    "mask": "where(~condition)",
    "median": "rolling(n, function)",
    "var": "std(n) ** 2",
}


class Closed:
    """Refuses indexing, iteration, truth, conversion to numpy and unknown names."""

    __slots__ = ()
    __array_ufunc__ = None  # numpy hands operators over to the panel, which refuses arrays

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise ClosedPanelError(f"a {type(self).__name__.lower()} cannot be {what}: use {instead}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        own = [known for known in dir(type(self)) if not known.startswith("_")]
        hint = f"; use {_INSTEAD[name]}" if name in _INSTEAD and name not in own else nearest(name, own)
        raise ClosedPanelError(f"a {type(self).__name__.lower()} has no {name!r}{hint}")

    def __getitem__(self, key: object) -> NoReturn:
        self._refuse(
            "indexed, since a position could lie in the future",
            "lag(n) for the past, where(condition) to choose",
        )

    def __setitem__(self, key: object, value: object) -> NoReturn:
        self._refuse("changed", "where(condition, other), which makes a new one")

    def __iter__(self) -> NoReturn:
        self._refuse(
            "iterated over, since a loop would see every bar",
            "operations, which act on all bars and assets at once",
        )

    def __len__(self) -> NoReturn:
        self._refuse("measured, since its length tells how much future there is", "operations, which need no length")

    def __contains__(self, item: object) -> NoReturn:
        self._refuse("searched", "a comparison such as panel == value")

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        self._refuse(
            "turned into an array, since that would show the future",
            "its own operations, or rolling(n, function)",
        )

    def __bool__(self) -> NoReturn:
        self._refuse("true or false as a whole", "& | ~ instead of and, or, not, and where(condition) instead of if")

    def __float__(self) -> NoReturn:
        self._refuse("turned into one number", "operations, which act on all bars and assets at once")
