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

    An entry of `sources` names a source, or a source and its dataset ("polygon/splits"). `options` are arguments
    of a source by its name, such as another address to ask. `most_bad_rows` is the share of a month's bars of a
    source that may break a rule.
    """

    sources: list[str]
    symbols: list[str]
    exchange: str
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    most_bad_rows: float = 0.001

    def source(self, entry: str, **more: Any) -> "Source":
        """Return the source of an entry, to fetch from or to read snapshots by; `more` are further options."""
        from lakehouse.sources import get_source
        from lakehouse.sources.catalogue import entry_of

        named = entry_of(entry)
        return get_source(named.source, {**self.options.get(named.source, {}), **named.options, **more})

    @property
    def source_names(self) -> list[str]:
        """The sources' names without datasets, each once, in rising precedence."""
        from lakehouse.sources.catalogue import entry_of

        return list(dict.fromkeys(entry_of(entry).source for entry in self.sources))

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
