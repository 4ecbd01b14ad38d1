"""Jobs: what is refreshed together, in one run."""

from __future__ import annotations

import dagster as dg

# Raw, core and features share their month partitions, so that one run takes a night's session through all of them.
DATA = dg.AssetSelection.groups("raw", "core", "features")

refresh = dg.define_asset_job(
    "refresh",
    selection=DATA,
    description="Snapshots, bars, actions, universes and features of the chosen months, with their checks.",
    tags={"layer": "data"},
)

JOBS = [refresh]
