"""Jobs: what is refreshed together, in one run."""

from __future__ import annotations

import dagster as dg

# Raw, core and features share their month partitions, so that one run takes a night's session through all of them.
DATA = dg.AssetSelection.groups("raw", "core", "features")

# Of a run over all walk-forward windows of one spec: which.
SPEC_TAG = "quantlake/spec"

refresh = dg.define_asset_job(
    "refresh",
    selection=DATA,
    description="Snapshots, bars, actions, universes and features of the chosen months, with their checks.",
    tags={"layer": "data"},
)

walk_forwards = dg.define_asset_job(
    "walk_forwards",
    selection=["research/walk_forward"],
    description="All walk-forward windows of a spec, searched and judged anew on the data of today.",
    tags={"layer": "research"},
)

# Its partitions are specs, those of the windows are specs and years: one job cannot run both.
reports = dg.define_asset_job(
    "reports",
    selection=["research/report"],
    description="The stitched out-of-sample run of a spec, from its windows.",
    tags={"layer": "research"},
)

upkeep = dg.define_asset_job(
    "upkeep",
    selection=["lake/upkeep"],
    description="Old versions, leftovers and scattered files of the lake.",
)

JOBS = [refresh, walk_forwards, reports, upkeep]
