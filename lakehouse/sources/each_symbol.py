"""Fetching symbol by symbol, or file by file: a bad one keeps no other from coming, an outage ends it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.errors import QuantlakeError
from lakehouse.errors import BadRows, DeniedAccess, RateLimited, SourceError, SourceUnavailable
from lakehouse.snapshots import Answer

_MEETS_EVERY_SYMBOL = (DeniedAccess, RateLimited, SourceUnavailable)


def each_symbol(
    source: str,
    symbols: Sequence[str],
    fetch: Callable[[str], Iterator[Answer]],
    progress: Callable[[str], None] | None,
    *,
    units: str = "symbols",
) -> Iterator[Answer]:
    """Yield the answers that `fetch` gives for each symbol, in order, and tell `progress` of each.

    Parameters
    ----------
    units : what the symbols are called in an error, where they are something else: "files", "requests"

    Raises
    ------
    DeniedAccess, RateLimited, SourceUnavailable : at once, they would meet every symbol.
    SourceError, BadRows : after the last symbol; several symbols' errors are one SourceError.
    """
    failures: list[QuantlakeError] = []
    for place, symbol in enumerate(symbols, start=1):
        if progress is not None:
            progress(f"{source}: {symbol} ({place} of {len(symbols)})")
        try:
            yield from fetch(symbol)
        except _MEETS_EVERY_SYMBOL:
            raise
        except (SourceError, BadRows) as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        said = " | ".join(str(error) for error in failures)
        raise SourceError(f"{len(failures)} of {len(symbols)} {units} failed: {said}")
