"""Rows of features/daily, each month from its own warm-up: a month alone and within a range has the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from assets.feature_filings import Filings
    from engine import Actions, Bars
    from lakehouse.market_assets import MarketAssets
    from strategies.window import Window

FEATURES = "features/daily"
# The longest feature looks back on 252 bars: thirteen months and a few days to be sure of them.
WARM_UP_MONTHS = 14
KEYS = ["symbol", "session", "bar_end", "month"]


class Market(NamedTuple):
    """Bars, actions and filed figures with a column a security, and day: int64[n_bars], the sessions since 1970."""

    bars: Bars
    actions: Actions
    figures: Mapping[str, np.ndarray]
    assets: MarketAssets
    day: np.ndarray


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
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from engine import Actions, Bars
    from lakehouse.columns import days
    from lakehouse.market_assets import by_security, delistings_in

    frame = bars.select(["symbol", "bar_end", "open", "high", "low", "close", "volume"]).to_pandas()
    if frame.empty:
        return {}
    by_symbol = Bars.from_frame(frame)
    securities, symbols = filings.securities, bars.column("symbol").unique().to_pylist()
    if securities is not None:
        symbols = securities.related(symbols)
    known = actions.filter(pc.is_in(actions.column("symbol"), value_set=pa.array(symbols, pa.string())))
    day = np.empty(by_symbol.n_bars, dtype=np.int64)
    day[by_symbol.bar_end.searchsorted(_stamps(bars, by_symbol))] = days(bars.column("session"))
    panel, assets = by_security(by_symbol, day, securities=securities, delistings=delistings_in(known))
    own_actions = assets.named_actions(known)
    market = Market(
        panel, Actions.from_frame(panel, own_actions), filings.on_bars(panel, own_actions, assets), assets, day
    )
    found = {}
    for month, names in sorted(wanted.items()):
        rows = bars.filter(pc.equal(bars.column("month"), month)).select(KEYS)
        if rows.num_rows:
            found[month] = _month(market, rows, month, names)
    return found


def _month(market: Market, rows: pa.Table, month: str, names: Sequence[str]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    from lakehouse.calendar import month_range
    from lakehouse.columns import days
    from strategies.features import compute

    panel = market.bars
    first = np.datetime64(month_range(months_before(month, WARM_UP_MONTHS))[0])
    stamps = _stamps(rows, panel)
    start, stop = (int(panel.bar_end.searchsorted(at, side)) for at, side in ((first, "left"), (stamps.max(), "right")))
    there, window = _window(market, slice(start, stop))
    place = np.full(panel.n_assets, -1, dtype=np.int64)
    place[there] = np.arange(len(there))
    at = panel.bar_end.searchsorted(stamps) - start
    columns = place[market.assets.on(rows.column("symbol"), days(rows.column("session")))]
    for name, values in compute(window, names).items():
        rows = rows.append_column(name, pa.array(values[at, columns], from_pandas=True))
    return rows


def _stamps(rows: pa.Table, panel: Bars) -> np.ndarray:
    """Return the rows' bar_end as the panel has them."""
    stamps: np.ndarray = rows.column("bar_end").to_numpy().astype(panel.bar_end.dtype)
    return stamps


def _window(market: Market, time: slice) -> tuple[np.ndarray, Window]:
    """Return the assets that have a bar in a slice of time, and the window of the slice with them.

    Others, which a longer range would bring along, would change the last bits of what is added up across assets. So
    would another order: it is that of the tickers at the end of the slice, which a longer range does not know better.
    """
    import numpy as np

    from engine import Actions, Bars
    from strategies.window import Window

    bars, actions = market.bars[time], market.actions[time]
    day, present = market.day[time], ~np.isnan(bars.close)
    ended: list[tuple[str, int, int]] = []
    for asset in np.flatnonzero(present.any(axis=0)).tolist():
        last = int(day[np.flatnonzero(present[:, asset])[-1]])
        ended.append((market.assets.ticker(asset, last), last, asset))
    there = np.array([asset for *_, asset in sorted(ended)], dtype=np.int64)
    features = {name: values[time][:, there] for name, values in market.figures.items()}
    if not np.array_equal(there, np.arange(bars.n_assets)):
        prices = {name: getattr(bars, name)[:, there] for name in ("open", "high", "low", "close", "volume")}
        bars = Bars(**prices, bar_end=bars.bar_end, symbols=tuple(bars.symbols[asset] for asset in there))
        actions = Actions(*(getattr(actions, name)[:, there] for name in ("split", "dividend", "delisting")))
    return there, Window(bars, actions, features=features)
