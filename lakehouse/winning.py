"""Which row wins, where several answers tell of the same symbol.

1. between sources, the last listed one that has bars of the symbol wins the symbol whole, so that one history
   never mixes two vendors;
2. within a source, the snapshot known later wins the (symbol, session), and an action on an ex-date that a
   later snapshot covers stands only if that snapshot still has it. Only an answer that could have carried the
   action covers it: one of bars and actions the days of its own bars, one of actions alone the days it was
   asked for, where all of it is there. An answer of bars alone says nothing about actions;
3. a bar that breaks a rule wins nothing: the last good one the source gave for the session stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.sources.answered import asked_symbols, covered_days, covered_kinds
from lakehouse.sources.base import Parsed

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


def winning_source(
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


def latest_bars(bars: pd.DataFrame) -> pd.DataFrame:
    """Return, for each (symbol, session), the row of the snapshot known last."""
    ordered = bars.sort_values(["symbol", "session", "snapshot_known_at", "snapshot_id"], kind="stable")
    return ordered.drop_duplicates(["symbol", "session"], keep="last")


def coverage(given: Sequence[Part], bars: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
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
