"""Errors of the engine, and the root of every package's error tree.

QuantlakeError            its text is written for the user: the rule, the value, the place
└── InputError            an argument breaks a documented rule; fix the argument
    └── UnknownFigure     a mapping of figures has none of that name; a KeyError too, as mappings have it
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QuantlakeError(Exception):
    """Root of all errors whose text is meant for the user."""


class InputError(QuantlakeError):
    """An argument breaks a documented rule; nothing was computed."""


class UnknownFigure(InputError, KeyError):
    """There is no figure of that name."""

    __str__ = Exception.__str__


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return the end of an error text that names the choice nearest to a misspelt name.

    Falls back to listing all choices where none is near, and to nothing where there are none.
    """
    known = sorted(set(choices))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        folded = {choice.casefold(): choice for choice in known}
        close = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""
