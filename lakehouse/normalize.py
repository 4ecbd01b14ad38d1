"""From parsed vendor answers to the rows of `core/daily_bars` and `core/corporate_actions`.

Nothing here looks at a clock: the same parts give the same tables, row for row.

Which row wins, where several tell of the same symbol:

1. between sources, the last listed one that has bars of the symbol wins the symbol whole, so that one history
   never mixes two vendors;
2. within a source, the snapshot known later wins the (symbol, session), and an action on an ex-date that a
   later snapshot covers stands only if that snapshot still has it. Only an answer that could have carried the
   action covers it: one of bars and actions the days of its own bars, one of actions alone the days it was
   asked for, where all of it is there. An answer of bars alone says nothing about actions;
3. a bar that breaks a rule wins nothing: the last good one the source gave for the session stays.

When a row is known: a bar at its session's close; an action at the open of its ex-date's session. Splits and
dividends are announced earlier, but no source here says when, and the open is when nobody can still be
unaware: a decision at the previous close does not see the action, the ex-date's own bar does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lakehouse.actions import per_share_held
from lakehouse.bar_rules import N_SAMPLE, broken_rules, check_share, first_reasons, quarantined, refuse, sample
from lakehouse.calendar import month_range, session_close, session_from, session_open
from lakehouse.errors import BadName, BadRows, SourceError
from lakehouse.schemas import TABLES
from lakehouse.sources.answered import asked_symbols, covered_days, covered_kinds
from lakehouse.sources.base import Parsed, check_symbol, empty_actions, empty_bars

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ORIGIN = ("source", "snapshot_id", "snapshot_known_at")
_Part = tuple[Mapping[str, Any], Parsed]


@dataclass(frozen=True)
class Normalized:
    """Rows in their tables' schemas, sorted by key, and what was left out on the way.

    bars : rows of core/daily_bars
    actions : rows of core/corporate_actions
    counts : rows left out or mended, by reason; the sources' own counts have their name in front
    quarantine : rows of core/quarantine: bars that break a rule; none where they are refused
    """

    bars: pa.Table
    actions: pa.Table
    counts: Mapping[str, int]
    quarantine: pa.Table


def normalize(
    parts: Iterable[tuple[Mapping[str, Any], Parsed]],
    *,
    exchange: str,
    months: Sequence[str],
    sources: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    off_calendar: Literal["refuse", "drop"] = "refuse",
    most_bad_rows: float | None = None,
) -> Normalized:
    """Return the bars and actions of the given months.

    Parameters
    ----------
    parts : manifest rows (of raw/snapshots), each with its parsed answer; source, snapshot_id and known_at are
        needed, dataset, request, symbol, first_session and last_session tell which actions an answer covers.
        Give all snapshots of the configured sources, whatever months are asked for, so that every month sees
        the same winner between two sources.
    exchange : the calendar the sessions belong to, e.g. XNYS
    months : like "2000-03"; rows of other months are left out
    sources : in rising precedence; by default in order of appearance
    symbols : keep only these; by default all
    off_calendar : bars on days that are no session are refused, or dropped and counted
    most_bad_rows : share of a month's bars of a source that may break a rule (`lakehouse.bar_rules`), those included
        that the source left out itself; they are set aside, more fail (`check_share`). None: none may, as of a file
        somebody imports, and what a source left out is no concern here

    Raises
    ------
    BadRows : unusable symbols, a key twice in one answer with different values, too many bars that break a rule;
        the text names the first offenders and `rows` holds up to ten.
    """
    import pandas as pd

    given = list(parts)
    counts: dict[str, int] = {}
    for row, parsed in given:
        for reason, n_rows in parsed.counts.items():
            name = f"{row['source']}: {reason}"
            counts[name] = counts.get(name, 0) + int(n_rows)
    order = list(sources) if sources is not None else list(dict.fromkeys(str(row["source"]) for row, _ in given))
    told = [(row, parsed.bars) for row, parsed in given]
    if most_bad_rows is not None:
        told += [(row, parsed.bad) for row, parsed in given if parsed.bad is not None]
    for row, _ in given:
        _check_known(row, order)
    bars = _with_origins(told, empty_bars())
    actions = _with_origins([(row, parsed.actions) for row, parsed in given], empty_actions())
    if symbols is not None:
        bars, actions = (frame[frame["symbol"].isin(list(symbols))] for frame in (bars, actions))
    _check_symbols(pd.concat([bars["symbol"], actions["symbol"]]).unique())
    bars, actions = _winning_source(bars, actions, order)
    covered = _coverage(given, bars, actions)
    bars, n_twice = _once_an_answer(bars)
    actions, n_withdrawn = _latest_actions(actions, covered)
    bars = _in_months(bars, "session", months)
    actions = _in_months(actions, "ex_date", months)
    bars, bad, n_off = _usable_bars(bars, exchange, off_calendar, most_bad_rows)
    reasons = bad.column("reason").to_pylist()
    counts |= {
        name: n_rows
        for name, n_rows in (
            ("bars twice in one answer", n_twice),
            ("actions withdrawn by a later snapshot", n_withdrawn),
            ("off the calendar", n_off),
            *((f"quarantined: {reason}", reasons.count(reason)) for reason in dict.fromkeys(reasons)),
        )
        if n_rows
    }
    return Normalized(
        bars=_bars_table(bars, exchange),
        actions=_actions_table(per_share_held(actions), exchange),
        counts=counts,
        quarantine=bad,
    )


def _check_known(row: Mapping[str, Any], order: Sequence[str]) -> None:
    if row["source"] not in order:
        raise SourceError(f"snapshot {row['snapshot_id']} is of source {row['source']!r}; known: {', '.join(order)}")


def _origin(row: Mapping[str, Any]) -> dict[str, Any]:
    import pandas as pd

    known_at = pd.Timestamp(row["known_at"])
    if known_at.tzinfo is None:
        known_at = known_at.tz_localize("UTC")  # the manifest's times are UTC
    return {
        "source": str(row["source"]),
        "snapshot_id": str(row["snapshot_id"]),
        "snapshot_known_at": known_at.tz_convert("UTC").as_unit("us"),
    }


def _with_origins(told: Sequence[tuple[Mapping[str, Any], pd.DataFrame]], empty: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all frames as one, each with its snapshot; a column is made once, not for each frame."""
    import pandas as pd

    full = [(_origin(row), frame) for row, frame in told if len(frame)]
    rows = pd.concat([frame for _, frame in full], ignore_index=True) if full else empty
    place = np.repeat(np.arange(len(full)), [len(frame) for _, frame in full])
    types = {"source": "str", "snapshot_id": "str", "snapshot_known_at": "datetime64[us, UTC]"}
    return rows.assign(
        **{name: pd.array([origin[name] for origin, _ in full], dtype=kind).take(place) for name, kind in types.items()}
    )


