"""Features layer: causal features of the daily bars, month by month."""

from typing import TYPE_CHECKING

import dagster as dg

from assets.code_versions import code_version
from assets.core import ACTIONS, BARS
from assets.metadata import add_partition_rows, batch_id, run_context, table_spec, version_of, write_metadata
from assets.partitions import MONTHS, SINGLE_RUN, warm_up_mapping
from assets.resources import LakeResource

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from engine import Actions, Bars

FEATURES = "features/daily"
FEATURES_VERSION = code_version(
    "strategies/features.py",
    "strategies/window.py",
    "strategies/panel.py",
    "strategies/rolling.py",
    "engine/bars.py",
    "engine/actions.py",
    "assets/features.py",
)
# The longest feature looks back on 252 bars: thirteen months and a few days to be sure of them.
WARM_UP_MONTHS = 14


@dg.asset(
    **table_spec(FEATURES),
    deps=[
        dg.AssetDep(dg.AssetKey(table.split("/")), partition_mapping=warm_up_mapping(WARM_UP_MONTHS))
        for table in (BARS, ACTIONS)
    ],
    partitions_def=MONTHS,
    backfill_policy=SINGLE_RUN,
    code_version=FEATURES_VERSION,
)
def daily(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    """Compute the features of the months from their bars and those of the months before."""
    from lakehouse.calendar import month_range

    months = list(context.partition_keys)
    opened = lake.open()
    pins = opened.pins([BARS, ACTIONS])
    start, end = month_range(months_before(months[0], WARM_UP_MONTHS))[0], month_range(months[-1])[1]
    within = [("session", ">=", start), ("session", "<", end)]
    bars = opened.scan(BARS, version=pins[BARS], where=within)
    actions = opened.scan(ACTIONS, version=pins[ACTIONS], where=[("ex_date", ">=", start), ("ex_date", "<", end)])
    rows = features_table(bars, actions, months)
    batch = batch_id(FEATURES_VERSION, months, [f"{table}@{version}" for table, version in pins.items()])
    commit = opened.replace(FEATURES, rows, partitions=months, batch_id=batch, context=run_context(context))
    add_partition_rows(context, FEATURES, rows)
    return dg.MaterializeResult(
        data_version=version_of(commit),
        metadata={**write_metadata(commit, rows, "session", svg=_picture(rows)), "reads": pins},
    )


def months_before(month: str, n: int) -> str:
    """Return the month `n` months before one, both `YYYY-MM`."""
    number = int(month[:4]) * 12 + int(month[5:]) - 1 - n
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def features_table(bars: "pa.Table", actions: "pa.Table", months: list[str]) -> "pa.Table":
    """Return the rows of features/daily for the months, one for each bar in them.

    Each month is computed from its own warm-up, whatever else is asked for: a month alone and a month within a
    range have the same bits.
    """
    import pandas as pd
    import pyarrow as pa

    from engine import Actions, Bars
    from lakehouse.calendar import month_range
    from lakehouse.schemas import table_schema

    schema = table_schema(FEATURES).schema
    frame = bars.to_pandas()
    wanted = frame[frame["month"].isin(months)]
    if wanted.empty:
        return schema.empty_table()
    panel = Bars.from_frame(frame[["symbol", "bar_end", "open", "high", "low", "close", "volume"]])
    events = Actions.from_frame(panel, actions.to_pandas())
    parts = []
    for month, rows in wanted.groupby("month"):
        first = pd.Timestamp(month_range(months_before(str(month), WARM_UP_MONTHS))[0])
        start = int(panel.bar_end.searchsorted(first.to_datetime64().astype(panel.bar_end.dtype)))
        parts.append(_month_features(panel, events, rows, start))
    return pa.Table.from_pandas(pd.concat(parts, ignore_index=True), schema=schema, preserve_index=False)


def _month_features(panel: "Bars", events: "Actions", rows: "pd.DataFrame", start: int) -> "pd.DataFrame":
    from strategies.features import compute
    from strategies.window import Window

    stamps = rows["bar_end"].dt.tz_convert(None).to_numpy().astype(panel.bar_end.dtype)
    at = panel.bar_end.searchsorted(stamps)
    stop = int(at.max()) + 1
    window = Window(panel[start:stop], events[start:stop])
    places = {symbol: place for place, symbol in enumerate(panel.symbols)}
    columns = rows["symbol"].map(places).to_numpy()
    values = {name: array[at - start, columns] for name, array in compute(window).items()}
    return rows[["symbol", "session", "bar_end", "month"]].assign(**values)


def _picture(rows: "pa.Table") -> str:
    import numpy as np

    from assets.reports.charts import sparkline

    frame = rows.select(["session", "volatility_21"]).to_pandas().dropna()
    if len(frame) < 2:
        return ""
    median = frame.groupby("session")["volatility_21"].median()
    return sparkline(np.array(median.index, dtype="datetime64[D]"), median.to_numpy())
