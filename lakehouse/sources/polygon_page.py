"""The frame that every page of Polygon's answers has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.errors import BadPayload
from lakehouse.sources.payload import load_json

_STATES = ("OK", "DELAYED")


def read_page(content: bytes, *, what: str) -> Mapping[str, Any]:
    """Return a page's object.

    Raises
    ------
    BadPayload : no object, or one with another status than OK or DELAYED. What the vendor says besides is not
        shown, it may repeat the key.
    """
    page = load_json(content, what=what)
    if not isinstance(page, dict):
        raise BadPayload(f"{what} is no object; try again later")
    if page.get("status") not in _STATES:
        raise BadPayload(f"{what} has the status {page.get('status')!r:.40}; check the plan, and try again later")
    return page


def results_of(content: bytes, *, what: str) -> list[dict[str, Any]]:
    """Return a page's results, each an object; none where the vendor leaves them out.

    Raises
    ------
    BadPayload : as `read_page`, or results in another form.
    """
    page = read_page(content, what=what)
    results = page.get("results")
    if results is None and page.get("resultsCount", page.get("count", 0)) in (0, None):
        return []
    if not isinstance(results, list) or not all(isinstance(row, dict) for row in results):
        raise BadPayload(f"{what} has no list of results; try again later")
    return results
