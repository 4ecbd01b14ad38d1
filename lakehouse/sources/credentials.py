"""Vendors' keys: from the environment, when they are used, and never in a text."""

from __future__ import annotations

import os

from lakehouse.errors import DeniedAccess


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
