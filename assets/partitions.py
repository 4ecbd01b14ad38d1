"""Partitions of the graph. The Dagster key of a partition is the value of its Delta partition column."""

from __future__ import annotations

import dagster as dg

from assets.settings import settings
from strategies.spec import spec_names

# The current month is a partition too: it is rewritten each night until it is over.
MONTHS = dg.TimeWindowPartitionsDefinition(start=settings().start, fmt="%Y-%m", cron_schedule="0 0 1 * *", end_offset=1)
SPECS = dg.StaticPartitionsDefinition(spec_names())
# A walk-forward window is named by the calendar year of its test part.
WINDOW_YEARS = dg.TimeWindowPartitionsDefinition(
    start=settings().start[:4], fmt="%Y", cron_schedule="0 0 1 1 *", end_offset=1
)
WINDOWS = dg.MultiPartitionsDefinition({"spec": SPECS, "window": WINDOW_YEARS})

SINGLE_RUN = dg.BackfillPolicy.single_run()


def warm_up_mapping(months: int) -> dg.TimeWindowPartitionMapping:
    """Map a month to itself and the `months` before it, as far as they exist."""
    return dg.TimeWindowPartitionMapping(start_offset=-months, allow_nonexistent_upstream_partitions=True)


def specs_and_windows(context: dg.AssetExecutionContext) -> dict[str, list[str]]:
    """Return the window keys of each spec among the partitions a run is asked for."""
    chosen: dict[str, list[str]] = {}
    for key in context.partition_keys:
        if not isinstance(key, dg.MultiPartitionKey):
            raise TypeError(f"a walk-forward partition is spec|window, was {key!r}")
        chosen.setdefault(key.keys_by_dimension["spec"], []).append(key.keys_by_dimension["window"])
    return chosen
