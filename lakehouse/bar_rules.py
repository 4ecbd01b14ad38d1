"""The rules every daily bar keeps, and what is done with bars that break one.

An import refuses them all. A vendor's bars that break a rule are set aside in `core/quarantine`, and their month
fails where they are too many: see `check_share`. Beside them stand the bars that a source mended, and those that came
without prices, as answered: they break no rule and count for nothing there.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.calendar import session_close, sessions
from lakehouse.core_schemas import QUARANTINE
from lakehouse.errors import BadRows
from lakehouse.price_rules import VALUES, price_rules
from lakehouse.schemas import table_schema
from lakehouse.sources.quarantine import MENDED, NO_PRICES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

N_SAMPLE = 10
CLOCKS_APART = np.timedelta64(5, "m")
"""How far a vendor's clock may be ahead of ours before a bar counts as one of the future."""

ALWAYS_ALLOWED = 1
"""Bad bars a month of a source may have whatever their share: see `check_share`."""

_Mask = NDArray[np.bool_]


def broken_rules(bars: pd.DataFrame, exchange: str) -> dict[str, _Mask]:
    """Return, for each rule, which bars break it; a bar may break several. Those of `price_rules`, and

    in_the_future : the session closes later than the answer was known
    sessions_on_calendar : the exchange does not trade on the day

    Parameters
    ----------
    bars : symbol, session (datetime64), open, high, low, close, volume, snapshot_known_at
    """
    on_calendar, in_the_future = _times(bars, exchange)
    return {**price_rules(bars), "in_the_future": in_the_future, "sessions_on_calendar": ~on_calendar}


def _times(bars: pd.DataFrame, exchange: str) -> tuple[_Mask, _Mask]:
    """Return which bars are of a session, and which of those had not ended when the answer came."""
    days = bars["session"].to_numpy().astype("datetime64[D]")
    if not len(days):
        return np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.bool_)
    first, last = days.min().item(), days.max().item()
    known = sessions(exchange, first, last + dt.timedelta(days=1))
    places = np.searchsorted(np.array(known, dtype="datetime64[D]"), days)
    is_session = np.isin(days, np.array(known, dtype="datetime64[D]"))
    late = np.zeros(len(days), dtype=np.bool_)
    if is_session.any():
        closes = session_close(exchange, known).tz_convert(None).to_numpy()
        answered = bars["snapshot_known_at"].dt.tz_convert(None).to_numpy()
        late[is_session] = closes[places[is_session]] > answered[is_session] + CLOCKS_APART
    return is_session, late


def refuse(bars: pd.DataFrame, broken: Mapping[str, _Mask], exchange: str) -> None:
    """Raise BadRows for the first rule that some of the bars break, naming the first of them."""
    if broken["sessions_on_calendar"].any():
        rows = bars[broken["sessions_on_calendar"]]
        named = ", ".join(f"{row.symbol} at {row.session:%Y-%m-%d}" for row in rows.head(5).itertuples())
        raise BadRows(
            f"{len(rows)} bars are on days {exchange} does not trade: {named}; name the right exchange, "
            "or drop them with off_calendar='drop'",
            rule="sessions_on_calendar",
            rows=sample(rows),
        )
    for rule, mask in broken.items():
        # Missing and infinite numbers are named by the rule of their column.
        if rule != "non_finite" and mask.any():
            rows = bars[mask]
            raise BadRows(f"{len(rows)} bars break {rule}, first {shown(rows.iloc[0])}", rule=rule, rows=sample(rows))


def first_reasons(broken: Mapping[str, _Mask]) -> NDArray[np.object_]:
    """Return the first rule that each bar breaks, in the order of `broken_rules`; None for a good bar."""
    reasons = np.full(len(broken["non_finite"]), None, dtype=object)
    for rule, mask in reversed(list(broken.items())):
        reasons[mask] = rule
    return reasons


