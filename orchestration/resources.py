"""The resources of a deployment: what the types in `assets.resources` are where these settings are in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.resources import LakeResource, TrackingResource, VendorsResource

if TYPE_CHECKING:
    import dagster as dg

    from assets.settings import Settings


def resources_for(config: Settings) -> dict[str, dg.ConfigurableResource]:
    """Return the resources by the names assets ask for them."""
    return {
        "lake": LakeResource(home=str(config.home)),
        "tracking": TrackingResource(home=str(config.home)),
        "vendors": VendorsResource(
            sources=list(config.sources),
            symbols=list(config.symbols),
            exchange=config.exchange,
            options=config.options,
        ),
    }
