"""Writing what was made of the daily answers: what it changes in stored history is recorded, shown and tagged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assets.making import DAILY
from assets.one_source import spans

if TYPE_CHECKING:
    from datetime import datetime

    import dagster as dg
    import pyarrow as pa

    from assets.making import Made, MadeDaily
    from assets.one_source import Whole
    from assets.resources import TrackingResource
    from lakehouse.lake import Lake
    from lakehouse.restating import Told


# Dagster's tag of what a materialization's data is, which makes what was made of other data out of date.
_DATA_VERSION = "dagster/data_version"
_N_LOGGED = 10


def write_daily(
    lake: Lake,
    made: MadeDaily,
    months: Sequence[str],
    *,
    now: datetime,
    context: Mapping[str, Any],
) -> Iterator[Told]:
    """Write the daily tables in turn, the quarantine first, and yield what each write did."""
    from lakehouse.restating import replace_and_tell

    for table in DAILY:
        yield replace_and_tell(
            lake, table, made.tables[table], partitions=months, batch_id=made.batch_id, now=now, context=context
        )


def write_whole(lake: Lake, table: str, made: Made, *, now: datetime, context: Mapping[str, Any]) -> Told:
    """Write a table without partitions, and return what the write did."""
    from lakehouse.restating import replace_and_tell

    return replace_and_tell(lake, table, made.rows, partitions=[], batch_id=made.batch_id, now=now, context=context)


def write_aside(lake: Lake, made: Made, month: str, context: Mapping[str, Any]) -> None:
    """Write what was set aside of a month's minute bars; a table is not begun for nothing."""
    from lakehouse.core_schemas import MINUTE_QUARANTINE

    if made.aside is not None and (made.aside.num_rows or lake.exists(MINUTE_QUARANTINE)):
        lake.replace(MINUTE_QUARANTINE, made.aside, partitions=[month], batch_id=made.batch_id, context=context)


def mark_runs(lake: Lake, tracking: TrackingResource, restatements: pa.Table, log: logging.Logger) -> list[str]:
    """Tag the research runs that used what was restated, and return their ids; none where nothing was.

    The rows of core/restatements are on disk by now. A store that cannot be written keeps no data from its table: the
    log says how to tag the runs later.
    """
    if not restatements.num_rows:
        return []
    from assets.restated import affected, mark
    from engine.errors import QuantlakeError

    runs = []
    try:
        runs = affected(lake, restatements)
        mark(lake, tracking, [run.run_id for run in runs])
    except (QuantlakeError, OSError) as error:
        log.warning(f"runs that used restated rows could not be tagged: {error}; `quantlake restatements --tag` does")
    return [run.run_id for run in runs]


def restatement_metadata(told: Told, run_ids: Sequence[str]) -> dict[str, Any]:
    """Return what a materialization shows of what it restated; nothing where it restated nothing."""
    from assets.metadata import sample_table

    if told.unread is not None:
        return {"restatements": f"not looked for, the stored rows could not be read: {told.unread}"}
    rows = told.restatements
    if not rows.num_rows:
        return {}
    return {
        "restated_symbols": rows.num_rows,
        "restated_rows": sum(rows.column("rows_changed").to_pylist()) + sum(rows.column("rows_removed").to_pylist()),
        "restated": sample_table(rows.drop_columns(["table", "month", "detected_at"]).to_pylist()),
        "runs_on_the_old_rows": len(run_ids),
    }


def log_along(log: logging.Logger, whole: Whole) -> None:
    """Say which months are written that nobody asked for, and why; nothing where there are none."""
    if not whole.along:
        return
    span = f"{whole.along[0]} to {whole.along[-1]}"
    for row in whole.changed[:_N_LOGGED]:
        log.warning(
            f"{row['symbol']} is supplied by {row['is_now']} now, no longer by {row['was']}: {row['months']} months"
            f" from {row['first']} to {row['last']} change with it"
        )
    log.warning(
        f"{len(whole.changed)} symbols changed their source: {spans(whole.along)} are written along. Their features are"
        f" out of date: materialize features/daily over {span}"
    )


def report_along(context: dg.AssetExecutionContext, whole: Whole, told: Told) -> None:
    """Tell Dagster of the months that a write took along: each is materialized anew, what reads it is out of date."""
    import dagster as dg

    from assets.metadata import version_of

    table = told.commit.table
    months = whole.made.tables[table].column("month")
    counts = {item["values"]: item["counts"] for item in months.value_counts().to_pylist()}
    for month in whole.along:
        context.log_event(
            dg.AssetMaterialization(
                dg.AssetKey(table.split("/")),
                description=f"written along with {context.partition_keys[0]}: a symbol changed its source",
                partition=month,
                metadata={"dagster/partition_row_count": counts.get(month, 0), "delta_version": told.commit.version},
                tags={_DATA_VERSION: version_of(told.commit).value},
            )
        )


def along_metadata(whole: Whole) -> dict[str, Any]:
    """Return what a materialization shows of the months it took along; nothing where it took none."""
    from assets.metadata import sample_table

    if not whole.along:
        return {}
    return {"also_written": spans(whole.along), "changed_source": sample_table(whole.changed)}
