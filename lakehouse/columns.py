"""Arrow tables as arrays: rows known at a moment, symbols by number, days and microseconds since 1970."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import LakeError

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]


def known(rows: pa.Table, as_of: dt.datetime) -> pa.Table:
    """Return the rows that were known at `as_of`.

    Raises
    ------
    LakeError : `as_of` has no time zone.
    """
    import pyarrow.compute as pc

    if as_of.tzinfo is None:
        raise LakeError(f"as_of must be timezone-aware, was {as_of.isoformat()}")
    late = pc.greater(rows.column("known_at"), as_of)
    return rows.filter(pc.invert(late)) if pc.any(late).as_py() else rows


def numbered(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """Return the distinct values in order of appearance, and each row's number among them."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)


def days(column: pa.ChunkedArray) -> Ints:
    """Return dates, or the dates of times without zone, as days since 1970."""
    import pyarrow as pa

    answer: Ints = column.cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)
    return answer


def microseconds(column: pa.ChunkedArray) -> Ints:
    """Return times with a zone as microseconds since 1970, UTC."""
    import pyarrow as pa

    answer: Ints = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return answer
