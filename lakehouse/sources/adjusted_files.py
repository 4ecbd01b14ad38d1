"""Splits and dividends of a file that has an adjusted close and no columns of them: inferred from it.

What cannot be inferred, and how it shows:

- A file's first session of a symbol has no day before it in the file: an event on it is not seen.
- A dividend below what the rounding of the adjusted close hides is not seen (two decimals at a price of 10 hide a tenth
  of a percent), and one above it has the fewest decimals that the rounding allows.
- Single precision (seven digits) is noise on every day: such a file is refused, or shows dividends that were none.
- The convention (`lakehouse.adjusting.conventions`) is the vendor's and cannot be seen in the file; the wrong one is
  off by the day's price change.
- A factor that is no known split, dividend or both (a spin-off, an error) refuses the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakehouse.actions import derive_actions
from lakehouse.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

    from lakehouse.adjusting.conventions import Convention

ADJUSTED = "adj_close"
_MOST_DECIMALS = 10


def check_adjusted(columns: Mapping[str, str]) -> None:
    """Refuse a mapping that has an adjusted close beside columns of splits or dividends, which say more.

    Raises
    ------
    SourceError : both are named.
    """
    beside = [name for name in ("split", "dividend") if name in columns]
    if ADJUSTED in columns and beside:
        raise SourceError(
            f"columns names {ADJUSTED} and {' and '.join(beside)}: an adjusted close is for files that tell of neither;"
            f" leave {ADJUSTED} out, they are read as they are"
        )


def inferred_actions(table: pd.DataFrame, convention: Convention) -> Iterator[pd.DataFrame]:
    """Yield each symbol's splits and dividends, found in its close and adjusted close.

    Parameters
    ----------
    table : symbol, session (datetime64), close, adj_close; sorted by symbol and session
    convention : with which the vendor adjusts, as in `lakehouse.adjusting.conventions`

    Raises
    ------
    BadRows : the adjusted close is not positive, or moves by what is neither split nor dividend nor both.
    LakeError : no such convention.
    """
    for symbol, part in table.groupby("symbol", sort=True):
        adjusted = part[ADJUSTED].to_numpy()
        yield derive_actions(
            part["session"],
            part["close"],
            adjusted,
            convention=convention,
            decimals=_decimals(adjusted),
            symbol=str(symbol),
        ).assign(symbol=str(symbol))


def _decimals(values: NDArray[np.float64]) -> int | None:
    """Return the decimals to which all values are rounded; None where they have more than `_MOST_DECIMALS`."""
    for digits in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(values, digits), values):
            return digits
    return None
