"""What a source is: something that fetches a vendor's answers and reads them back.

`fetch` talks to the outside and changes nothing in what it got; `parse` is a pure function of an answer's
bytes and its request, so that tables can be rebuilt from snapshots at any later time.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from engine.errors import nearest
from lakehouse.errors import BadName, SourceError
from lakehouse.paths import safe_key
from lakehouse.snapshots import Answer

if TYPE_CHECKING:
    import pandas as pd

BAR_COLUMNS = ("symbol", "session", "open", "high", "low", "close", "volume")
ACTION_COLUMNS = ("symbol", "ex_date", "kind", "value")

_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-_^=]{0,31}", re.ASCII)

SOURCES: Mapping[str, str] = {
    "alpaca": "lakehouse.sources.alpaca:AlpacaSource",
    "alternative": "lakehouse.sources.alternative:AlternativeSource",
    "edgar": "lakehouse.sources.edgar:EdgarSource",
    "files": "lakehouse.sources.files:FilesSource",
    "membership": "lakehouse.sources.membership:MembershipSource",
    "polygon": "lakehouse.sources.polygon:PolygonSource",
    "sample": "lakehouse.sources.sample:SampleSource",
    "synthetic": "lakehouse.sources.synthetic:SyntheticSource",
    "yahoo": "lakehouse.sources.yahoo:YahooSource",
}


@dataclass(frozen=True)
class Parsed:
    """What an answer holds: daily bars and corporate actions as traded, or rows of other tables of `core`.

    bars : symbol, session (datetime64, the exchange's date), open, high, low, close, volume; one row a key
    actions : symbol, ex_date (datetime64), kind ("split" or "dividend"), value; a split's value is new shares
        per old one, a dividend's is cash per share as traded on the ex-date
    tables : rows of other tables by name, such as core/minute_bars: their columns but source, snapshot_id and
        month; times are datetime64[us, UTC], days datetime64. known_at is the row's own, from what the answer says
    counts : what was left out or mended on the way, by reason; empty where nothing was
    bad : daily bars that were left out because they break a rule, as answered; None for none
    set_aside : by table, bars that were mended or left out and are not among `bad`, as answered, each with its `reason`
        (`lakehouse.sources.quarantine.set_aside`)
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    bad: pd.DataFrame | None = None
    set_aside: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """A vendor. `name` and `dataset` go into the manifest with each answer."""

    name: str
    dataset: str

    def symbols(self, configured: Sequence[str]) -> list[str]:
        """Return the symbols to fetch: the configured ones, checked; none means all, where a source can."""
        ...

    def fetch(
        self,
        symbols: Sequence[str],
        start: date,
        end: date,
        *,
        as_of: datetime,
        progress: Callable[[str], None] | None = None,
    ) -> Iterator[Answer]:
        """Yield the vendor's answers for the sessions in [start, end) as known at `as_of` (UTC)."""
        ...

    def parse(self, content: bytes, request: Mapping[str, Any]) -> Parsed:
        """Return an answer's bars and actions; the same bytes and request always give the same."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A source that can leave out what is stored already: the vendor says that it has not changed, or it was stored
    by a fetch that broke off."""

    def remembering(self, stored: Iterable[Mapping[str, Any]]) -> Source:
        """Return the same source, which fetches of these answers only those that may have changed.

        Parameters
        ----------
        stored : rows of raw/snapshots of the source and dataset, of answers whose bytes are there
        """
        ...


def get_source(name: str, options: Mapping[str, Any] | None = None) -> Source:
    """Return the source of that name, made with its options.

    Raises
    ------
    SourceError : an unknown source or option (the text names the nearest), or one without another it needs.
    """
    if name not in SOURCES:
        raise SourceError(f"there is no source {name!r}{nearest(name, SOURCES)}")
    module, _, attribute = SOURCES[name].partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    known = list(inspect.signature(kind).parameters)
    for option in options or {}:
        if option not in known:
            raise SourceError(f"source {name!r} has no option {option!r}{nearest(option, known)}")
    source: Source = kind(**(options or {}))
    return source


def check_symbol(symbol: object) -> str:
    """Return the symbol: 1 to 32 of A-Z, 0-9 and ``.-_^=``, beginning with a letter, a digit or ``^``.

    NA, ON, TRUE, 1E5, BRK.B, ^GSPC and BTC-USD are symbols like any other.

    Raises
    ------
    BadName : not text (a reader made NA or ON into something else), or other characters; names the rule.
    """
    if not isinstance(symbol, str):
        raise BadName(
            f"a symbol must be text, was {symbol!r} of type {type(symbol).__name__}; quote it in YAML, and "
            "store it as text in files"
        )
    if not _SYMBOL.fullmatch(symbol):
        upper = symbol.strip().upper()
        hint = f"; did you mean {upper!r}?" if _SYMBOL.fullmatch(upper) else ""
        raise BadName(
            "a symbol is 1 to 32 of A-Z, 0-9 and .-_^= and begins with a letter, a digit or ^; was "
            f"{ascii(symbol)[:80]}{hint}"
        )
    safe_key(symbol)
    return symbol


def check_as_of(as_of: datetime) -> datetime:
    """Return `as_of`, which must know its time zone."""
    if as_of.tzinfo is None:
        raise SourceError(f"as_of must be timezone-aware, was {as_of.isoformat()}")
    return as_of


def check_asked(start: date, end: date, as_of: datetime) -> None:
    """Check what every source is asked: sessions in [start, end), as known at a moment.

    Raises
    ------
    SourceError : an empty range, or a moment without a time zone.
    """
    check_as_of(as_of)
    if not start < end:
        raise SourceError(f"the range to fetch must not be empty, was [{start}, {end})")


def distinct_symbols(configured: Sequence[str]) -> list[str]:
    """Return the symbols, each once, in order.

    Raises
    ------
    BadName : one is no symbol.
    """
    return list(dict.fromkeys(check_symbol(symbol) for symbol in configured))


def empty_bars() -> pd.DataFrame:
    """Return a frame of bars without rows."""
    import pandas as pd

    return pd.DataFrame(
        {
            "symbol": pd.Series(dtype="str"),
            "session": pd.Series(dtype="datetime64[s]"),
            **{name: pd.Series(dtype="float64") for name in BAR_COLUMNS[2:]},
        }
    )


def empty_actions() -> pd.DataFrame:
    """Return a frame of actions without rows."""
    return _no_actions().copy()


@cache
def _no_actions() -> pd.DataFrame:
    """Made once: most answers hold no action, and an empty frame takes as long as a full one."""
    import pandas as pd

    return pd.DataFrame(
        {
            "symbol": pd.Series(dtype="str"),
            "ex_date": pd.Series(dtype="datetime64[s]"),
            "kind": pd.Series(dtype="str"),
            "value": pd.Series(dtype="float64"),
        }
    )


def stack_actions(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the actions of several symbols as one frame, sorted by symbol, ex-date and kind."""
    import pandas as pd

    rows = [part for part in parts if len(part)]
    if not rows:
        return empty_actions()
    stacked = pd.concat(rows, ignore_index=True)[list(ACTION_COLUMNS)]
    return stacked.sort_values(["symbol", "ex_date", "kind"], kind="stable", ignore_index=True)
