"""Symbols whose bars have stopped without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.checks import CheckOutcome

if TYPE_CHECKING:
    import duckdb

MOST_BEHIND = 5
_N_SAMPLE = 10
# Sessions are those of the symbol's own source: another one may be days ahead.
_STALE = """
WITH days AS (SELECT DISTINCT source, session FROM core.daily_bars),
ends AS (SELECT symbol, source, max(session) AS last_session FROM core.daily_bars GROUP BY symbol, source),
behind AS (
    SELECT ends.symbol, ends.source, ends.last_session, count(days.session) AS sessions_behind
    FROM ends LEFT JOIN days ON days.source = ends.source AND days.session > ends.last_session
    GROUP BY ALL
)
SELECT symbol, source, last_session, sessions_behind
FROM behind
WHERE sessions_behind > $most
    AND symbol NOT IN (SELECT symbol FROM core.corporate_actions WHERE kind = 'delisting')
ORDER BY sessions_behind DESC, symbol
"""


def stale_symbols(connection: duckdb.DuckDBPyConnection, *, most: int = MOST_BEHIND) -> CheckOutcome:
    """Every symbol has a bar in the last `most` sessions of its source, or is known to be delisted.

    Offenders are the symbols, the longest silent first.

    Parameters
    ----------
    connection : of `Lake.connect`; reads core.daily_bars and core.corporate_actions
    """
    import pandas as pd

    rows = connection.sql(_STALE, params={"most": most}).to_arrow_table().to_pylist()
    text = f"a bar in the last {most} sessions of its source for each symbol that is not delisted"
    return CheckOutcome(
        "stale_symbols",
        not rows,
        False,
        len(rows),
        text if not rows else f"{text}: {len(rows)} have none",
        [{**row, "last_session": str(row["last_session"])} for row in rows[:_N_SAMPLE]],
        pd.DataFrame([{**row, "session": row["last_session"]} for row in rows]) if rows else None,
    )
