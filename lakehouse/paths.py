"""Names that are safe as file names and partition values, and the folders of a lake.

Symbols come from vendors and users. `safe_key` is the only way from a symbol to a file name: one to one,
plain ASCII, never a parent folder, never a device name of Windows, and different symbols stay different on
file systems that ignore case.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote_to_bytes

from lakehouse.errors import BadName

MAX_SYMBOL_LENGTH = 32
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_^=")
_DEVICES = frozenset(["CON", "PRN", "AUX", "NUL", *(f"COM{n}" for n in range(10)), *(f"LPT{n}" for n in range(10))])
_PARTITION_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", re.ASCII)


def safe_key(symbol: str) -> str:
    """Return the file-name form of a symbol: itself where that is plain, else percent-encoded.

    The symbol is first brought to Unicode NFC. Upper-case letters, digits and ``.-_^=`` stay; every other
    character (lower case included, since some file systems fold case), a leading or trailing dot, and the
    first letter of a Windows device name are encoded. `symbol_of` undoes it.

    Raises
    ------
    BadName : not a string, empty, longer than 32 characters, or holding a control, formatting, private or
        unassigned character (NUL, line ends, right-to-left overrides).
    """
    if not isinstance(symbol, str):
        raise BadName(
            f"a symbol must be text, was {symbol!r} of type {type(symbol).__name__}; quote it in YAML and "
            "read CSV files with dtype=str and keep_default_na=False"
        )
    text = unicodedata.normalize("NFC", symbol)
    if not 0 < len(text) <= MAX_SYMBOL_LENGTH:
        raise BadName(f"a symbol has 1 to {MAX_SYMBOL_LENGTH} characters, was {ascii(symbol)[:80]}")
    for character in text:
        if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029":
            raise BadName(f"a symbol holds printable characters only, was {symbol!a} with U+{ord(character):04X}")
    encoded = "".join(c if c in _PLAIN else _encode(c) for c in text)
    if encoded.partition(".")[0] in _DEVICES or encoded.startswith("."):
        encoded = _encode(encoded[0]) + encoded[1:]
    if encoded.endswith("."):
        encoded = encoded[:-1] + _encode(".")
    return encoded


def symbol_of(key: str) -> str:
    """Return the symbol that `safe_key` made this key from."""
    return unquote_to_bytes(key).decode("utf-8")


def _encode(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8"))


def partition_value(value: str) -> str:
    """Return the value unchanged if it may name a partition.

    1 to 64 of the ASCII letters, digits, ``_``, ``.`` and ``-``, beginning with a letter or digit. Such a
    value needs no escaping in a path, in a Delta log or in a predicate.

    Raises
    ------
    BadName : anything else.
    """
    if not isinstance(value, str) or not _PARTITION_VALUE.fullmatch(value):
        raise BadName(
            "a partition value is 1 to 64 ASCII letters, digits, '_', '.' or '-' and begins with a letter or "
            f"digit; was {ascii(value)[:80]}"
        )
    return value


def tables_root(home: Path) -> Path:
    """Return the folder that holds every table of a lake."""
    return home / "tables"


def table_path(home: Path, table: str) -> Path:
    """Return the folder of one table (`layer/table`)."""
    return tables_root(home) / table


def copies_path(home: Path, table: str) -> Path:
    """Return the folder of the copies of one table's years, which repeat what the table holds."""
    return home / "copies" / table


def snapshots_root(home: Path) -> Path:
    """Return the folder that holds the vendors' answers."""
    return home / "snapshots"


def lock_path(home: Path, table: str) -> Path:
    """Return the lock file of one table."""
    return home / "locks" / table.replace("/", ".")
