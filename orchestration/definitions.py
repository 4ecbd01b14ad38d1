"""The graph: assets, checks, jobs, schedules and resources of this deployment."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)

from assets import checks, core, features, raw  # noqa: E402
from assets.research import graph  # noqa: E402
from assets.settings import Settings, settings  # noqa: E402
from orchestration.jobs import JOBS  # noqa: E402
from orchestration.resources import resources_for  # noqa: E402
from orchestration.schedules import SCHEDULES  # noqa: E402
from orchestration.sensors import SENSORS  # noqa: E402

ASSETS = [
    *(raw.raw_asset(source) for source in settings().sources),
    core.normalize,
    core.universe,
    features.daily,
    graph.backtest,
    graph.sweep,
    graph.walk_forward,
    graph.report,
]


def definitions_for(config: Settings) -> dg.Definitions:
    """Return the graph with the resources that these settings mean."""
    return dg.Definitions(
        assets=ASSETS,
        asset_checks=checks.CHECKS,
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources=resources_for(config),
        # A process a step costs seconds; the parallel work is inside the engine.
        executor=dg.in_process_executor,
    )


defs = definitions_for(settings())
