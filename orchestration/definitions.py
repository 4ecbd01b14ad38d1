"""The graph: assets, checks, jobs, schedules and resources of this deployment."""

from __future__ import annotations

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)

from assets import checks, core, features, raw  # noqa: E402
from assets.research import graph  # noqa: E402
from assets.resources import LakeResource, TrackingResource, VendorsResource  # noqa: E402
from assets.settings import settings  # noqa: E402
from orchestration.jobs import JOBS  # noqa: E402
from orchestration.schedules import SCHEDULES  # noqa: E402
from orchestration.sensors import SENSORS  # noqa: E402

_config = settings()

defs = dg.Definitions(
    assets=[
        *(raw.raw_asset(source) for source in _config.sources),
        core.normalize,
        core.universe,
        features.daily,
        graph.backtest,
        graph.sweep,
        graph.walk_forward,
        graph.report,
    ],
    asset_checks=checks.CHECKS,
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources={
        "lake": LakeResource(home=str(_config.home)),
        "tracking": TrackingResource(home=str(_config.home)),
        "vendors": VendorsResource(
            sources=list(_config.sources), symbols=list(_config.symbols), exchange=_config.exchange
        ),
    },
    # A process a step costs seconds; the parallel work is inside the engine.
    executor=dg.in_process_executor,
)
