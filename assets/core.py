"""Core layer: vendors' answers normalized into as-traded bars, corporate actions and universes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.code_versions import code_version
from assets.metadata import (
    add_partition_rows,
    batch_id,
    count_metadata,
    run_context,
    table_spec,
    version_of,
    write_metadata,
)
from assets.partitions import MONTHS, SINGLE_RUN
from assets.raw import raw_key
from assets.resources import LakeResource, VendorsResource
from lakehouse.sources.catalogue import ACTIONS, BARS, UNIVERSE, entry_of, filling

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from lakehouse.lake import Lake

NORMALIZE_VERSION = code_version(
    "lakehouse/normalize.py", "lakehouse/actions.py", "lakehouse/calendar.py", "lakehouse/sources"
)
UNIVERSE_VERSION = code_version("lakehouse/universe.py", "lakehouse/gather.py", "lakehouse/sources")


def normalize_asset(entries: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset that makes bars and corporate actions of what these entries' sources answered."""
    raw = [raw_key(entry) for entry in entries if {BARS, ACTIONS} & set(entry_of(entry).tables)]

    @dg.multi_asset(
        name="normalize",
        specs=[
            dg.AssetSpec(**table_spec(table), deps=raw, code_version=NORMALIZE_VERSION) for table in (BARS, ACTIONS)
        ],
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
    )
    def normalize(
        context: dg.AssetExecutionContext, lake: LakeResource, vendors: VendorsResource
    ) -> Iterator[dg.MaterializeResult]:
        """Read every snapshot that covers the months and rewrite those months of both tables."""
        from lakehouse.normalize import normalize as normalized_from

        months = list(context.partition_keys)
        opened = lake.open()
        snapshots = _snapshots(opened, vendors, months)
        context.log.info(f"reading {len(snapshots)} snapshots for {months[0]} to {months[-1]}")
        tables = normalized_from(
            parsed(opened, vendors, snapshots), exchange=vendors.exchange, months=months, sources=vendors.source_names
        )
        batch = batch_id(NORMALIZE_VERSION, months, [row["snapshot_id"] for row in snapshots])
        for table, rows, time in ((BARS, tables.bars, "session"), (ACTIONS, tables.actions, "ex_date")):
            commit = opened.replace(table, rows, partitions=months, batch_id=batch, context=run_context(context))
            add_partition_rows(context, table, rows)
            picture = bars_picture(rows) if table == BARS else ""
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(table.split("/")),
                data_version=version_of(commit),
                metadata={
                    **write_metadata(commit, rows, time, svg=picture),
                    **(count_metadata(tables.counts) if table == BARS else {}),
                },
            )

    return normalize


def universe_asset(entries: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset of all universes: those made of the bars, and those that sources tell of."""
    told = [named for entry in entries for named in filling(UNIVERSE, [entry])]
    every = dg.AllPartitionMapping()

    @dg.asset(
        **table_spec(UNIVERSE),
        deps=[
            dg.AssetDep(dg.AssetKey(BARS.split("/")), partition_mapping=every),
            *(dg.AssetDep(dg.AssetKey(["raw", named.key]), partition_mapping=every) for named in told),
        ],
        code_version=UNIVERSE_VERSION,
        backfill_policy=SINGLE_RUN,
    )
    def universe(
        context: dg.AssetExecutionContext, lake: LakeResource, vendors: VendorsResource
    ) -> dg.MaterializeResult:
        """Make one universe a source, and `all`, each symbol a member from its first bar on; add those told."""
        import pyarrow as pa

        from lakehouse.gather import gather
        from lakehouse.universe import from_bars

        opened = lake.open()
        pins = opened.pins([BARS])
        bars = opened.scan(BARS, version=pins[BARS], columns=["symbol", "session", "source", "known_at"])
        snapshots = table_snapshots(opened, vendors, UNIVERSE)
        members = gather(UNIVERSE, parsed(opened, vendors, snapshots), sources=vendors.source_names)
        rows = pa.concat_tables([from_bars(bars), members])
        made_of = [str(pins[BARS]), *(row["snapshot_id"] for row in snapshots)]
        commit = opened.replace(
            UNIVERSE, rows, batch_id=batch_id(UNIVERSE_VERSION, made_of), context=run_context(context)
        )
        return dg.MaterializeResult(
            data_version=version_of(commit),
            metadata={**write_metadata(commit, rows, "start"), "reads": pins},
        )

    return universe


def bars_picture(bars: "pa.Table") -> str:
    """Return a small chart of the symbols' median close, each as a multiple of its first."""
    import numpy as np

    from assets.reports.charts import sparkline

    if bars.num_rows < 2:
        return ""
    frame = bars.select(["symbol", "session", "close"]).to_pandas()
    wide = frame.pivot(index="session", columns="symbol", values="close").sort_index()
    relative = wide / wide.bfill().iloc[0]
    return sparkline(np.array(relative.index, dtype="datetime64[D]"), relative.median(axis=1).to_numpy())


def _snapshots(lake: "Lake", vendors: VendorsResource, months: list[str]) -> list[dict[str, Any]]:
    """Return the manifest rows that tell of the months.

    Which of several sources supplies a symbol is decided over all that is known of it, not month by month. Of what
    does not touch the months, one answer a symbol tells that.
    """
    from lakehouse.calendar import month_range

    first, last = month_range(months[0])[0], month_range(months[-1])[1]
    found = []
    with_bars = filling(BARS, vendors.sources)
    has_rivals = len({entry.source for entry in with_bars}) > 1
    for entry in dict.fromkeys([*with_bars, *filling(ACTIONS, vendors.sources)]):
        touching = lake.snapshots.find(entry.source, entry.dataset, first, last)
        found += touching
        if has_rivals and entry in with_bars:
            found += _one_a_symbol(lake.snapshots.find(entry.source, entry.dataset), besides=touching)
    return found


def table_snapshots(
    lake: "Lake", vendors: VendorsResource, table: str, first: "date | None" = None, last: "date | None" = None
) -> list[dict[str, Any]]:
    """Return the manifest rows that may hold rows of a table, between two days where given, known first first.

    Of answers with the same bytes to the same question, asked at several times, only the last is read.
    """
    import json

    distinct: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in filling(table, vendors.sources):
        for row in lake.snapshots.find(entry.source, entry.dataset, first, last):
            asked = {name: value for name, value in json.loads(row["request"]).items() if name != "as_of"}
            key = (row["source"], row["dataset"], row["snapshot_id"], json.dumps(asked, sort_keys=True))
            distinct.pop(key, None)
            distinct[key] = row
    return list(distinct.values())


def _one_a_symbol(rows: list[dict[str, Any]], *, besides: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row of each symbol that `besides` does not tell of, and every row of several symbols."""
    seen = {(row["snapshot_id"], row["request"]) for row in besides}
    known = {row["symbol"] for row in besides}
    several = [row for row in rows if row["symbol"] is None and (row["snapshot_id"], row["request"]) not in seen]
    single = {row["symbol"]: row for row in rows if row["symbol"] is not None and row["symbol"] not in known}
    return [*several, *single.values()]


def parsed(
    lake: "Lake", vendors: VendorsResource, snapshots: Sequence[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each manifest row with what its answer holds, one read at a time."""
    import json

    sources = {
        (named.source, named.dataset): vendors.source(entry) for entry in vendors.sources for named in [entry_of(entry)]
    }
    for row in snapshots:
        source = sources[row["source"], row["dataset"]]
        yield row, source.parse(lake.snapshots.read(row["snapshot_id"]), json.loads(row["request"]))
