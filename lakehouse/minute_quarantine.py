"""Minute bars that break a rule, were mended or came without prices: kept as answered, and too many refused.

The rule is that of daily bars (`lakehouse.bar_rules`): of a month's minutes of a source at most the share
`most_bad_rows` may break a rule, and one in a small month.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.bar_rules import N_SAMPLE, allowed, and_one, breaks_rule, plain
from lakehouse.core_schemas import MINUTE_QUARANTINE
from lakehouse.errors import BadRows
from lakehouse.gather import gather
from lakehouse.price_rules import VALUES
from lakehouse.schemas import table_schema
from lakehouse.sources.base import Parsed
from lakehouse.sources.quarantine import MINUTES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_KEY = ["symbol", "bar_end"]
_Rank = tuple[int, Any, str]


class GatheredMinutes(NamedTuple):
    """Rows of core/minute_bars and of core/minute_quarantine, in their tables' schemas and sorted."""

    rows: pa.Table
    quarantine: pa.Table


def gather_minutes(
    parts: Iterable[tuple[Mapping[str, Any], Parsed]], *, sources: Sequence[str], month: str, most_bad_rows: float
) -> GatheredMinutes:
    """Return a month's minute bars, as `lakehouse.gather.gather` does, and what was set aside of them.

    Set aside stays what the answer that counts for a minute tells: where a later one, or one of a later listed source,
    has a bar of the minute, that bar counts.

    Raises
    ------
    BadRows : more bars of a source than `most_bad_rows` allows break a rule.
    Whatever `gather` raises.
    """
    ranks: dict[tuple[str, str], _Rank] = {}
    told: list[tuple[Mapping[str, Any], pd.DataFrame]] = []

    def passing() -> Iterator[tuple[Mapping[str, Any], Parsed]]:
        for row, parsed in parts:
            if row["source"] in sources:
                rank = (list(sources).index(row["source"]), row["known_at"], row["snapshot_id"])
                origin = (row["source"], row["snapshot_id"])
                ranks[origin] = max(rank, ranks.get(origin, rank))
                if MINUTES in parsed.set_aside and len(parsed.set_aside[MINUTES]):
                    told.append((row, parsed.set_aside[MINUTES]))
            yield row, parsed

    rows = gather(MINUTES, passing(), sources=sources, month=month)
    frames = [_of_month(frame, row, month) for row, frame in told]
    aside = _counting([frame for frame in frames if len(frame)], rows, ranks)
    quarantine = _as_quarantine(aside)
    _check_share(rows, quarantine, month, most_bad_rows)
    return GatheredMinutes(rows, quarantine)


def _of_month(frame: pd.DataFrame, row: Mapping[str, Any], month: str) -> pd.DataFrame:
    is_inside = frame["bar_end"].dt.strftime("%Y-%m") == month
    origin = {"source": row["source"], "snapshot_id": row["snapshot_id"], "known_at": row["known_at"], "month": month}
    return frame[is_inside].assign(**origin)


def _counting(frames: Sequence[pd.DataFrame], rows: pa.Table, ranks: Mapping[tuple[str, str], _Rank]) -> pd.DataFrame:
    """Return the rows set aside of minutes of which no answer that counts more tells."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if not frames:
        return pd.DataFrame()
    aside = pd.concat(frames, ignore_index=True)
    symbols = pa.array(aside["symbol"].unique().tolist(), pa.string())
    bars = rows.filter(pc.is_in(rows.column("symbol"), value_set=symbols)).select([*_KEY, "source", "snapshot_id"])
    good = {
        (symbol, end): ranks[source, snapshot]
        for symbol, end, source, snapshot in zip(
            *(bars.to_pandas()[name] for name in (*_KEY, "source", "snapshot_id")), strict=True
        )
    }
    best: dict[tuple[str, Any], _Rank] = {}
    own = [ranks[source, snapshot] for source, snapshot in zip(aside["source"], aside["snapshot_id"], strict=True)]
    keys = list(zip(aside["symbol"], aside["bar_end"], strict=True))
    for key, rank in zip(keys, own, strict=True):
        best[key] = max(rank, best.get(key, rank), good.get(key, rank))
    return aside[[best[key] == rank for key, rank in zip(keys, own, strict=True)]]


def _as_quarantine(aside: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    from lakehouse.rows import conform

    schema = table_schema(MINUTE_QUARANTINE)
    if aside.empty:
        return schema.schema.empty_table()
    aside = aside.sort_values("known_at", kind="stable").drop_duplicates(list(schema.key))
    rows = {name: aside[name].tolist() for name in schema.column_names if name != "values"}
    rows["values"] = [json.dumps(plain(row)) for row in aside[list(VALUES)].to_dict("records")]
    return conform(pa.table({field.name: pa.array(rows[field.name], field.type) for field in schema.schema}), schema)


def _check_share(rows: pa.Table, quarantine: pa.Table, month: str, most_bad_rows: float) -> None:
    """Raise BadRows where a source has more bad minutes in the month than it may."""
    bad = [row for row in quarantine.to_pylist() if breaks_rule(row["reason"])]
    if not bad:
        return
    n_good = {item["values"]: item["counts"] for item in rows.column("source").value_counts().to_pylist()}
    texts = []
    for source, n_bad in sorted(Counter(row["source"] for row in bad).items()):
        n_rows = n_bad + n_good.get(source, 0)
        if n_bad > allowed(n_rows, most_bad_rows):
            reasons = Counter(row["reason"] for row in bad if row["source"] == source)
            counts = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
            texts.append(f"{n_bad:,} of {n_rows:,} minutes of {source} ({counts})")
    if texts:
        first = bad[0]
        raise BadRows(
            f"too many bad minutes in {month}: {'; '.join(texts)}; first {first['symbol']} at "
            f"{first['bar_end']:%Y-%m-%d %H:%M} UTC: {first['values']}. At most {most_bad_rows:.4%} of a month's "
            f"minutes may be bad{and_one(most_bad_rows)}: the stored month stays as it was. Fetch it again (the raw "
            "asset of the source), take the symbol from another source, or, where these minutes may be left out, raise "
            "`most_bad_rows` in quantlake.yaml",
            rule="few_bad_rows",
            rows=bad[:N_SAMPLE],
        )
