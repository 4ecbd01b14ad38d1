"""The graph: assets, checks, jobs, schedules and resources of this deployment."""

from collections.abc import Mapping

import dagster as dg

from assets import checks, core, features, gathered, quarantine_check, raw, upkeep
from assets.research import graph
from assets.settings import Settings, settings
from lakehouse.sources.catalogue import BARS, filling
from orchestration.executor import owned_executor
from orchestration.jobs import JOBS
from orchestration.resources import resources_for
from orchestration.schedules import SCHEDULES, promise_freshness
from orchestration.sensors import SENSORS


def assets_for(config: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets: a raw one for each of the settings' sources, and the tables that these can fill."""
    assets = [
        *(raw.raw_asset(entry) for entry in config.sources),
        core.normalize_asset(config.sources),
        core.universe_asset(config.sources),
        *(gathered.gathered_asset(table, config.sources) for table in gathered.filled(config.sources)),
        features.daily_asset(config.sources),
        graph.backtest,
        graph.sweep,
        graph.walk_forward,
        graph.report,
        upkeep.upkeep,
    ]
    has_live_bars = any(entry.vendor.is_live for entry in filling(BARS, config.sources))
    return promise_freshness(assets) if has_live_bars else assets


def definitions_for(config: Settings, resources: Mapping[str, dg.ConfigurableResource] | None = None) -> dg.Definitions:
    """Return the graph of these settings; `resources` stand in for those the settings mean, by name."""
    return dg.Definitions(
        assets=assets_for(config),
        asset_checks=[
            *checks.CHECKS,
            quarantine_check.quarantined_rows,
            # A month of minutes or ticks is checked as it is written; reading all of them again fits no memory.
            *(checks.schema_check(table) for table in gathered.filled(config.sources) if table in gathered.WHOLE),
        ],
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={**resources_for(config), **(resources or {})},
        executor=owned_executor,
    )


defs = definitions_for(settings())
