"""Series with revisions, read as they were known at a time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from lakehouse.errors import LakeError

if TYPE_CHECKING:
    import pandas as pd

_ABOUT = ["name", "symbol", "about"]


def as_of(frame: pd.DataFrame, when: dt.datetime) -> pd.DataFrame:
    """Return the rows that were known at `when` and not yet revised: one a name, symbol and day it is about.

    A row counts from its `known_at` on, that moment included. What is known later changes nothing, so that the
    answer for a time is the same whenever it is asked for.

    Parameters
    ----------
    frame : rows of core/series; name, symbol, about and known_at (datetime64 with a zone) are read
    when : timezone-aware

    Returns
    -------
    The rows with all their columns, sorted by name, symbol and about.

    Raises
    ------
    LakeError : a time without a zone.
    """
    import pandas as pd

    if when.tzinfo is None:
        raise LakeError(f"the time to read a series at must be timezone-aware, was {when.isoformat()}")
    if not isinstance(frame["known_at"].dtype, pd.DatetimeTZDtype):
        raise LakeError(f"known_at of a series must be timezone-aware, was {frame['known_at'].dtype}")
    known = frame[frame["known_at"] <= when].sort_values([*_ABOUT, "known_at"], kind="stable")
    return known.drop_duplicates(_ABOUT, keep="last").reset_index(drop=True)
