"""Errors of the lakehouse.

QuantlakeError
├── LakeError                 storage refused; nothing was changed
│   ├── UnknownTable          no table of this name or version
│   ├── UnknownColumn         no column of this name in the table
│   ├── BadRows               the rows break a rule of their table; carries the first offenders
│   ├── BadName               a symbol, partition value or exchange no path or calendar can take
│   ├── CorruptTable          the log or a data file is damaged; the text says how to repair it
│   ├── CorruptSnapshot       a vendor's stored answer no longer has its hash
│   ├── LockTimeout           another process is writing the table; the text names it
│   ├── UnknownFormat         a newer version or another tool wrote what this version must not guess at
│   ├── StorageFull           the disk has no room for what is to be written
│   ├── StorageFailed         the disk or its permissions refuse; the text names the place and what to change
│   └── QueryError            the SQL is wrong, or asks for what the connection may not do
└── SourceError               a data vendor did not give a usable answer
    ├── UnknownSymbol         the vendor does not know the symbol
    │   └── Delisted          the vendor says the symbol no longer trades
    ├── EmptyAnswer           no rows where rows were expected: suspect, never read as "delisted"
    ├── RateLimited           too many requests; carries how long the vendor asks to wait
    ├── DeniedAccess          no or wrong credentials; names the environment variable to set, never its value
    ├── BadPayload            the answer is not what the vendor documents
    └── SourceUnavailable     no answer: network, timeout or the vendor's own failure
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import QuantlakeError


class LakeError(QuantlakeError):
    """Root of the storage errors; the lake is as it was before the call."""


class UnknownTable(LakeError):
    """No table of this name is declared, or the asked version of it does not exist."""


class UnknownColumn(LakeError):
    """The table has no column of this name."""


class BadRows(LakeError):
    """Rows break a rule of their table; nothing was written.

    Parameters
    ----------
    message : the text for the user.
    rule : the broken rule in a few words, stable enough to group by.
    rows : the first offending rows, each a mapping from column to value.
    """

    def __init__(self, message: str, *, rule: str = "", rows: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.rule = rule
        self.rows: list[dict[str, Any]] = [dict(row) for row in rows]


class BadName(LakeError):
    """A symbol, partition value or exchange name that is not acceptable."""


class CorruptTable(LakeError):
    """A table's log or data is damaged; reading on would silently give wrong rows."""


class CorruptSnapshot(LakeError):
    """A stored vendor answer is missing or does not have the hash it is named by."""


class UnknownFormat(LakeError):
    """A table is in a form that this version of the code does not know."""


class LockTimeout(LakeError):
    """Another process held a table's write lock for longer than the caller would wait."""


class StorageFull(LakeError):
    """The disk is full; what was being written is not visible."""


class StorageFailed(LakeError):
    """The operating system refuses to read or write: permissions, a read-only or failing disk, a limit."""


class QueryError(LakeError):
    """A query is wrong, or asks for something the locked connection refuses."""


class SourceError(QuantlakeError):
    """Root of the vendor errors; no snapshot was stored for the request."""


class UnknownSymbol(SourceError):
    """The vendor does not know the symbol."""


class Delisted(UnknownSymbol):
    """The vendor states that the symbol no longer trades."""


class EmptyAnswer(SourceError):
    """The vendor answered without rows where rows were expected."""


class RateLimited(SourceError):
    """The vendor refuses because of too many requests.

    Parameters
    ----------
    message : the text for the user.
    retry_after : seconds the vendor asks to wait; None where it does not say.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeniedAccess(SourceError):
    """The vendor refuses the credentials, or none are set; asking again would not help."""


class BadPayload(SourceError):
    """The vendor's answer is not in the form it documents."""


class SourceUnavailable(SourceError):
    """The vendor could not be reached or failed."""
