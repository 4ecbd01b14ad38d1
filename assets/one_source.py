"""One source a symbol: the other months that a write takes along, so that no stored history mixes two vendors.

The last listed source that has bars of a symbol supplies it whole (`lakehouse.winning`). Where another one supplied
it so far, because the sources in force changed or one of them has only now told of the symbol, the months asked for
cannot be written alone: the symbol's stored rows of other months are then of another vendor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.making import make_daily
from engine.errors import QuantlakeError
from lakehouse.sources.catalogue import ACTIONS, BARS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from assets.making import MadeDaily
    from assets.resources import VendorsResource
    from lakehouse.lake import Lake

MOST_ROWS = 20_000_000
"""The most bars that one write makes where it takes months along that nobody asked for."""
_N_NAMED = 5


class MixedSources(QuantlakeError):
    """Writing would leave a symbol's history with two sources; nothing was written. `rows` holds the symbols."""

    def __init__(self, text: str, rows: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(text)
        self.rows = list(rows)


@dataclass(frozen=True)
class Whole:
    """What is to be written: the daily tables of the months asked for and of those taken along.

    months : all of them, sorted
    along : those of them that nobody asked for
    changed : a row for each symbol that changes its source there: symbol, was, is_now, first and last month, months
    """

    made: MadeDaily
    months: Sequence[str]
    along: Sequence[str] = ()
    changed: Sequence[Mapping[str, Any]] = field(default_factory=list)


def make_whole_histories(lake: Lake, vendors: VendorsResource, months: Sequence[str]) -> Whole:
    """Return the daily tables of the months, and of every other month whose stored rows have another source than these.

    The months taken along are made whole, all symbols of them from all their answers.

    Raises
    ------
    MixedSources : the source that supplies a symbol now told of no bar in a month that is stored from another one, or
        there are more than `MOST_ROWS` bars to take along; the text says what to do.
    Whatever `make_daily` raises.
    """
    import pandas as pd

    chosen = set(months)
    found = []
    while True:
        made = make_daily(lake, vendors, sorted(chosen))
        other = _stored_elsewhere(lake, made.tables[BARS], sorted(chosen))
        if other.empty:
            break
        found.append(other)
        n_made = len(chosen)
        chosen |= set(other["month"])
        _check_size(made.tables[BARS].num_rows / n_made * len(chosen), len(chosen) - len(months), other)
    if not found:
        return Whole(made, sorted(chosen))
    changed = pd.concat(found, ignore_index=True).drop_duplicates()
    _check_nothing_lost(made.tables[BARS], changed)
    along = sorted(chosen - set(months))
    return Whole(made, sorted(chosen), along, _by_symbol(changed))


def spans(months: Sequence[str]) -> str:
    """Return sorted months in words, those without a gap between them as a range."""
    runs: list[list[str]] = []
    for month in months:
        if runs and _number(month) == _number(runs[-1][-1]) + 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])


def _stored_elsewhere(lake: Lake, bars: pa.Table, months: Sequence[str]) -> pd.DataFrame:
    """Return symbol, month, was and is_now of stored rows, in other months, of another source than the bars'."""
    import pandas as pd

    winners = bars.select(["symbol", "source"]).group_by(["symbol", "source"]).aggregate([]).to_pandas()
    parts = []
    for name, symbols in winners.groupby("source")["symbol"]:
        # Files whose every row is of this source are not read.
        where = [("source", "!=", name), ("symbol", "in", symbols.tolist())]
        stored = lake.scan(BARS, columns=["symbol", "month", "source"], where=where, is_ordered=False)
        distinct = stored.group_by(["symbol", "month", "source"]).aggregate([]).to_pandas()
        parts.append(distinct.rename(columns={"source": "was"}).assign(is_now=name))
    if not parts:
        return pd.DataFrame(columns=["symbol", "month", "was", "is_now"])
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[~rows["month"].isin(list(months))]
    return rows.sort_values(["symbol", "month", "was"], kind="stable", ignore_index=True)


def _check_nothing_lost(bars: pa.Table, changed: pd.DataFrame) -> None:
    """Refuse to give up stored months that the source which supplies the symbol now told nothing of."""
    told = bars.select(["symbol", "month"]).group_by(["symbol", "month"]).aggregate([]).to_pandas()
    pairs = changed.merge(told.assign(is_told=True), on=["symbol", "month"], how="left")
    lost = pairs[pairs["is_told"].isna()].drop(columns="is_told")
    if lost.empty:
        return
    span = f"{lost['month'].min()} to {lost['month'].max()}"
    was, is_now = (", ".join(sorted(set(lost[column]))) for column in ("was", "is_now"))
    raise MixedSources(
        f"{_names(lost)}: supplied by {is_now} now, which told of no bar in months from {span} that the lake holds from"
        f" {was}; a history is of one source. Fetch them: materialize the raw assets of {is_now} over {span}, then this"
        f" again. Or give them up: {_rebuild(lost)}. Or list {was} after {is_now} in `sources`",
        _by_symbol(lost),
    )


def _check_size(n_rows: float, n_along: int, other: pd.DataFrame) -> None:
    """Refuse what memory would not hold: bars of all months, by an average one of those made already."""
    if n_rows > MOST_ROWS:
        raise MixedSources(
            f"{_names(other)}: supplied by another source now, and {n_along} other months hold bars"
            f" of the former one: too many to write in one run. Year by year: {_rebuild(other)}",
            _by_symbol(other),
        )


def _by_symbol(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    groups = pairs.groupby(["symbol", "was", "is_now"], sort=True)["month"]
    table = groups.agg(first="min", last="max", months="nunique").reset_index()
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _names(pairs: pd.DataFrame) -> str:
    symbols = sorted(set(pairs["symbol"]))
    more = f" and {len(symbols) - _N_NAMED} more" if len(symbols) > _N_NAMED else ""
    return ", ".join(symbols[:_N_NAMED]) + more


def _rebuild(pairs: pd.DataFrame) -> str:
    where = f"--where month={pairs['month'].min()}..{pairs['month'].max()}"
    return f"`quantlake rebuild {BARS} {where}`, and the same of {ACTIONS}"
