"""Checks of stored bars: pure functions of tables, each telling what it found and where.

A blocking check that fails means wrong numbers further on. The others mean: look at it, the market really
does such things (a stock is suspended for a week, or halves in a day).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lakehouse.actions import COMMON_SPLITS
from lakehouse.calendar import sessions

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_N_SAMPLE = 10
PRICES = ("open", "high", "low", "close")


class ByMonth(NamedTuple):
    """A value for each month: `month` datetime64[M][n_months], without holes; `value` float64[n_months]."""

    month: NDArray[np.datetime64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class CheckOutcome:
    """What one check found.

    name : the rule
    passed : nothing was found
    blocking : whether a failure must stop what reads the table
    n_failed : offending rows
    sample : the first ten of them, each a mapping from column to value
    description : the rule and the result in one sentence
    offenders : all of them, with the session of each, where they can be pictured
    history : what was looked at, month by month: rows, or the largest move
    limit : what the check allows of the largest move
    """

    name: str
    passed: bool
    blocking: bool
    n_failed: int
    description: str
    sample: list[dict[str, Any]] = field(default_factory=list)
    offenders: pd.DataFrame | None = field(default=None, repr=False, compare=False)
    history: ByMonth | None = field(default=None, repr=False, compare=False)
    limit: float | None = field(default=None, repr=False, compare=False)


def check_bars(bars: pa.Table, actions: pa.Table, *, exchange: str) -> list[CheckOutcome]:
    """Return the outcome of every check of core/daily_bars, in a fixed order."""
    counted = rows_by_month(bars.column("session").to_numpy())
    outcomes = [
        keys_unique(bars, ("symbol", "session")),
        positive_prices(bars),
        ohlc_order(bars),
        sessions_on_calendar(bars, exchange=exchange),
        calendar_gaps(bars, exchange=exchange),
        unexplained_jumps(bars, actions),
    ]
    return [outcome if outcome.history else replace(outcome, history=counted) for outcome in outcomes]


def rows_by_month(days: NDArray[np.datetime64]) -> ByMonth:
    """Return how many of the days are in each month."""
    months = days.astype("datetime64[M]").astype(np.int64)
    first = int(months.min()) if months.size else 0
    counts = np.bincount(months - first)
    return ByMonth((np.arange(counts.size) + first).astype("datetime64[M]"), counts.astype(np.float64))


def keys_unique(table: pa.Table, key: Sequence[str]) -> CheckOutcome:
    """Every key is there once; all rows of a key that is there more often are offenders."""
    frame = table.select(list(key)).to_pandas(date_as_object=False)
    twice = frame.duplicated(list(key), keep=False)
    rows = frame[twice].sort_values(list(key), kind="stable")
    return _outcome("keys_unique", rows, f"one row for each {', '.join(key)}", blocking=True)


def positive_prices(bars: pa.Table) -> CheckOutcome:
    """Prices are positive and finite, volume is finite and not negative."""
    frame = bars.select(["symbol", "session", *PRICES, "volume"]).to_pandas(date_as_object=False)
    prices = frame[list(PRICES)].to_numpy(dtype=np.float64, na_value=np.nan)
    volume = frame["volume"].to_numpy(dtype=np.float64, na_value=np.nan)
    good = (np.isfinite(prices) & (prices > 0.0)).all(axis=1) & np.isfinite(volume) & (volume >= 0.0)
    return _outcome("positive_prices", frame[~good], "prices above zero, volume zero or above", blocking=True)


def ohlc_order(bars: pa.Table) -> CheckOutcome:
    """Open and close lie in [low, high]; a missing price is no offence here (see positive_prices)."""
    frame = bars.select(["symbol", "session", *PRICES]).to_pandas(date_as_object=False)
    open_, high, low, close = (frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in PRICES)
    bad = (high < np.fmax(open_, close)) | (low > np.fmin(open_, close)) | (high < low)
    return _outcome("ohlc_order", frame[bad], "open and close within low and high", blocking=True)


def sessions_on_calendar(bars: pa.Table, *, exchange: str) -> CheckOutcome:
    """Every bar is on a day the exchange trades."""
    frame = bars.select(["symbol", "session"]).to_pandas(date_as_object=False)
    days = _days(frame["session"])
    return _outcome(
        "sessions_on_calendar",
        frame[~np.isin(days, _sessions_between(days, exchange))],
        f"bars on sessions of {exchange} only",
        blocking=True,
    )


def calendar_gaps(bars: pa.Table, *, exchange: str) -> CheckOutcome:
    """No session is missing between a symbol's own first and last bar; offenders are the missing sessions."""
    import pandas as pd

    frame = bars.select(["symbol", "session"]).to_pandas(date_as_object=False)
    days = _days(frame["session"])
    known = _sessions_between(days, exchange)
    frame = frame.assign(at=np.searchsorted(known, days))[np.isin(days, known)]
    frame = frame.drop_duplicates(["symbol", "at"]).sort_values(["symbol", "at"], kind="stable")
    previous = frame.groupby("symbol")["at"].shift()
    gap = (frame["at"] - previous).fillna(1).to_numpy(dtype=np.int64) - 1
    holes = frame[gap > 0].assign(n_missing=gap[gap > 0])
    spread = holes.loc[holes.index.repeat(holes["n_missing"])]
    place = spread["at"].to_numpy() - spread["n_missing"].to_numpy() + spread.groupby(level=0).cumcount().to_numpy()
    missing = pd.DataFrame({"symbol": spread["symbol"].to_numpy(), "session": known[place]})
    return _outcome(
        "calendar_gaps",
        missing,
        f"a bar on every session of {exchange} from a symbol's first to its last",
        blocking=False,
    )


