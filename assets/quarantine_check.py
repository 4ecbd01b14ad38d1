"""The check that shows which bars were set aside: a row left out in silence would be a gap nobody asks about."""

import dagster as dg

from assets.metadata import picture_metadata, sample_table
from assets.resources import LakeResource
from lakehouse.core_schemas import QUARANTINE
from lakehouse.sources.catalogue import BARS

_N_SAMPLE = 10


@dg.asset_check(
    asset=dg.AssetKey(BARS.split("/")),
    name="quarantined_rows",
    description="Bars the sources gave that break a rule; they are in core/quarantine and not in core/daily_bars. "
    "Those mended, or without prices, are counted.",
)
def quarantined_rows(lake: LakeResource) -> dg.AssetCheckResult:
    """Count the quarantined bars by source and reason; the newest that break a rule are the sample."""
    from collections import Counter

    from assets.check_pictures import quarantined
    from lakehouse.bar_rules import breaks_rule

    rows = lake.open().scan(QUARANTINE).to_pylist()
    counts = Counter(f"{row['source']}/{row['reason']}" for row in rows)
    bad = [row for row in rows if breaks_rule(row["reason"])]
    newest = sorted(bad, key=lambda row: (row["known_at"], row["session"]), reverse=True)[:_N_SAMPLE]
    said = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    return dg.AssetCheckResult(
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(rows):,} bars are in quarantine: {said}" if rows else "no bar is in quarantine",
        metadata={
            "quarantined_rows": len(rows),
            **picture_metadata(quarantined(rows), "quarantined bars by month and reason"),
            "rows_that_break_a_rule": len(bad),
            **{f"count/{name}": count for name, count in counts.items()},
            **({"sample": sample_table(newest)} if newest else {}),
        },
    )
