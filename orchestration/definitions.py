"""The graph: assets, checks, jobs, schedules and resources of this deployment."""

import warnings
from collections.abc import Mapping

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)

from assets import checks, core, features, raw  # noqa: E402
from assets.research import graph  # noqa: E402
from assets.settings import Settings, settings  # noqa: E402
from orchestration.jobs import JOBS  # noqa: E402
from orchestration.resources import resources_for  # noqa: E402
from orchestration.schedules import SCHEDULES, promise_freshness  # noqa: E402
from orchestration.sensors import SENSORS  # noqa: E402


def assets_for(config: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets, with one raw asset for each of the settings' sources."""
    assets = [
        *(raw.raw_asset(source) for source in config.sources),
        core.normalize_asset(config.sources),
        core.universe,
        features.daily,
        graph.backtest,
        graph.sweep,
        graph.walk_forward,
        graph.report,
    ]
    return promise_freshness(assets) if raw.LIVE & set(config.sources) else assets


def definitions_for(config: Settings, resources: Mapping[str, dg.ConfigurableResource] | None = None) -> dg.Definitions:
    """Return the graph of these settings; `resources` stand in for those the settings mean, by name."""
    return dg.Definitions(
        assets=assets_for(config),
        asset_checks=checks.CHECKS,
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={**resources_for(config), **(resources or {})},
        # A process a step costs seconds; the parallel work is inside the engine.
        executor=dg.in_process_executor,
    )


defs = definitions_for(settings())
