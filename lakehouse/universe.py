"""Universes: made from the bars themselves, where no vendor states membership, and asked for their members."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from engine.errors import nearest
from lakehouse.errors import BadName
from lakehouse.schemas import table_schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

EVERYTHING = "all"


def from_bars(bars: pa.Table) -> pa.Table:
    """Return the rows of core/universe: one universe a source, and `all`, each symbol a member from its first bar.

    Which symbols are there at all was decided by the source in hindsight, so these universes are survivorship
    biased. `known_at` is that of the first bar.

    Parameters
    ----------
    bars : symbol, session, source and known_at of core/daily_bars.
    """
    import pandas as pd
    import pyarrow as pa

    frame = bars.to_pandas()
    first = frame.sort_values(["symbol", "session"], kind="stable").drop_duplicates("symbol")
    rows = pd.concat(
        [first.assign(universe=first["source"]), first.assign(universe=EVERYTHING)], ignore_index=True
    ).rename(columns={"session": "start"})
    rows = rows.assign(end=None).sort_values(["universe", "symbol"], kind="stable", ignore_index=True)
    return pa.Table.from_pandas(rows, schema=table_schema("core/universe").schema, preserve_index=False)


def members(rows: pd.DataFrame, universe: str, day: dt.date) -> list[str]:
    """Return the symbols that are members of the universe on the day, sorted: start <= day < end.

    What comes later changes nothing: an end after the day counts like none.

    Parameters
    ----------
    rows : universe, symbol, start and end of core/universe; days as dates or datetime64, no end as null
    day : a day, session or not

    Raises
    ------
    BadName : no such universe; names the nearest.
    """
    import pandas as pd

    of_universe = rows[rows["universe"] == universe]
    if of_universe.empty:
        raise BadName(f"there is no universe {universe!r}{nearest(str(universe), rows['universe'].unique())}")
    start, end = (pd.to_datetime(of_universe[name]) for name in ("start", "end"))
    at = pd.Timestamp(day)
    is_member = (start <= at) & (end.isna() | (at < end))
    return sorted(of_universe.loc[is_member, "symbol"].unique())