def _check_symbols(found: Iterable[Any]) -> None:
    rows = []
    for symbol in found:
        try:
            check_symbol(symbol)
        except BadName as error:
            rows.append({"symbol": symbol, "problem": str(error)})
    if rows:
        raise BadRows(
            f"{len(rows)} unusable symbols: {'; '.join(row['problem'] for row in rows[:3])}",
            rule="usable_symbols",
            rows=rows[:N_SAMPLE],
        )


def _winning_source(
    bars: pd.DataFrame, actions: pd.DataFrame, order: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep, for each symbol, the rows of the last source that has bars of it."""
    sources = bars["source"].unique()
    if len(sources) == 1:
        is_told = (actions["source"] == sources[0]) & actions["symbol"].isin(bars["symbol"].unique())
        return bars, actions[is_told.to_numpy(dtype=bool)]
    rank = bars["source"].map({name: place for place, name in enumerate(order)})
    winner = rank.groupby(bars["symbol"]).max()
    names = winner.map(dict(enumerate(order)))
    kept_bars = bars[rank.to_numpy() == bars["symbol"].map(winner).to_numpy()]
    kept_actions = actions[(actions["symbol"].map(names) == actions["source"]).to_numpy(dtype=bool)]
    return kept_bars, kept_actions


def _once_an_answer(bars: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the bars with one row a key of each answer, and how many equal ones went; refuse different ones."""
    # The same bytes may be read again in another way; known later, that reading counts.
    key = ["symbol", "session", "snapshot_id", "snapshot_known_at"]
    distinct = bars.drop_duplicates()
    twice = distinct.duplicated(key, keep=False)
    if twice.any():
        first = distinct[twice].sort_values(["symbol", "session"], kind="stable")
        raise BadRows(
            f"one answer holds {int(twice.sum())} rows with the same symbol and session, first {_place(first.iloc[0])}",
            rule="keys_unique",
            rows=sample(first),
        )
    return distinct, len(bars) - len(distinct)


def _usable_bars(
    bars: pd.DataFrame, exchange: str, off_calendar: str, most_bad_rows: float | None
) -> tuple[pd.DataFrame, pa.Table, int]:
    """Return one usable bar a key, the rows of core/quarantine, and how many bars were dropped off the calendar."""
    if off_calendar not in ("refuse", "drop"):
        raise ValueError(f"off_calendar is 'refuse' or 'drop', was {off_calendar!r}")
    broken = broken_rules(bars, exchange)
    n_off = 0
    if off_calendar == "drop":
        is_session = ~broken["sessions_on_calendar"]
        n_off = len(_latest(bars[~is_session]))
        bars = bars[is_session].reset_index(drop=True)
        broken = {rule: mask[is_session] for rule, mask in broken.items()}
    reasons = first_reasons(broken)
    last = _latest(bars)
    places = last.index.to_numpy()
    if most_bad_rows is None:
        refuse(last, {rule: mask[places] for rule, mask in broken.items()}, exchange)
    else:
        check_share(last, reasons[places], most_bad_rows)
    good = _latest(bars[reasons == None])  # noqa: E711 - elementwise
    return good.reset_index(drop=True), quarantined(last, reasons[places]), n_off


def _latest(bars: pd.DataFrame) -> pd.DataFrame:
    """Return, for each (symbol, session), the row of the snapshot known last."""
    ordered = bars.sort_values(["symbol", "session", "snapshot_known_at", "snapshot_id"], kind="stable")
    return ordered.drop_duplicates(["symbol", "session"], keep="last")


def _coverage(given: Sequence[_Part], bars: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """Return which actions each snapshot would have: by symbol and kind, with ex-dates in (first, last].

    `is_apart` marks answers of actions alone, of which several, known at one time, may tell one story.
    """
    import pandas as pd

    spans = bars.groupby(["symbol", *_ORIGIN], sort=True)["session"].agg(first="min", last="max").reset_index()
    told = [{**_origin(row), "kind": kind} for row, _ in given for kind in covered_kinds(row)]
    kinds = pd.DataFrame(told, columns=[*_ORIGIN, "kind"]).drop_duplicates()
    none = spans.iloc[:0].assign(kind=pd.Series(dtype="str"))
    spans = spans.merge(kinds, on=list(_ORIGIN)) if len(kinds) else none
    apart = [
        {**_origin(row), "symbol": symbol, "kind": kind, "first": first, "last": last}
        for row, parsed in given
        if (days := covered_days(row, len(parsed.actions))) is not None
        for first, last in [(pd.Timestamp(days[0]) - pd.Timedelta(days=1), pd.Timestamp(days[1]))]
        for symbol in (asked_symbols(row) or actions["symbol"].unique().tolist())
        for kind in covered_kinds(row)
    ]
    spans = spans.assign(is_apart=False)
    return pd.concat([spans, pd.DataFrame(apart).assign(is_apart=True)], ignore_index=True) if apart else spans


def _latest_actions(actions: pd.DataFrame, covered: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Keep the actions of the latest snapshot that covers their ex-date, and count what it withdrew."""
    key = ["symbol", "ex_date", "kind"]
    ordered = actions.sort_values([*key, "snapshot_known_at", "snapshot_id"], kind="stable")
    latest = ordered.drop_duplicates(key, keep="last").reset_index(drop=True)
    pairs = latest.reset_index(names="row").merge(covered, on=["symbol", "kind", "source"], suffixes=("", "_other"))
    newer = (pairs["snapshot_known_at_other"] > pairs["snapshot_known_at"]) | (
        (pairs["snapshot_known_at_other"] == pairs["snapshot_known_at"])
        & (pairs["snapshot_id_other"] > pairs["snapshot_id"])
        & ~pairs["is_apart"].astype(bool)
    )
    inside = (pairs["first"] < pairs["ex_date"]) & (pairs["ex_date"] <= pairs["last"])
    withdrawn = pairs.loc[newer & inside, "row"].unique()
    return latest.drop(index=withdrawn).reset_index(drop=True), len(withdrawn)


def _in_months(frame: pd.DataFrame, column: str, months: Sequence[str]) -> pd.DataFrame:
    for month in months:
        month_range(month)
    import pandas as pd

    # A text is made of each month, not of each row.
    found, code = np.unique(frame[column].to_numpy().astype("datetime64[M]"), return_inverse=True)
    names = np.datetime_as_string(found).tolist()
    wanted = np.isin(names, list(months))[code] if names else np.empty(0, dtype=np.bool_)
    keys = pd.Series(pd.array(names, dtype="str").take(code), index=frame.index)
    return frame.assign(month=keys)[wanted].reset_index(drop=True)


def _bars_table(bars: pd.DataFrame, exchange: str) -> pa.Table:
    days = bars["session"].to_numpy().astype("datetime64[D]")
    unique, where = np.unique(days, return_inverse=True)
    bar_end = session_close(exchange, unique.tolist()).tz_convert(None).to_numpy()[where]
    return _table("core/daily_bars", bars, session=days, bar_end=bar_end, known_at=bar_end)


def _actions_table(actions: pd.DataFrame, exchange: str) -> pa.Table:
    actions = actions.sort_values(["symbol", "ex_date", "kind"], kind="stable")
    days = actions["ex_date"].to_numpy().astype("datetime64[D]")
    opens = session_open(exchange, session_from(exchange, days.tolist())).tz_convert(None).to_numpy()
    if "pay_date" in actions:
        paid = actions["pay_date"].to_numpy().astype("datetime64[D]")
    else:
        paid = np.full(len(days), "NaT", dtype="datetime64[D]")
    return _table("core/corporate_actions", actions, ex_date=days, known_at=opens, pay_date=paid)


def _table(name: str, frame: pd.DataFrame, **columns: np.ndarray[Any, Any]) -> pa.Table:
    """Return the frame's columns, with those given in their stead, as a table in schema; times are UTC."""
    import pyarrow as pa

    schema = TABLES[name].schema
    given = {column: columns.get(column, frame.get(column)) for column in schema.names}
    return pa.Table.from_arrays(
        [pa.array(given[field.name], type=field.type, from_pandas=True) for field in schema], schema=schema
    )


def _place(row: Any) -> str:
    return f"{row['symbol']} at {row['session']:%Y-%m-%d}"
