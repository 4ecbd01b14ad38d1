"""The check that shows which bars were set aside: a row left out in silence would be a gap nobody asks about."""

import dagster as dg

from assets.metadata import sample_table
from assets.resources import LakeResource
from lakehouse.core_schemas import QUARANTINE
from lakehouse.sources.catalogue import BARS

_N_SAMPLE = 10


@dg.asset_check(
    asset=dg.AssetKey(BARS.split("/")),
    name="quarantined_rows",
    description="Bars the sources gave that break a rule; they are in core/quarantine and not in core/daily_bars.",
)
def quarantined_rows(lake: LakeResource) -> dg.AssetCheckResult:
    """Count the quarantined bars by source and reason; the newest are the sample."""
    from collections import Counter

    rows = lake.open().scan(QUARANTINE).to_pylist()
    counts = Counter(f"{row['source']}/{row['reason']}" for row in rows)
    newest = sorted(rows, key=lambda row: (row["known_at"], row["session"]), reverse=True)[:_N_SAMPLE]
    said = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(rows):,} bars are in quarantine: {said}" if rows else "no bar is in quarantine",
        metadata={
            "quarantined_rows": len(rows),
            **{f"count/{name}": count for name, count in counts.items()},
            **({"sample": sample_table(newest)} if newest else {}),
        },
    )
