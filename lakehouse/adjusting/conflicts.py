"""Where two sources do not tell the same of splits and dividends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

KEY = ["symbol", "ex_date", "kind"]
COLUMNS = (*KEY, "value_a", "value_b", "reason")


@dataclass(frozen=True)
class Rounding:
    """How far two figures of the same action may be apart.

    dividend : currency per share; vendors publish four decimals, or five, or cut them off
    split : relative; vendors write 1.499999 for three for two, and 7.000007 for seven for one
    worth : relative; of a split and a dividend that tell of the same payment
    """

    dividend: float = 1e-4
    split: float = 1e-5
    worth: float = 1e-3

    def same(self, kind: str, one: float, other: float) -> bool:
        """Return whether two values of a kind are the same up to rounding."""
        # a hair more than the limit, so that figures exactly that far apart in decimals are still the same
        limit = self.dividend * (1.0 + 1e-6) if kind == "dividend" else self.split * max(one, other)
        return abs(one - other) <= limit


def conflicts(
    a: pd.DataFrame,
    b: pd.DataFrame,
    bars: pd.DataFrame,
    *,
    max_shift: int = 3,
    rounding: Rounding | None = None,
) -> pd.DataFrame:
    """Return where the actions of two sources differ, a row each, sorted by symbol, ex-date and kind.

    Compared are ex-dates after a symbol's first bar and up to its last. The reasons, in the order they are
    looked for:

    - differs: both have it, with values further apart than rounding
    - shifted by n sessions: the same value, n sessions later (+) or earlier (-) in b; the row has a's ex-date
    - counted twice: one source has it a second time: the same value within `max_shift` sessions of one that
      both have, or, on one ex-date, a split and a dividend of the same worth (a spin-off told in both ways)
    - missing: the source without a value does not have it

    Parameters
    ----------
    a, b : symbol, ex_date (datetime64), kind, value; dividends per share held, as in core/corporate_actions
    bars : symbol, session (datetime64), close as traded; of the symbols that both sources cover
    max_shift : sessions; record dates lie one to three sessions from ex-dates, weekly dividends five apart

    Returns
    -------
    Frame of symbol, ex_date, kind, value_a, value_b (NaN where the source has none), reason.
    """
    import pandas as pd

    limits = Rounding() if rounding is None else rounding
    found: list[dict[str, Any]] = []
    histories = {str(symbol): part.sort_values("session") for symbol, part in bars.groupby("symbol")}
    inside_a, inside_b = (_inside(actions, histories) for actions in (a, b))
    for symbol in sorted({*inside_a["symbol"], *inside_b["symbol"]}):
        left, right = (part[part["symbol"] == symbol] for part in (inside_a, inside_b))
        found += _of_symbol(left, right, histories[symbol], max_shift, limits)
    rows = pd.DataFrame(found, columns=list(COLUMNS))
    rows["ex_date"] = rows["ex_date"].astype("datetime64[s]")
    return rows.astype({"value_a": "float64", "value_b": "float64"}).sort_values(KEY, kind="stable", ignore_index=True)


def _inside(actions: pd.DataFrame, histories: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the splits and dividends whose ex-date the symbol's bars can show."""
    first = actions["symbol"].map({symbol: part["session"].iloc[0] for symbol, part in histories.items()})
    last = actions["symbol"].map({symbol: part["session"].iloc[-1] for symbol, part in histories.items()})
    kinds = actions["kind"].isin(["split", "dividend"])
    return actions[kinds & (actions["ex_date"] > first) & (actions["ex_date"] <= last)]


