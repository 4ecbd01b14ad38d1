"""The graph: assets, checks, jobs, schedules and resources of this deployment."""

import warnings
from collections.abc import Mapping

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)

from assets import checks, core, features, gathered, raw  # noqa: E402
from assets.research import graph  # noqa: E402
from assets.settings import Settings, settings  # noqa: E402
from lakehouse.sources.catalogue import BARS, filling  # noqa: E402
from orchestration.jobs import JOBS  # noqa: E402
from orchestration.resources import resources_for  # noqa: E402
from orchestration.schedules import SCHEDULES, promise_freshness  # noqa: E402
from orchestration.sensors import SENSORS  # noqa: E402


def assets_for(config: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets: a raw one for each of the settings' sources, and the tables that these can fill."""
    assets = [
        *(raw.raw_asset(entry) for entry in config.sources),
        core.normalize_asset(config.sources),
        core.universe_asset(config.sources),
        *(gathered.gathered_asset(table, config.sources) for table in gathered.filled(config.sources)),
        features.daily,
        graph.backtest,
        graph.sweep,
        graph.walk_forward,
        graph.report,
    ]
    has_live_bars = any(entry.vendor.is_live for entry in filling(BARS, config.sources))
    return promise_freshness(assets) if has_live_bars else assets


def definitions_for(config: Settings, resources: Mapping[str, dg.ConfigurableResource] | None = None) -> dg.Definitions:
    """Return the graph of these settings; `resources` stand in for those the settings mean, by name."""
    return dg.Definitions(
        assets=assets_for(config),
        asset_checks=[
            *checks.CHECKS,
            # A month of minutes or ticks is checked as it is written; reading all of them again fits no memory.
            *(checks.schema_check(table) for table in gathered.filled(config.sources) if table in gathered.WHOLE),
        ],
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={**resources_for(config), **(resources or {})},
        # A process a step costs seconds; the parallel work is inside the engine.
        executor=dg.in_process_executor,
    )


defs = definitions_for(settings())