def unexplained_jumps(
    bars: pa.Table, actions: pa.Table, *, threshold: float = 0.40, split_tolerance: float = 0.03
) -> CheckOutcome:
    """No close moves by more than `threshold` beyond what the day's split and dividend explain.

    The move is (close[t] * split + dividend) / close[t-1] - 1, dividend per share held at t-1. Offenders
    whose gap from the previous close to the open is within `split_tolerance` of a common split ratio say so
    (`like_split`) and come first: a split nobody announced, most likely. The others may be true: stocks do
    lose half in a day.
    """
    import pandas as pd

    from lakehouse.listing import MAX_GAP_DAYS

    frame = bars.select(["symbol", "session", "open", "close"]).to_pandas(date_as_object=False)
    frame = frame.assign(session=_days(frame["session"])).sort_values(["symbol", "session"], kind="stable")
    frame = frame.drop_duplicates(["symbol", "session"]).reset_index(drop=True)
    split, dividend = _events(
        frame, actions.select(["symbol", "ex_date", "kind", "value"]).to_pandas(date_as_object=False)
    )
    # After a longer silence the symbol is another security's, see `lakehouse.market_assets`: no move of a price.
    silent_days = frame.groupby("symbol")["session"].diff().dt.days
    previous = frame.groupby("symbol")["close"].shift().mask(silent_days > MAX_GAP_DAYS).to_numpy(dtype=np.float64)
    opened, closed = (
        (frame[name].to_numpy(dtype=np.float64) * split + dividend) / previous for name in ("open", "close")
    )
    move = closed - 1.0
    large = np.abs(move) > threshold
    rows = pd.DataFrame(
        {
            "symbol": frame.loc[large, "symbol"],
            "session": frame.loc[large, "session"].dt.date,
            "previous_close": previous[large],
            "close": frame.loc[large, "close"],
            "move": move[large],
            "like_split": pd.array(
                [_like_split(1.0 / value, threshold, split_tolerance) for value in opened[large]], dtype=object
            ),
        }
    )
    n_like = int(rows["like_split"].notna().sum())
    rows = rows.sort_values("like_split", key=lambda like: like.isna(), kind="stable")
    rule = f"no close moves by more than {threshold:.0%} without a corporate action"
    tail = f"; {n_like} look like a split nobody announced" if n_like else ""
    found = _outcome("unexplained_jumps", rows, rule, blocking=False, tail=tail)
    return replace(found, history=_largest_by_month(frame["session"].to_numpy(), np.abs(move)), limit=threshold)


def _largest_by_month(days: NDArray[np.datetime64], value: NDArray[np.float64]) -> ByMonth:
    """Return the largest finite value of each month, zero where there is none."""
    counted = rows_by_month(days)
    largest = np.zeros(counted.month.size)
    if largest.size:
        place = days.astype("datetime64[M]").astype(np.int64) - counted.month[0].astype(np.int64)
        # Rows of one symbol and month stand together: few values are left to be compared one by one.
        first = np.flatnonzero(np.diff(place, prepend=place[0] - 1))
        highest = np.maximum.reduceat(np.where(np.isfinite(value), value, 0.0), first)
        np.maximum.at(largest, place[first], highest)
    return ByMonth(counted.month, largest)


