"""After a write: copies of whole years for those who read few symbols or all of history."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def arrange(lake: Lake, table: str, log: logging.Logger) -> None:
    """Copy the years that have no copy any more. Without one readers are slower, so that a failure stops nothing."""
    from lakehouse.errors import LakeError

    try:
        years = lake.arrange(table)
    except (LakeError, OSError) as error:
        log.warning(f"{table} could not be copied for readers, who are slower without: {error}")
        return
    if years:
        log.info(f"{table}: copied {years[0]} to {years[-1]} for readers")
