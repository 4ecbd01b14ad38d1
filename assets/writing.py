"""Writing what was made of the daily answers: what it changes in stored history is recorded, shown and tagged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assets.making import DAILY

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from assets.making import MadeDaily
    from assets.resources import TrackingResource
    from lakehouse.lake import Lake
    from lakehouse.restating import Told


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