def _events(frame: pd.DataFrame, actions: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return split and dividend effective at each row: its symbol's first bar at or after the ex-date."""
    import pandas as pd

    split, dividend = np.ones(len(frame)), np.zeros(len(frame))
    bars = frame.reset_index(names="row")[["symbol", "session", "row"]].sort_values("session", kind="stable")
    moves = actions[actions["kind"].isin(["split", "dividend"])]
    moves = moves.assign(session=_days(moves["ex_date"])).sort_values("session", kind="stable")
    if not len(bars) or not len(moves):
        return split, dividend
    hit = pd.merge_asof(moves, bars, on="session", by="symbol", direction="forward").dropna(subset="row")
    row = hit["row"].to_numpy(dtype=np.int64)
    is_split = (hit["kind"] == "split").to_numpy()
    np.multiply.at(split, row[is_split], hit["value"].to_numpy()[is_split])
    np.add.at(dividend, row[~is_split], hit["value"].to_numpy()[~is_split])
    return split, dividend


def _like_split(ratio: float, threshold: float, tolerance: float) -> float | None:
    """Return the split near the ratio, of those that alone move a price by more than the threshold."""
    ratios = np.array([split for split in COMMON_SPLITS if abs(1.0 / split - 1.0) > threshold])
    away = np.abs(ratio / ratios - 1.0)
    best = int(np.argmin(away))
    return float(ratios[best]) if away[best] <= tolerance else None


def _days(column: pd.Series) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = column.to_numpy().astype("datetime64[D]").astype("datetime64[s]")
    return days


def _sessions_between(days: NDArray[np.datetime64], exchange: str) -> NDArray[np.datetime64]:
    if not len(days):
        return np.array([], dtype="datetime64[s]")
    first, last = (day.astype("datetime64[D]").item() for day in (days.min(), days.max()))
    return np.array(sessions(exchange, first, last + dt.timedelta(days=1)), dtype="datetime64[s]")


def _outcome(name: str, rows: pd.DataFrame, rule: str, *, blocking: bool, tail: str = "") -> CheckOutcome:
    n_failed = len(rows)
    found = f"{n_failed:,} rows break it" if n_failed else "no row breaks it"
    sample = [
        {str(key): value.date() if hasattr(value, "date") else value for key, value in row.items()}
        for row in rows.head(_N_SAMPLE).to_dict("records")
    ]
    offenders = rows if "session" in rows else None
    return CheckOutcome(name, n_failed == 0, blocking, n_failed, f"{rule}: {found}{tail}", sample, offenders)


def schema_holds(rows: pa.Table, table: str) -> CheckOutcome:
    """Stored rows have their table's columns and types, a unique key, and nulls in nullable columns only."""
    from lakehouse.schemas import table_schema

    declared = table_schema(table)
    stored = {field.name: str(field.type) for field in rows.schema}
    wrong = [
        {"column": field.name, "declared": str(field.type), "stored": stored.get(field.name, "no such column")}
        for field in declared.schema
        if stored.get(field.name) != str(field.type)
    ]
    for column in declared.columns:
        if not column.nullable and column.name in rows.column_names and rows.column(column.name).null_count:
            wrong.append({"column": column.name, "nulls": rows.column(column.name).null_count})
    twice = keys_unique(rows, declared.key)
    n_failed = len(wrong) + twice.n_failed
    return CheckOutcome(
        name="schema",
        passed=not n_failed,
        blocking=True,
        n_failed=n_failed,
        description=f"{table}: {len(wrong)} columns not as declared; {twice.description}",
        sample=wrong or twice.sample,
        offenders=twice.offenders,
        history=_rows_of_months(rows),
    )


def _rows_of_months(rows: pa.Table) -> ByMonth | None:
    """Return the rows of each month of a table in months, None for another one."""
    if "month" not in rows.column_names or not rows.num_rows:
        return None
    counts = rows.column("month").value_counts()
    months = counts.field("values").to_numpy(zero_copy_only=False).astype("datetime64[M]").astype(np.int64)
    value = np.zeros(int(months.max() - months.min()) + 1)
    value[months - months.min()] = counts.field("counts").to_numpy()
    return ByMonth((np.arange(value.size) + months.min()).astype("datetime64[M]"), value)
