"""Bad minutes through the asset of the minutes: kept in a table of their own, made again alike, refused if many."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg

from assets.gathered import gathered_asset
from assets.recipes import recipe
from assets.resources import LakeResource, VendorsResource
from lakehouse import Answer, Lake
from lakehouse.rebuilding import rebuild
from tests.lakehouse.test_source_polygon_parsing import BAR_HEADER, bar, packed, stamp

DAY, MONTH = dt.date(2024, 4, 5), "2024-04"
MINUTES, ASIDE = "core/minute_bars", "core/minute_quarantine"
NOW = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)


def put(lake: Lake, n_more: int, known: int, volume: str = "-1") -> None:
    """Keep a minute file of 300 good rows, and some more of another symbol."""
    at = [stamp("09:30:00", DAY) + minute * 60 * 10**9 for minute in range(300)]
    lines = [*(bar("X", at=time) for time in at), *(bar("AAPL", at=time, volume=volume) for time in at[:n_more])]
    request = {"dataset": "minute", "key": "x.csv.gz", "session": f"{DAY}"}
    as_of = dt.datetime(2024, 4, known, 12, tzinfo=dt.UTC)
    content = packed(BAR_HEADER, lines)
    lake.snapshots.put(
        [Answer(content, "polygon", "minute", request, as_of, "text/csv", first_session=DAY, last_session=DAY)]
    )


def resources(home: Path) -> dict[str, Any]:
    vendors = VendorsResource(sources=["polygon/minute"], symbols=[], exchange="XNYS")
    return {"lake": LakeResource(home=str(home)), "vendors": vendors}


def materialized(home: Path) -> dg.ExecuteInProcessResult:
    asset = gathered_asset(MINUTES, ["polygon/minute"])
    return dg.materialize([asset], partition_key=MONTH, resources=resources(home), raise_on_error=False)


def test_bad_minutes_are_kept_and_made_again_and_too_many_leave_the_month(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    put(lake, 1, known=8)
    result = materialized(tmp_path)
    assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["rows_in_quarantine"].value == 1
    assert lake.scan(MINUTES).num_rows == 300
    (row,) = lake.scan(ASIDE).to_pylist()
    assert (row["symbol"], row["reason"], str(row["bar_end"])) == (
        "AAPL", "volume_not_negative", "2024-04-05 13:31:00+00:00",
    )  # fmt: skip
    vendors = resources(tmp_path)["vendors"]
    for table in (MINUTES, ASIDE):
        make = recipe(table, lake, vendors, start="2024-04", today=DAY)
        assert rebuild(lake, table, make, partitions=None, check=True, now=NOW).is_sound
    put(lake, 3, known=9)
    before = lake.pins([MINUTES, ASIDE])
    failed = materialized(tmp_path)
    assert not failed.success and lake.pins([MINUTES, ASIDE]) == before
    (failure,) = failed.get_step_failure_events()
    assert "3 of 303 minutes of polygon (volume_not_negative 3)" in str(failure.event_specific_data)
    put(lake, 3, known=10, volume="1")  # the vendor corrects them
    assert materialized(tmp_path).success
    assert lake.scan(ASIDE).num_rows == 0 and lake.scan(MINUTES).num_rows == 303