def _of_symbol(
    a: pd.DataFrame, b: pd.DataFrame, bars: pd.DataFrame, max_shift: int, limits: Rounding
) -> list[dict[str, Any]]:
    both = a.merge(b, on=KEY, how="outer", suffixes=("_a", "_b")).sort_values(KEY, kind="stable", ignore_index=True)
    place = np.searchsorted(_days(bars["session"]), _days(both["ex_date"]))
    both = both.assign(place=place, close=bars["close"].to_numpy()[np.minimum(place, len(bars) - 1)])
    matched = both[both["value_a"].notna() & both["value_b"].notna()]
    only_a, only_b = both[both["value_b"].isna()], both[both["value_a"].isna()]
    rows = [
        _row(event, reason="differs")
        for event in matched.to_dict("records")
        if not limits.same(event["kind"], event["value_a"], event["value_b"])
    ]
    shifted, told = _shifted(only_a, only_b, max_shift, limits)
    rows += shifted
    agreed = [*matched.to_dict("records"), *told.values()]
    for event in both[both["value_a"].isna() | both["value_b"].isna()].to_dict("records"):
        if (event["kind"], event["place"], np.isnan(event["value_a"])) in told:
            continue
        twice = _is_second(event, agreed, max_shift, limits) or _is_other_kind(event, both, limits)
        rows.append(_row(event, reason="counted twice" if twice else "missing"))
    return rows


def _shifted(
    only_a: pd.DataFrame, only_b: pd.DataFrame, max_shift: int, limits: Rounding
) -> tuple[list[dict[str, Any]], dict[tuple[str, int, bool], dict[str, Any]]]:
    """Pair what one source has with the same on a near session of the other, nearest pairs first.

    Returns the rows, and what was paired by (kind, session number, whether it is b's).
    """
    pairs = [
        (abs(right["place"] - left["place"]), left["place"], right["place"], left, right)
        for left in only_a.to_dict("records")
        for right in only_b.to_dict("records")
        if left["kind"] == right["kind"]
        and 0 < abs(right["place"] - left["place"]) <= max_shift
        and limits.same(left["kind"], left["value_a"], right["value_b"])
    ]
    rows: list[dict[str, Any]] = []
    told: dict[tuple[str, int, bool], dict[str, Any]] = {}
    for _, at, other, left, right in sorted(pairs, key=lambda pair: pair[:3]):
        mine, theirs = (left["kind"], at, False), (right["kind"], other, True)
        if mine in told or theirs in told:
            continue
        together = {**left, "value_b": right["value_b"]}
        told |= {mine: together, theirs: {**together, "place": other}}
        shift = other - at
        rows.append(_row(together, reason=f"shifted by {shift:+d} session{'s' if abs(shift) > 1 else ''}"))
    return rows, told


def _is_second(event: dict[str, Any], agreed: list[dict[str, Any]], max_shift: int, limits: Rounding) -> bool:
    """Return whether the event repeats one that both sources have."""
    side = "value_b" if np.isnan(event["value_a"]) else "value_a"
    return any(
        other["kind"] == event["kind"]
        and abs(other["place"] - event["place"]) <= max_shift
        and limits.same(event["kind"], event[side], other[side])
        for other in agreed
    )


def _is_other_kind(event: dict[str, Any], both: pd.DataFrame, limits: Rounding) -> bool:
    """Return whether the same source has the payment on that day as the other kind, too.

    A split into r shares is worth r - 1 shares at the ex-date's close to each old one, a dividend its cash; and
    the cash of a dividend beside a split was multiplied by the ratio when it was made one per share held.
    """
    side = "value_b" if np.isnan(event["value_a"]) else "value_a"
    beside = both[(both["ex_date"] == event["ex_date"]) & (both["kind"] != event["kind"]) & both[side].notna()]
    for other in beside.to_dict("records"):
        ratio, cash = (event[side], other[side]) if event["kind"] == "split" else (other[side], event[side])
        if abs(1.0 + cash / ratio / event["close"] - ratio) <= limits.worth * ratio:
            return True
    return False


def _row(event: dict[str, Any], *, reason: str) -> dict[str, Any]:
    return {**{name: event[name] for name in COLUMNS[:-1]}, "reason": reason}


def _days(column: pd.Series) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = column.to_numpy().astype("datetime64[D]")
    return days
