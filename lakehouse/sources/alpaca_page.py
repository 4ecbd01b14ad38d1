"""The frame that every page of Alpaca's answers has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.errors import BadPayload
from lakehouse.sources.payload import load_json


def read_page(content: bytes, symbol: str) -> Mapping[str, Any]:
    """Return a page's object, which must say whether there is another page.

    Raises
    ------
    BadPayload : not that.
    """
    page = load_json(content, what=f"Alpaca's answer for {symbol}")
    # Without the field a cut-off list would pass for a whole one.
    if not isinstance(page, dict) or "next_page_token" not in page:
        said = page.get("message") if isinstance(page, dict) else None
        raise BadPayload(f"Alpaca's answer for {symbol} has no next_page_token ({str(said)[:100]}); try again later")
    return page


def next_page_token(content: bytes, symbol: str) -> str | None:
    """Return what asks for the next page, None on the last one.

    Raises
    ------
    BadPayload : not a page of Alpaca's.
    """
    token = read_page(content, symbol)["next_page_token"]
    if token is not None and not isinstance(token, str):
        raise BadPayload(f"Alpaca's answer for {symbol} has a next_page_token that is no text, was {token!r:.80}")
    return token or None
