"""Vendors' keys: from the environment, when they are used, and never in a text, a log or a snapshot.

A vendor may send back what it was sent. A text of its that goes into an error loses every known credential, and an
answer that holds one is refused before anything reads, quotes or keeps it.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from lakehouse.errors import BadPayload, DeniedAccess

_SHORTEST = 6
"""Characters a value must have to count: shorter ones are in every answer by chance."""


def credential(variable: str, *, vendor: str) -> str:
    """Return a key from the environment.

    Raises
    ------
    DeniedAccess : the variable is not set, or holds what cannot be sent in a header (the text never shows it).
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise DeniedAccess(f"{vendor} needs a key: set the environment variable {variable}")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise DeniedAccess(
            f"the environment variable {variable} holds characters that no key of {vendor} has, such as spaces or "
            "line breaks: set it again"
        )
    return value


def known_values(variables: Iterable[str]) -> dict[str, str]:
    """Return the credentials that the environment holds, by the variables' names."""
    values = {variable: os.environ.get(variable, "").strip() for variable in variables}
    return {variable: value for variable, value in values.items() if len(value) >= _SHORTEST}


def redacted(text: str, values: Iterable[str]) -> str:
    """Return the text with each value, however it is spelt, replaced by ``***``."""
    spelt = sorted({spelling for value in values for spelling in _spellings(value)}, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, spelt)), "***", text, flags=re.IGNORECASE) if spelt else text


def refuse_echo(said: str | bytes, values: Mapping[str, str], *, what: str) -> None:
    """Refuse what a vendor said where it holds a credential.

    Parameters
    ----------
    values : the credentials, by the variables' names
    what : named in the error

    Raises
    ------
    BadPayload : it does; names the variable.
    """
    content = (said.encode() if isinstance(said, str) else said).lower()
    for variable, value in values.items():
        if any(spelling.lower().encode() in content for spelling in _spellings(value)):
            raise BadPayload(
                f"{what} repeats the credential in {variable}: nothing of it is kept; check who answers at that "
                "address, and change the credential if others can read such answers"
            )


def _spellings(value: str) -> set[str]:
    """Return the value as it is, and as a URL, JSON or HTML would write it."""
    return {value, quote(value, safe=""), json.dumps(value)[1:-1], html.escape(value)}
