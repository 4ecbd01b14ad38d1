"""Universes made from the bars themselves, where no vendor states membership."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.schemas import table_schema

if TYPE_CHECKING:
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
