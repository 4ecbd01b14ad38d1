"""Upkeep of the lake as an asset, so that its size and what was freed are plotted over time."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.code_versions import code_version
from assets.metadata import OWNERS
from assets.resources import LakeResource, VendorsResource

if TYPE_CHECKING:
    from lakehouse.upkeep import TableUpkeep


class UpkeepConfig(dg.Config):
    """How long a version stays readable that no recorded run read, counted from the write that replaced it."""

    keep_days: int = Field(default=30, ge=1)


@dg.asset(
    key=["lake", "upkeep"],
    group_name="upkeep",
    description="Old versions that no recorded run read, leftovers of killed writes and scattered files are tidied."
    " Snapshots, commits and pinned versions stay.",
    owners=OWNERS,
    kinds={"deltalake"},
    code_version=code_version("lakehouse/upkeep"),
)
def upkeep(
    context: dg.AssetExecutionContext, config: UpkeepConfig, lake: LakeResource, vendors: VendorsResource
) -> dg.MaterializeResult:
    """Tidy every table; fail at the end where one is damaged, since it was left out."""
    from datetime import timedelta

    found = list(lake.open().upkeep(now=vendors.now(), keep=timedelta(days=config.keep_days)))
    left_out = [entry for entry in found if entry.left_out is not None]
    for entry in left_out:
        context.log.warning(f"left out: {entry.left_out}")
    damaged = [str(entry.left_out) for entry in left_out if entry.is_damaged]
    if damaged:
        raise dg.Failure("; ".join(damaged), allow_retries=False)
    return dg.MaterializeResult(
        metadata={
            "rows": sum(entry.rows for entry in found),
            "files": sum(entry.files for entry in found),
            "bytes": sum(entry.bytes for entry in found),
            "bytes_freed": sum(entry.freed_bytes for entry in found),
            "files_removed": sum(entry.removed_files for entry in found),
            "leftovers": sum(entry.leftovers for entry in found),
            "versions_let_go": sum(len(entry.let_go) for entry in found),
            "tables_left_out": len(left_out),
            "tables": dg.MetadataValue.table([_record(entry) for entry in found]),
        }
    )


def _record(entry: "TableUpkeep") -> dg.TableRecord:
    return dg.TableRecord(
        {
            "table": entry.table,
            "rows": entry.rows,
            "files": entry.files,
            "bytes": entry.bytes,
            "bytes_freed": entry.freed_bytes,
            "merged_files": entry.small_files if entry.merged else 0,
            "versions": entry.versions,
            "pinned": ", ".join(f"{version} ({runs} runs)" for version, runs in entry.pinned.items()),
            "left_out": entry.left_out or "",
        }
    )
