"""The resources of a deployment: what the types in `assets.resources` are where these settings are in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.resources import LakeResource, TrackingResource, VendorsResource
from lakehouse.lake import SQL_MEMORY_GB

if TYPE_CHECKING:
    from assets.settings import Settings


def resources_for(config: Settings) -> dict[str, Any]:
    """Return the resources by the names assets ask for them."""
    return {
        "duckdb": duckdb_over(str(config.home), config.sql_memory_gb),
        "lake": LakeResource(home=str(config.home)),
        "tracking": TrackingResource(home=str(config.home)),
        "vendors": VendorsResource(
            sources=list(config.sources),
            symbols=list(config.symbols),
            exchange=config.exchange,
            options=config.options,
            most_bad_rows=config.most_bad_rows,
        ),
    }


def duckdb_over(home: str, memory_gb: float = SQL_MEMORY_GB) -> dg.ResourceDefinition:
    """Return the resource `duckdb` over the lake of a home, an `assets.sql_resource.LakeDuckDBResource`.

    It is made, and DuckDB imported, in a run that asks for it.
    """

    @dg.resource(description="DuckDB over the lake's tables, read only (dagster-duckdb).")
    def duckdb(_: dg.InitResourceContext) -> Any:
        from assets.sql_resource import LakeDuckDBResource

        return LakeDuckDBResource(home=home, memory_gb=memory_gb)

    return duckdb
