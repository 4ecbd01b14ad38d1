"""Raw layer: vendors' answers, kept as they came. One asset an entry of `sources`; the rows are in `raw/snapshots`."""

from typing import TYPE_CHECKING

import dagster as dg

from assets.code_versions import source_version
from assets.metadata import OWNERS, batch_id
from assets.partitions import MONTHS, SINGLE_RUN
from assets.resources import LakeResource, VendorsResource
from lakehouse.sources.catalogue import entry_of

if TYPE_CHECKING:
    from lakehouse.snapshots import Snapshot


def raw_key(entry: str) -> dg.AssetKey:
    """Return the key of an entry's asset: raw/polygon, or raw/polygon_splits where it names the dataset."""
    return dg.AssetKey(["raw", entry_of(entry).key])


def raw_asset(entry: str) -> dg.AssetsDefinition:
    """Return the asset that fetches an entry's answers for its months and keeps them as snapshots."""
    named = entry_of(entry)
    what = f" Dataset {named.dataset}." if len(named.vendor.datasets) > 1 else ""

    @dg.asset(
        key=raw_key(entry),
        group_name="raw",
        description=named.vendor.description + what,
        owners=OWNERS,
        kinds={"snapshot"},
        tags={"layer": "raw"},
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
        code_version=source_version(named.source),
        pool=f"vendor_{named.source}",
    )
    def fetch(context: dg.AssetExecutionContext, lake: LakeResource, vendors: VendorsResource) -> dg.MaterializeResult:
        from lakehouse.calendar import month_range
        from lakehouse.sources.base import Remembering

        months = context.partition_keys
        start, end = month_range(months[0])[0], month_range(months[-1])[1]
        vendor = vendors.source(entry)
        store = lake.open().snapshots
        kept: list[Snapshot] = []
        if not named.vendor.is_imported:
            if isinstance(vendor, Remembering):
                rows = store.find(named.source, vendor.dataset, start, end)
                # What was lost from the disk is fetched again.
                vendor = vendor.remembering(row for row in rows if store.path(row["snapshot_id"]).is_file())
            symbols = vendor.symbols(vendors.symbols)
            # What came before a failure is kept, and is not asked for again.
            kept = store.put(vendor.fetch(symbols, start, end, as_of=vendors.now(), progress=context.log.info))
        covering = store.find(named.source, vendor.dataset, start, end)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(batch_id([row["snapshot_id"] for row in covering])[:16]),
            metadata={
                "snapshots_fetched": len(kept),
                "snapshots_covering": len(covering),
                "bytes": sum(int(row["size"]) for row in covering),
                "newest_known_at": str(max((row["known_at"] for row in covering), default="none")),
            },
        )

    return fetch
