"""Checks across sources: that each history is of one, and that those who tell of the same actions tell the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from lakehouse.actions import per_share_held
from lakehouse.adjusting.conflicts import conflicts
from lakehouse.checks import CheckOutcome
from lakehouse.sources.base import empty_actions, empty_bars
from lakehouse.winning import Part, coverage, latest_actions, with_origins

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_N_SAMPLE = 10


@dataclass(frozen=True)
class ToldActions:
    """What one source tells of corporate actions, by all its answers.

    actions : symbol, ex_date (datetime64), kind, value; dividends per share held
    covered : symbol, kind, first, last: an action with an ex-date in (first, last] would have been told of
    """

    actions: pd.DataFrame
    covered: pd.DataFrame


def told_actions(given: Sequence[Part]) -> ToldActions:
    """Return the actions that the answers of one source tell of, the later answer before the earlier."""
    bars = with_origins([(row, parsed.bars) for row, parsed in given], empty_bars())
    actions = with_origins([(row, parsed.actions) for row, parsed in given], empty_actions())
    covered = coverage(given, bars, actions)
    latest, _ = latest_actions(actions, covered)
    return ToldActions(per_share_held(latest), covered[["symbol", "kind", "first", "last"]])


def one_source_a_symbol(bars: pa.Table) -> CheckOutcome:
    """Every symbol's bars are of one source; offenders are the symbols with several, a row a source."""
    groups = bars.group_by(["symbol", "source"]).aggregate(
        [("session", "min"), ("session", "max"), ("session", "count")]
    )
    frame = groups.to_pandas().rename(
        columns={"session_min": "first", "session_max": "last", "session_count": "n_bars"}
    )
    mixed = frame[frame.duplicated("symbol", keep=False)].sort_values(["symbol", "first", "source"], kind="stable")
    n_symbols = mixed["symbol"].nunique()
    found = f"{n_symbols:,} symbols have several" if n_symbols else "no symbol has several"
    return CheckOutcome(
        name="one_source_a_symbol",
        passed=mixed.empty,
        blocking=False,
        n_failed=len(mixed),
        description=f"a symbol's bars are of one source: {found}",
        sample=mixed[["symbol", "source", "first", "last", "n_bars"]].head(_N_SAMPLE).to_dict("records"),
    )


def sources_agree(told: Mapping[str, ToldActions], bars: pa.Table) -> CheckOutcome:
    """Sources that tell of the same symbol and kind on the same days tell the same actions, up to rounding.

    Offenders are the splits and dividends in which two sources differ (`lakehouse.adjusting.conflicts`), with both.

    Parameters
    ----------
    told : by source; of those with fewer than two sources nothing can be compared
    bars : symbol, session, close as traded; days outside of a symbol's bars are not compared
    """
    import pandas as pd

    prices = bars.select(["symbol", "session", "close"]).to_pandas(date_as_object=False)
    parts = [
        conflicts(
            _where_told(told[one].actions, told[other].covered),
            _where_told(told[other].actions, told[one].covered),
            prices,
        ).assign(source_a=one, source_b=other)
        for one, other in combinations(sorted(told), 2)
    ]
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    found = f"{len(rows):,} differ" if len(rows) else "none differs"
    sample = [
        {str(name): value.date() if name == "ex_date" else value for name, value in row.items()}
        for row in rows.astype(object).where(rows.notna(), None).head(_N_SAMPLE).to_dict("records")
    ]
    return CheckOutcome(
        name="sources_agree",
        passed=rows.empty,
        blocking=False,
        n_failed=len(rows),
        description=f"splits and dividends that several sources tell of ({', '.join(sorted(told)) or 'none'}): {found}",
        sample=sample,
    )


def _where_told(actions: pd.DataFrame, covered: pd.DataFrame) -> pd.DataFrame:
    """Return the actions of which the other source would have told, too."""
    pairs = actions.reset_index(names="row").merge(covered, on=["symbol", "kind"])
    inside = (pairs["first"] < pairs["ex_date"]) & (pairs["ex_date"] <= pairs["last"])
    return actions.loc[sorted(set(pairs.loc[inside, "row"])), ["symbol", "ex_date", "kind", "value"]]
