"""Small pictures of what checks found: offending rows over time, and how the history looks where none offends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from assets.reports.charts import Events
    from lakehouse.checks import CheckOutcome

_PIXELS = 492  # of the time axis, in a picture of the usual width
_MOST_GROUPS = 3
_HIGHEST = 3.0  # a wrong price may be a million times the right one, and would flatten all others
# Checks whose history says something where nothing offends: other rows of a sound table look all alike.
_CALM = {"calendar_gaps": "bars a month, no session missing", "schema": "rows a month"}


def picture(outcome: CheckOutcome) -> str:
    """Return the SVG of a check's outcome, empty where there is nothing to show.

    Jumps are stems at their session beside the largest move of each month; symbols that fell silent are stems at
    their last session; other offenders are counted by month. Of checks that found nothing, gaps and schemas show the
    rows of each month.
    """
    from assets.reports.charts import Events

    if outcome.name == "unexplained_jumps" and outcome.history is not None:
        return _jumps(outcome)
    if outcome.name == "stale_symbols" and outcome.offenders is not None:
        return _silent(outcome.offenders)
    rows, history = outcome.offenders, outcome.history
    if rows is not None and len(rows):
        days = _days(rows)
        span = days if history is None else np.concatenate([days, history.month.astype(days.dtype)])
        return by_month(days, ["missing sessions" if outcome.name == "calendar_gaps" else "rows"] * len(days), span)
    if outcome.passed and outcome.name in _CALM and history is not None and history.month.size:
        name = _CALM[outcome.name]
        events = Events(_middle(history.month), history.value, name, width=_width(history.month.size))
        return _drawn(history.month, [events], name)
    return ""


def by_month(days: NDArray[np.datetime64], kinds: Sequence[str], span: NDArray[np.datetime64]) -> str:
    """Return the picture of how many rows of each kind are in each month, the most frequent kinds at the bottom.

    Parameters
    ----------
    days, kinds : of each row.
    span : days that the time axis must reach.
    """
    from assets.reports.charts import Events

    months = np.arange(span.min().astype("datetime64[M]"), span.max().astype("datetime64[M]") + 1)
    place = days.astype("datetime64[M]").astype(np.int64) - months[0].astype(np.int64)
    groups: list[Events] = []
    base = np.zeros(months.size)
    for number, (name, wanted) in enumerate(_kinds(kinds).items()):
        counts = np.bincount(place[wanted], minlength=months.size).astype(np.float64)
        shown = counts > 0.0
        # The first colour stands for what is as it should be.
        colour = (1, 2, 3, 0)[number]
        text = f"{name}: {int(counts.sum()):,}"
        width = _width(months.size)
        groups.append(Events(_middle(months[shown]), counts[shown], text, colour, base[shown], width))
        base += counts
    return _drawn(months, groups, "rows by month, " + ", ".join(group.name for group in groups))


def quarantined(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the picture of quarantined rows by month and reason, empty where there are none."""
    if not rows:
        return ""
    days = np.array([row["session"] for row in rows], dtype="datetime64[D]")
    return by_month(days, [str(row["reason"]) for row in rows], days)


def _jumps(outcome: CheckOutcome) -> str:
    from assets.reports.charts import Events

    history = outcome.history
    if history is None or not history.month.size:
        return ""
    width = _width(history.month.size)
    cut = f", cut at {_HIGHEST:.0%}" if (history.value > _HIGHEST).any() else ""
    name = f"largest move of a month, up or down{cut}"
    groups = [Events(_middle(history.month), np.minimum(history.value, _HIGHEST), name, 2, width=width)]
    rows = outcome.offenders
    if rows is not None and len(rows):
        move = np.minimum(np.abs(rows["move"].to_numpy(dtype=np.float64)), _HIGHEST)
        groups.append(Events(_days(rows), move, f"beyond {outcome.limit or 0.0:.0%}: {len(rows):,}", 1, width=1.5))
    return _drawn(history.month, groups, "largest move of each month", unit="rate", limit=outcome.limit)


def _silent(rows: pd.DataFrame) -> str:
    from assets.reports.charts import Events

    last = _days(rows)
    behind = rows["sessions_behind"].to_numpy(dtype=np.float64)
    # Five sessions a week; the axis reaches to about the newest one.
    end = last.max() + np.timedelta64(int(behind[last.argmax()] * 7 / 5), "D")
    named = ", ".join(rows["symbol"].head(_MOST_GROUPS)) + (", ..." if len(rows) > _MOST_GROUPS else "")
    events = Events(last, behind, f"sessions behind since the last one: {named}", 1)
    return _drawn(np.array([last.min() - np.timedelta64(7, "D"), end]), [events], "sessions behind, by last session")


def _drawn(months: NDArray[np.datetime64], groups: Sequence[Events], label: str, **more: Any) -> str:
    from assets.reports.charts import event_chart

    start, end = months[0].astype("datetime64[D]"), (months[-1] + 1).astype("datetime64[D]")
    return event_chart(start, end, groups, label=label, **more)


def _kinds(kinds: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return the rows of each of the most frequent kinds, and of all others as one."""
    found = np.asarray(kinds, dtype=object)
    common = [name for name, _ in Counter(kinds).most_common(_MOST_GROUPS)]
    masks = {name: np.asarray(found == name, dtype=np.bool_) for name in common}
    rest = ~np.isin(found.astype(str), common)
    return {**masks, "others": rest} if rest.any() else masks


def _days(rows: pd.DataFrame) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = rows["session"].to_numpy().astype("datetime64[D]")
    return days


def _middle(months: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    middle: NDArray[np.datetime64] = months.astype("datetime64[D]") + np.timedelta64(15, "D")
    return middle


def _width(n_months: int) -> float:
    """Return the width of a month's stem: most of its place, so that neighbours do not touch."""
    return float(np.clip(0.7 * _PIXELS / max(n_months, 1), 1.0, 14.0))