def check_share(bars: pd.DataFrame, reasons: NDArray[np.object_], most_bad_rows: float) -> None:
    """Raise BadRows where a month of a source has more bad bars than it may.

    It may have the share `most_bad_rows` of its bars, and always one (none where `most_bad_rows` is 0). Without that
    one, a month of fewer than a thousand bars could have none at all, so that a handful of symbols would lose whole
    months to a single misprint a decade; the one is set aside, shown by a check, and its symbol's missing session by
    another. Two in such a month are no misprint but a pattern, which somebody must look at before the rest of that
    month counts.

    Parameters
    ----------
    bars : symbol, session, month, source and the values, good and bad ones
    reasons : object[n_bars], the rule each breaks or None
    """
    is_bad = reasons != None  # noqa: E711 - elementwise
    if not is_bad.any():
        return
    groups = bars.assign(is_bad=is_bad, reason=reasons).groupby(["source", "month"], sort=True)
    texts, offenders = [], []
    for (source, month), rows in groups:
        bad = rows[rows["is_bad"]]
        if len(bad) > allowed(len(rows), most_bad_rows):
            counts = ", ".join(f"{reason} {count:,}" for reason, count in bad["reason"].value_counts().items())
            texts.append(f"{month}: {len(bad):,} of {len(rows):,} bars of {source} ({counts})")
            offenders.append(bad)
    if texts:
        first = offenders[0].iloc[0]
        more = f" and {len(texts) - 5} further months" if len(texts) > 5 else ""
        raise BadRows(
            f"too many bad bars in {'; '.join(texts[:5])}{more}; first {shown(first)}. At most {most_bad_rows:.4%} of "
            f"a month's bars may be bad{and_one(most_bad_rows)}: every stored month stays as it was. Fetch those "
            "months again (the raw asset of the source), take the symbol from another source, or, where these bars "
            "may be left out, raise `most_bad_rows` in quantlake.yaml",
            rule="few_bad_rows",
            rows=[row for rows in offenders for row in sample(rows)][:N_SAMPLE],
        )


def allowed(n_rows: int, most_bad_rows: float) -> int:
    """Return how many of a source's bars of a month may be bad."""
    return max(ALWAYS_ALLOWED, math.floor(most_bad_rows * n_rows)) if most_bad_rows > 0.0 else 0


def and_one(most_bad_rows: float) -> str:
    """Return what an error says of the one bad bar that a small month may have."""
    return f", and {ALWAYS_ALLOWED} in a small one" if most_bad_rows > 0.0 else ""


def breaks_rule(reason: str) -> bool:
    """Return whether a reason of core/quarantine is a rule that the bar breaks; else it was mended or has no prices."""
    return reason != NO_PRICES and not reason.startswith(MENDED)


def quarantined(bars: pd.DataFrame, reasons: NDArray[np.object_], aside: pd.DataFrame) -> pa.Table:
    """Return the bad bars, and those set aside for another reason, as rows of core/quarantine, sorted.

    Parameters
    ----------
    aside : as `bars`, with their `reason`
    """
    import pandas as pd
    import pyarrow as pa

    from lakehouse.rows import conform

    schema = table_schema(QUARANTINE)
    bad = bars.assign(reason=reasons)[reasons != None]  # noqa: E711 - elementwise
    if len(aside):
        bad = pd.concat([bad, aside[bad.columns]], ignore_index=True)
    # The same bytes asked for twice are one snapshot, known from its first answer on.
    bad = bad.sort_values("snapshot_known_at", kind="stable").drop_duplicates(list(schema.key))
    rows = {
        **{name: bad[name].tolist() for name in ("source", "snapshot_id", "symbol", "reason", "month")},
        "session": bad["session"].dt.date.tolist(),
        "known_at": bad["snapshot_known_at"].tolist(),
        "values": [json.dumps(plain(row)) for row in bad[list(VALUES)].to_dict("records")],
    }
    return conform(pa.table({field.name: pa.array(rows[field.name], field.type) for field in schema.schema}), schema)


def shown(row: Any) -> str:
    """Return a bar in words: symbol, session and values."""
    values = ", ".join(f"{name} {row[name]:.10g}" for name in VALUES)
    return f"{row['symbol']} at {row['session']:%Y-%m-%d}: {values}"


def sample(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first rows as errors show them: without their origin, sessions as text."""
    hidden = ["snapshot_id", "snapshot_known_at", "is_bad", *([] if "is_bad" in rows else ["source"])]
    first = rows.head(N_SAMPLE).drop(columns=hidden, errors="ignore")
    first = first.assign(session=first["session"].dt.strftime("%Y-%m-%d"))
    return [{str(name): value for name, value in row.items()} for row in first.to_dict("records")]


def plain(values: Mapping[str, float]) -> dict[str, float | str]:
    """Return numbers as JSON holds them: those it has no word for as text."""
    return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
