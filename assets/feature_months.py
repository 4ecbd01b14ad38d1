"""Rows of features/daily, each month from its own warm-up: a month alone and within a range has the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from assets.feature_filings import Filings
    from engine import Actions, Bars
    from strategies.window import Window

FEATURES = "features/daily"
# The longest feature looks back on 252 bars: thirteen months and a few days to be sure of them.
WARM_UP_MONTHS = 14
KEYS = ["symbol", "session", "bar_end", "month"]


def months_before(month: str, n: int) -> str:
    """Return the month `n` months before one, both `YYYY-MM`."""
    number = int(month[:4]) * 12 + int(month[5:]) - 1 - n
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def features_table(
    bars: pa.Table, actions: pa.Table, months: Sequence[str], filings: Filings | None = None
) -> pa.Table:
    """Return the rows of features/daily for the months, one for each bar in them, all features computed."""
    import pyarrow as pa

    from assets.feature_filings import Filings
    from lakehouse.schemas import table_schema
    from strategies import features

    parts = compute_months(bars, actions, filings or Filings(), {month: list(features.FEATURES) for month in months})
    schema = table_schema(FEATURES).schema
    found = [part.select(schema.names).cast(schema) for part in parts.values()]
    return pa.concat_tables(found) if found else schema.empty_table()


def compute_months(
    bars: pa.Table, actions: pa.Table, filings: Filings, wanted: Mapping[str, Sequence[str]]
) -> dict[str, pa.Table]:
    """Return the named features of each month, a row for each bar in the order of the bars; no bars, no entry.

    Parameters
    ----------
    bars, actions : of the months and their warm-up; what lies before or after changes nothing
    wanted : names of features by month
    """
    import pyarrow.compute as pc

    from engine import Actions, Bars

    frame = bars.select(["symbol", "bar_end", "open", "high", "low", "close", "volume"]).to_pandas()
    if frame.empty:
        return {}
    panel = Bars.from_frame(frame)
    known = actions.filter(pc.is_in(actions.column("symbol"), value_set=bars.column("symbol").unique()))
    events = Actions.from_frame(panel, known.to_pandas())
    figures = filings.on_bars(panel, known)
    found = {}
    for month, names in sorted(wanted.items()):
        rows = bars.filter(pc.equal(bars.column("month"), month)).select(KEYS)
        if rows.num_rows:
            found[month] = _month(panel, events, figures, rows, month, names)
    return found


def _month(
    panel: Bars,
    events: Actions,
    figures: Mapping[str, np.ndarray],
    rows: pa.Table,
    month: str,
    names: Sequence[str],
) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    from lakehouse.calendar import month_range
    from strategies.features import compute

    first = np.datetime64(month_range(months_before(month, WARM_UP_MONTHS))[0])
    stamps = rows.column("bar_end").to_numpy().astype(panel.bar_end.dtype)
    start, stop = (int(panel.bar_end.searchsorted(at, side)) for at, side in ((first, "left"), (stamps.max(), "right")))
    symbols, window = _window(panel, events, figures, slice(start, stop))
    places = {symbol: place for place, symbol in enumerate(symbols)}
    at = panel.bar_end.searchsorted(stamps) - start
    columns = [places[symbol] for symbol in rows.column("symbol").to_pylist()]
    for name, values in compute(window, names).items():
        rows = rows.append_column(name, pa.array(values[at, columns], from_pandas=True))
    return rows


def _window(
    panel: Bars, events: Actions, figures: Mapping[str, np.ndarray], time: slice
) -> tuple[tuple[str, ...], Window]:
    """Return the symbols that have a bar in a slice of time, and the window of the slice with them.

    Others, which a longer range would bring along, would change the last bits of what is added up across assets.
    """
    import numpy as np

    from engine import Actions, Bars
    from strategies.window import Window

    bars, actions = panel[time], events[time]
    there = np.flatnonzero(~np.isnan(bars.close).all(axis=0))
    features = {name: values[time][:, there] for name, values in figures.items()}
    symbols = tuple(bars.symbols[place] for place in there)
    if len(there) < bars.n_assets:
        prices = {name: getattr(bars, name)[:, there] for name in ("open", "high", "low", "close", "volume")}
        bars = Bars(**prices, bar_end=bars.bar_end, symbols=symbols)
        actions = Actions(*(getattr(actions, name)[:, there] for name in ("split", "dividend", "delisting")))
    return symbols, Window(bars, actions, features=features)
