"""From parsed vendor answers to the rows of `core/daily_bars` and `core/corporate_actions`.

Nothing here looks at a clock: the same parts give the same tables, row for row.

Which row wins, where several tell of the same symbol, `lakehouse.winning` says.

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
from lakehouse.set_aside import daily_set_aside
from lakehouse.sources.base import Parsed, check_symbol, empty_actions, empty_bars
from lakehouse.winning import coverage, latest_actions, latest_bars, winning_actions, winning_source, with_origins

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Normalized:
    """Rows in their tables' schemas, sorted by key, and what was left out on the way.

    bars : rows of core/daily_bars
    actions : rows of core/corporate_actions
    counts : rows left out or mended, by reason; the sources' own counts have their name in front
    quarantine : rows of core/quarantine: bars that break a rule, were mended, or came without prices; none where bars
        that break a rule are refused
    winners : the source that supplies a symbol, of all symbols told of, in whatever months
    """

    bars: pa.Table
    actions: pa.Table
    counts: Mapping[str, int]
    quarantine: pa.Table
    winners: Mapping[str, str]


def normalize(
    parts: Iterable[tuple[Mapping[str, Any], Parsed]],
    *,
    exchange: str,
    months: Sequence[str],
    sources: Sequence[str] | None = None,
    entries: Sequence[str] | None = None,
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
    entries : the sources with their datasets as in the settings, such as "polygon/splits": what could tell of an
        action; by default those of the parts
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
    bars = with_origins(told, empty_bars())
    actions = with_origins([(row, parsed.actions) for row, parsed in given], empty_actions())
    if symbols is not None:
        bars, actions = (frame[frame["symbol"].isin(list(symbols))] for frame in (bars, actions))
    _check_symbols(pd.concat([bars["symbol"], actions["symbol"]]).unique())
    won, winners = winning_source(bars, order)
    actions, left_out = winning_actions(given, bars, actions, winners, order, entries)
    covered = coverage(given, bars, actions)
    bars, n_twice = _once_an_answer(won)
    actions, n_withdrawn = latest_actions(actions, covered)
    bars = _in_months(bars, "session", months)
    aside = daily_set_aside(given if most_bad_rows is not None else [], bars, winners)
    aside = _in_months(aside, "session", months)
    actions = _in_months(actions, "ex_date", months)
    bars, bad, n_off = _usable_bars(bars, aside, exchange, off_calendar, most_bad_rows)
    reasons = bad.column("reason").to_pylist()
    counts |= {
        name: n_rows
        for name, n_rows in (
            ("bars twice in one answer", n_twice),
            ("actions withdrawn by a later snapshot", n_withdrawn),
            *((reason, len(_in_months(frame, "ex_date", months))) for reason, frame in left_out.items()),
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
        winners=winners,
    )


def _check_known(row: Mapping[str, Any], order: Sequence[str]) -> None:
    if row["source"] not in order:
        raise SourceError(f"snapshot {row['snapshot_id']} is of source {row['source']!r}; known: {', '.join(order)}")


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
    bars: pd.DataFrame, aside: pd.DataFrame, exchange: str, off_calendar: str, most_bad_rows: float | None
) -> tuple[pd.DataFrame, pa.Table, int]:
    """Return one usable bar a key, the rows of core/quarantine, and how many bars were dropped off the calendar."""
    if off_calendar not in ("refuse", "drop"):
        raise ValueError(f"off_calendar is 'refuse' or 'drop', was {off_calendar!r}")
    broken = broken_rules(bars, exchange)
    n_off = 0
    if off_calendar == "drop":
        is_session = ~broken["sessions_on_calendar"]
        n_off = len(latest_bars(bars[~is_session]))
        bars = bars[is_session].reset_index(drop=True)
        broken = {rule: mask[is_session] for rule, mask in broken.items()}
    reasons = first_reasons(broken)
    last = latest_bars(bars)
    places = last.index.to_numpy()
    if most_bad_rows is None:
        refuse(last, {rule: mask[places] for rule, mask in broken.items()}, exchange)
    else:
        check_share(last, reasons[places], most_bad_rows)
    good = latest_bars(bars[reasons == None])  # noqa: E711 - elementwise
    return good.reset_index(drop=True), quarantined(last, reasons[places], aside), n_off


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
