"""Bars that a source mended or left out without a broken rule: which of them are still what is known of a session.

A vendor's answers tell of a session again and again. What was mended in an answer is of concern while no later answer
of the winning source has a bar of the session; then that bar counts, and what is set aside of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lakehouse.sources.base import Parsed, empty_bars
from lakehouse.sources.quarantine import DAILY
from lakehouse.winning import latest_bars, with_origins

if TYPE_CHECKING:
    import pandas as pd


def daily_set_aside(
    given: Sequence[tuple[Mapping[str, Any], Parsed]], bars: pd.DataFrame, winners: Mapping[str, str]
) -> pd.DataFrame:
    """Return the daily bars set aside that count, with their `reason` and their origins.

    Parameters
    ----------
    given : manifest rows, each with its parsed answer
    bars : those of each symbol's winning source, of all its answers, with their origins; of the days wanted
    winners : the source that supplies a symbol
    """
    told = [(row, parsed.set_aside[DAILY]) for row, parsed in given if DAILY in parsed.set_aside]
    if not any(len(rows) for _, rows in told):
        return with_origins([], empty_bars()).assign(reason="")
    aside = with_origins(told, empty_bars())
    aside = aside[(aside["symbol"].map(dict(winners)) == aside["source"]).to_numpy(dtype=bool)]
    key = ["symbol", "session"]
    sessions = aside[key].drop_duplicates()
    of_them = bars[[*key, "snapshot_id", "snapshot_known_at"]].merge(sessions)
    latest = latest_bars(_origins_of(aside, of_them))
    counting = aside.merge(latest[[*key, "snapshot_id", "snapshot_known_at"]])
    return counting.drop_duplicates(ignore_index=True)


def _origins_of(*frames: pd.DataFrame) -> pd.DataFrame:
    """Return which answers tell of a session, those that set it aside included."""
    import pandas as pd

    return pd.concat([frame[["symbol", "session", "snapshot_id", "snapshot_known_at"]] for frame in frames])
