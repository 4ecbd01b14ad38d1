"""The nightly refresh, and what it promises; the weekly walk-forwards and upkeep."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from assets.features import FEATURES
from assets.partitions import MONTHS, WINDOW_YEARS
from assets.resources import LakeResource, VendorsResource
from lakehouse.sources.catalogue import BARS, entry_of, filling
from orchestration.jobs import SPEC_TAG, refresh, upkeep, walk_forwards
from orchestration.missed import NIGHTLY, answered_days, failed_since, stored_bars

# One clock for every exchange: at half past six in New York each of them has closed its session of the day.
CLOCK = "America/New_York"
# A vendor may publish or correct a symbol's session days late: the months of the last week are written again.
SETTLING = timedelta(days=7)
# Longer than any exchange of the calendars ever stayed closed (Athens in 2015: five weeks).
LONGEST_CLOSURE = timedelta(days=60)
# Made in the night before. A cron knows no holidays: after one, the tables count as late until the next night.
FRESH_BY_MORNING = dg.FreshnessPolicy.cron(
    deadline_cron="0 8 * * 2-6", lower_bound_delta=timedelta(hours=16), timezone=CLOCK
)


@dg.schedule(
    name=NIGHTLY,
    job=refresh,
    cron_schedule="30 18 * * 1-5",
    execution_timezone=CLOCK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="After the exchange's close: the last session, and all that earlier nights missed.",
)
def nightly(
    context: dg.ScheduleEvaluationContext, lake: LakeResource, vendors: VendorsResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run over the months from the week before the last stored session to the last closed one.

    The last stored session is that of the table, and of the configured symbol, that is furthest behind; of the last
    `LOOK_BACK` days (`orchestration.missed`). Months that a failed night asked for are asked for until one succeeds.
    """
    from lakehouse.calendar import month_keys

    if not any(entry_of(entry).vendor.is_live for entry in vendors.sources):
        return dg.SkipReason(
            f"sources {', '.join(vendors.sources)} publish no new sessions; name a live one in quantlake.yaml"
            " (sources: [yahoo])"
        )
    last_closed = last_closed_session(vendors.exchange, context.scheduled_execution_time.astimezone(UTC))
    live = list(dict.fromkeys(entry.source for entry in filling(BARS, vendors.sources) if entry.vendor.is_live))
    bars = stored_bars(lake.open(), live, vendors.symbols) if live else None
    if live and bars is None:
        return dg.SkipReason(
            f"the lake holds no bars of {', '.join(live)} yet: materialize the months wanted with job `refresh` once,"
            " then nights keep them current"
        )
    answered = answered_days(lake.open(), vendors.sources, last_closed)
    failed = failed_since(context.instance, refresh.name)
    # Without any of them nothing tells which nights were missed: a night asks for its last week.
    stored = min((day for day in (bars and bars.newest, answered) if day), default=last_closed - timedelta(days=1))
    if last_closed <= stored and failed is None:
        return dg.SkipReason(f"no session closed since {stored}")
    first = min(stored, bars.oldest if bars else stored) - SETTLING
    first = max(min(first, failed or first), MONTHS.start.date())
    months = month_keys(first, last_closed + timedelta(days=1))
    return dg.RunRequest(
        run_key=f"{last_closed}",
        tags={
            "dagster/asset_partition_range_start": months[0],
            "dagster/asset_partition_range_end": months[-1],
            "quantlake/session": str(last_closed),
        },
    )


def last_closed_session(exchange: str, now: datetime) -> date:
    """Return the last session of the exchange that closed before `now` (UTC)."""
    from lakehouse.calendar import session_close, sessions

    recent = sessions(exchange, now.date() - LONGEST_CLOSURE, now.date() + timedelta(days=1))
    closes = session_close(exchange, recent)
    return [day for day, close in zip(recent, closes, strict=True) if close <= now][-1]


def promise_freshness(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return the assets with bars and features due the morning after their night."""
    due = {dg.AssetKey(table.split("/")) for table in (BARS, FEATURES)}
    return [
        definition.map_asset_specs(
            lambda spec: spec.replace_attributes(freshness_policy=FRESH_BY_MORNING) if spec.key in due else spec
        )
        for definition in assets
    ]


@dg.schedule(
    job=walk_forwards,
    cron_schedule="0 6 * * 6",
    execution_timezone=CLOCK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Saturday morning: each spec's walk-forward again, on the data of today; its report follows.",
)
def weekly_walk_forwards(
    context: dg.ScheduleEvaluationContext, lake: LakeResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for one run a spec that was walked forward before, over all its windows: a report needs all of one data."""
    from strategies.spec import spec_names

    rows = lake.open().scan("research/runs", columns=["spec"], where=[("kind", "=", "window")])
    walked = sorted(set(rows.column("spec").to_pylist()) & set(spec_names()))
    if not walked:
        yield dg.SkipReason("no spec was walked forward yet: `quantlake walkforward SPEC`, or materialize it once")
    now = context.scheduled_execution_time
    years = WINDOW_YEARS.get_partition_keys(current_time=now)
    for spec in walked:
        yield dg.RunRequest(
            run_key=f"{spec} {now.date()}",
            tags={
                "dagster/asset_partition_range_start": f"{spec}|{years[0]}",
                "dagster/asset_partition_range_end": f"{spec}|{years[-1]}",
                SPEC_TAG: spec,
            },
        )


# The lake has no partitions, and walk-forwards have theirs: two jobs, so two schedules. Should they overlap, nothing
# happens: upkeep waits for the lock of a table, and takes nothing that was current within its retention.
weekly_upkeep = dg.ScheduleDefinition(
    name="weekly_upkeep",
    job=upkeep,
    cron_schedule="0 10 * * 6",
    execution_timezone=CLOCK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Saturday morning: old versions that no run read, leftovers and scattered files.",
)

SCHEDULES = [nightly, weekly_walk_forwards, weekly_upkeep]
