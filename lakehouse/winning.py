"""Which row wins, where several answers tell of the same symbol.

1. between sources, the last listed one that has bars of the symbol wins the symbol whole, so that one history
   never mixes two vendors. Its actions come from that source too, each kind that it can tell of; a kind it cannot
   tell of comes from the last listed source that can;
2. within a source, the snapshot known later wins the (symbol, session), and an action on an ex-date that a
   later snapshot covers stands only if that snapshot still has it. Only an answer that could have carried the
   action covers it: one of bars and actions the days of its own bars, one of actions alone the days it was
   asked for, where all of it is there. An answer of bars alone says nothing about actions;
3. a bar that breaks a rule wins nothing: the last good one the source gave for the session stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.sources.answered import asked_symbols, covered_days, covered_kinds
from lakehouse.sources.base import Parsed
from lakehouse.sources.catalogue import ACTIONS, action_kinds, filling, tells_of_bars

if TYPE_CHECKING:
    import pandas as pd

_ORIGIN = ("source", "snapshot_id", "snapshot_known_at")
Part = tuple[Mapping[str, Any], Parsed]
"""A manifest row (of raw/snapshots) and its parsed answer."""


def with_origins(told: Sequence[tuple[Mapping[str, Any], pd.DataFrame]], empty: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all frames as one, each with its snapshot; a column is made once, not for each frame."""
    import pandas as pd

    full = [(_origin(row), frame) for row, frame in told if len(frame)]
    rows = pd.concat([frame for _, frame in full], ignore_index=True) if full else empty
    place = np.repeat(np.arange(len(full)), [len(frame) for _, frame in full])
    types = {"source": "str", "snapshot_id": "str", "snapshot_known_at": "datetime64[us, UTC]"}
    return rows.assign(
        **{name: pd.array([origin[name] for origin, _ in full], dtype=kind).take(place) for name, kind in types.items()}
    )


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


