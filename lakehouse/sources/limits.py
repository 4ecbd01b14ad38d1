"""How much one answer may hold; a vendor that sends more is refused, not believed."""

from __future__ import annotations

from lakehouse.errors import BadPayload

MAX_ROWS = 1_000_000
"""Of an answer of one symbol: the largest known ones, of companies' figures, have some hundred thousand."""


def check_rows(n_rows: int, max_rows: int, *, what: str) -> None:
    """Refuse an answer of more rows than `max_rows`.

    Raises
    ------
    BadPayload : names both numbers and the option.
    """
    if n_rows > max_rows:
        raise BadPayload(f"{n_rows:,} rows are in {what}, more than {max_rows:,}: ask for less, or raise max_rows")
