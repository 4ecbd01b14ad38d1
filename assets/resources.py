"""Resource types the assets ask for; their values per environment are set in `orchestration/`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from assets.tracking import Tracking
    from lakehouse.lake import Lake
    from lakehouse.sources import Source


class LakeResource(dg.ConfigurableResource):
    """The lakehouse under one home folder."""

    home: str

    def open(self) -> "Lake":
        """Return the lake; nothing is touched on disk before it is used."""
        from lakehouse.lake import Lake

        return Lake(Path(self.home))


class VendorsResource(dg.ConfigurableResource):
    """The data sources in force, in order: for a symbol that two carry, the later one counts.

    `options` are arguments of a source by its name, such as another address to ask.
    """

    sources: list[str]
    symbols: list[str]
    exchange: str
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def source(self, name: str) -> "Source":
        """Return the source of that name, to fetch from or to read snapshots by."""
        from lakehouse.sources import get_source

        return get_source(name, self.options.get(name))

    def now(self) -> datetime:
        """Return the present; everything below takes it as an argument."""
        return datetime.now(UTC)


class TrackingResource(dg.ConfigurableResource):
    """The MLflow store under one home folder."""

    home: str

    def open(self) -> "Tracking":
        """Return the tracking layer with its store initialised."""
        from assets.tracking import Tracking

        tracking = Tracking(Path(self.home))
        tracking.initialise()
        return tracking