def winning_source(bars: pd.DataFrame, order: Sequence[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Keep, for each symbol, the bars of the last source that has any; and return which source that is."""
    sources = bars["source"].unique()
    if len(sources) == 1:
        return bars, dict.fromkeys(bars["symbol"].unique().tolist(), str(sources[0]))
    rank = bars["source"].map({name: place for place, name in enumerate(order)})
    winner = rank.groupby(bars["symbol"]).max()
    kept = bars[rank.to_numpy() == bars["symbol"].map(winner).to_numpy()]
    return kept, {str(symbol): order[int(place)] for symbol, place in winner.items()}


def winning_actions(
    given: Sequence[Part],
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    winners: Mapping[str, str],
    order: Sequence[str],
    entries: Sequence[str] | None,
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Keep, for each symbol and kind, the actions of one source, and return what else is left out, by reason.

    That source is the winner of the symbol's bars where it can tell of the kind, else the last listed one that can.
    A source can that has a dataset of actions alone, or a dataset of bars and actions with bars of the symbol; a file
    can on the days of its own bars, of the kinds that it has columns for. Actions that a source with bars of the
    symbol lost together with these bars are not named.

    Parameters
    ----------
    bars : of all sources, before one of them won
    winners : source by symbol
    entries : the sources' datasets in force, as in the settings; None: those of the answers given
    """
    told_by = _kinds_told(given, entries)
    has_symbol = {name: set(part.unique()) for name, part in bars.groupby("source")["symbol"]}
    symbols, source = actions["symbol"], actions["source"].to_numpy()
    rank = {name: place for place, name in enumerate(order)}
    first = symbols.map(winners)
    is_listed = first.notna().to_numpy()

    def precedence(names: Any) -> NDArray[np.int64]:
        of_list = np.array([rank[name] for name in names], dtype=np.int64)
        return np.where(first.to_numpy() == names, len(order), of_list)

    own = precedence(source)
    is_beaten = np.zeros(len(actions), dtype=np.bool_)
    for name in set(order) & told_by.keys():
        if (source == name).all():
            continue
        alone, beside = told_by[name]
        is_known = symbols.isin(has_symbol.get(name, set())) & actions["kind"].isin(beside)
        tells = (is_known | actions["kind"].isin(alone)).to_numpy(dtype=bool)
        if name == "files":
            tells = _told_by_files(given, bars, actions)
        is_beaten |= tells & (precedence(np.full(len(actions), name, dtype=object)) > own)
    pairs = zip(symbols, source, strict=True)
    has_bars_too = np.array([symbol in has_symbol.get(name, ()) for symbol, name in pairs], dtype=np.bool_)
    left_out = {
        "actions of symbols without bars": actions[~is_listed],
        "actions of a source without bars": actions[is_listed & is_beaten & ~has_bars_too],
    }
    return actions[is_listed & ~is_beaten], left_out


def _kinds_told(
    given: Sequence[Part], entries: Sequence[str] | None
) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Return, by source, the kinds it tells of for every symbol, and those for symbols that it has bars of."""
    datasets: Iterable[tuple[str, str | None]]
    if entries is None:
        datasets = ((str(row["source"]), row.get("dataset")) for row, _ in given)
    else:
        datasets = ((entry.source, entry.dataset) for entry in filling(ACTIONS, entries))
    found: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
    for source, dataset in dict.fromkeys(datasets):
        alone, beside = found.get(source, (frozenset(), frozenset()))
        kinds = frozenset(action_kinds(source, dataset))
        found[source] = (alone, beside | kinds) if tells_of_bars(source, dataset) else (alone | kinds, beside)
    return found


def _told_by_files(given: Sequence[Part], bars: pd.DataFrame, actions: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which actions a file would have told of: those on the days of its bars, of a kind it has a column for."""
    import pandas as pd

    spans = _spans(bars[bars["source"] == "files"], _kinds_of([row for row, _ in given if row["source"] == "files"]))
    numbered = actions[["symbol", "kind", "ex_date"]].assign(row=np.arange(len(actions)))
    pairs = numbered.merge(spans, on=["symbol", "kind"])
    inside = (pairs["first"] <= pairs["ex_date"]) & (pairs["ex_date"] <= pairs["last"])
    told: NDArray[np.bool_] = pd.Series(numbered["row"]).isin(pairs.loc[inside, "row"]).to_numpy(dtype=bool)
    return told


def latest_bars(bars: pd.DataFrame) -> pd.DataFrame:
    """Return, for each (symbol, session), the row of the snapshot known last."""
    ordered = bars.sort_values(["symbol", "session", "snapshot_known_at", "snapshot_id"], kind="stable")
    return ordered.drop_duplicates(["symbol", "session"], keep="last")


def coverage(given: Sequence[Part], bars: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """Return which actions each snapshot would have: by symbol and kind, with ex-dates in (first, last].

    `is_apart` marks answers of actions alone, of which several, known at one time, may tell one story.
    """
    import pandas as pd

    spans = _spans(bars, _kinds_of([row for row, _ in given]))
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


def _kinds_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the kinds of actions that each of these answers could have carried."""
    import pandas as pd

    told = [{**_origin(row), "kind": kind} for row in rows for kind in covered_kinds(row)]
    return pd.DataFrame(told, columns=[*_ORIGIN, "kind"]).drop_duplicates()


def _spans(bars: pd.DataFrame, kinds: pd.DataFrame) -> pd.DataFrame:
    """Return the first and last session of each answer's bars of a symbol, for each kind it could have carried."""
    import pandas as pd

    spans = bars.groupby(["symbol", *_ORIGIN], sort=True)["session"].agg(first="min", last="max").reset_index()
    none = spans.iloc[:0].assign(kind=pd.Series(dtype="str"))
    return spans.merge(kinds, on=list(_ORIGIN)) if len(kinds) else none


def latest_actions(actions: pd.DataFrame, covered: pd.DataFrame) -> tuple[pd.DataFrame, int]:
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
