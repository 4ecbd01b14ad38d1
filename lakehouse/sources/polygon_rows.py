"""Rows of a flat file on the way to a table, with what was left out of them, and the rules that need all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakehouse.errors import BadRows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass
class FlatFileRows:
    """The usable rows of a file, in the file's order.

    table : symbol (string) and the columns the caller named
    n_rows : lines read that were wanted, the bad ones included
    bad, odd : rows left out, by reason; `odd` ones are no fault of the file
    """

    table: pa.Table
    n_rows: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)

    def count_bad(self, reason: str, n_rows: int) -> None:
        """Add rows left out for a reason; none leave no trace."""
        if n_rows:
            self.bad[reason] = self.bad.get(reason, 0) + n_rows

    def count_odd(self, reason: str, n_rows: int) -> None:
        """Add rows left out, or collapsed, that are no fault of the file."""
        if n_rows:
            self.odd[reason] = self.odd.get(reason, 0) + n_rows

    def counts(self) -> dict[str, int]:
        """Return what was left out, by reason."""
        return {**self.bad, **self.odd}


def one_row_a_key(frame: pd.DataFrame, key: Sequence[str], rows: FlatFileRows) -> pd.DataFrame:
    """Return the rows sorted by key, each key once; counts the others.

    A row given again with equal values is one row. Rows that share a key and differ are all left out, as bad:
    none can be told to be right.
    """
    again = frame.duplicated(list(key), keep=False).to_numpy()
    if again.any():
        repeated = frame[again]
        unlike = repeated.drop_duplicates()
        differ = unlike.duplicated(list(key), keep=False)
        rows.count_odd("rows given twice", len(repeated) - len(unlike))
        rows.count_bad("rows that share a key and differ", int(differ.sum()))
        frame = frame.loc[~again | frame.index.isin(unlike.index[~differ.to_numpy()])]
    return frame.sort_values(list(key), kind="stable", ignore_index=True)


def refuse_many_bad(rows: FlatFileRows, *, what: str, max_bad_share: float) -> None:
    """Refuse a file where more than a share of its rows is bad.

    Raises
    ------
    BadRows : names the reasons with their counts.
    """
    n_bad = sum(rows.bad.values())
    if n_bad > max_bad_share * rows.n_rows:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(rows.bad.items()))
        raise BadRows(
            f"{n_bad:,} of {rows.n_rows:,} rows of {what} are unusable (more than {max_bad_share:.2%}): {reasons}; "
            "fetch the file again, or raise max_bad_share",
            rule="few_bad_rows",
        )
