"""Raw layer: vendors' answers, kept as they came. One asset a source; the rows are in `raw/snapshots`."""

import dagster as dg

from assets.code_versions import code_version
from assets.metadata import OWNERS, batch_id
from assets.partitions import MONTHS, SINGLE_RUN
from assets.resources import LakeResource, VendorsResource

# Sources that publish new sessions by themselves; the others change when somebody imports something.
LIVE = {"yahoo"}
# Sources whose answers a person brings in; their assets record what is there.
IMPORTED = {"files"}
DESCRIPTIONS = {
    "sample": "The embedded sample: real daily prices of AAPL, IBM, MSFT (2000 to 2013), GOOG and FB.",
    "yahoo": "Yahoo's daily charts of the configured symbols, one answer a symbol.",
    "files": "CSV and Parquet files brought in by `quantlake import`.",
}


def raw_asset(source: str) -> dg.AssetsDefinition:
    """Return the asset that fetches a source's answers for its months and keeps them as snapshots."""

    @dg.asset(
        key=["raw", source],
        group_name="raw",
        description=DESCRIPTIONS[source],
        owners=OWNERS,
        kinds={"snapshot"},
        tags={"layer": "raw"},
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
        code_version=code_version(f"lakehouse/sources/{source}.py"),
        pool=f"vendor_{source}",
    )
    def fetch(context: dg.AssetExecutionContext, lake: LakeResource, vendors: VendorsResource) -> dg.MaterializeResult:
        from lakehouse.calendar import month_range

        months = context.partition_keys
        start, end = month_range(months[0])[0], month_range(months[-1])[1]
        vendor = vendors.source(source)
        store = lake.open().snapshots
        kept = []
        if source not in IMPORTED:
            symbols = vendor.symbols(vendors.symbols)
            for answer in vendor.fetch(symbols, start, end, as_of=vendors.now(), progress=context.log.info):
                # One by one: what came before a failure is kept, and is not asked for again.
                kept += store.put([answer])
        covering = store.find(source, vendor.dataset, start, end)
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
