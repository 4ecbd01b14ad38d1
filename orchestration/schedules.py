"""The nightly refresh."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from assets.resources import LakeResource, VendorsResource
from orchestration.jobs import refresh

# Sources that publish new sessions by themselves; the others change when somebody imports something.
LIVE_SOURCES = {"yahoo"}


@dg.schedule(
    job=refresh,
    cron_schedule="30 18 * * 1-5",
    execution_timezone="America/New_York",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="After the exchange's close: the last session, and all that earlier nights missed.",
)
def nightly(
    context: dg.ScheduleEvaluationContext, lake: LakeResource, vendors: VendorsResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run over the months from the last stored session to the last closed one."""
    from lakehouse.calendar import month_keys

    if not LIVE_SOURCES & set(vendors.sources):
        return dg.SkipReason(
            f"sources {', '.join(vendors.sources)} publish no new sessions; name a live one in quantlake.yaml"
            " (sources: [yahoo])"
        )
    now = context.scheduled_execution_time.astimezone(UTC)
    last_closed = last_closed_session(vendors.exchange, now)
    last_stored = _last_stored(lake)
    if last_stored is None:
        return dg.SkipReason("the lake holds no bars yet: backfill job `refresh` once, then nights keep it current")
    if last_closed <= last_stored:
        return dg.SkipReason(f"no session closed since {last_stored}")
    months = month_keys(last_stored, last_closed + timedelta(days=1))
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

    recent = sessions(exchange, now.date() - timedelta(days=14), now.date() + timedelta(days=1))
    closes = session_close(exchange, recent)
    return [day for day, close in zip(recent, closes, strict=True) if close <= now][-1]


def _last_stored(lake: LakeResource) -> date | None:
    from assets.core import BARS

    sessions = lake.open().scan(BARS, columns=["session"]).column("session")
    if not len(sessions):
        return None
    last: date = max(sessions.to_pylist())
    return last


SCHEDULES = [nightly]
