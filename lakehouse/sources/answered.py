"""Which corporate actions an answer would have told of, had there been any: read from its manifest row."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from lakehouse.sources.catalogue import BARS, BOTH, CATALOGUE, action_kinds


def covered_kinds(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of actions the answer could have carried.

    A file carries those that its mapping has columns for, and both where it has an adjusted close.
    """
    columns = _request(row).get("columns")
    if row["source"] == "files" and isinstance(columns, Mapping):
        return tuple(kind for kind in BOTH if kind in columns or "adj_close" in columns)
    return action_kinds(str(row["source"]), row.get("dataset"))


def covered_days(row: Mapping[str, Any], n_actions: int) -> tuple[dt.date, dt.date] | None:
    """Return the first and last ex-date that an answer of actions alone tells of; None where that is unsure.

    Of an answer in several pages each tells of a part, and one that broke off lacks the last: only a first page
    that is at most half full (equal actions are merged) is surely all.
    """
    vendor = CATALOGUE.get(str(row["source"]))
    dataset = None if vendor is None else vendor.datasets.get(str(row.get("dataset")))
    if dataset is None or BARS in dataset.tables or not dataset.actions:
        return None
    first, last = row.get("first_session"), row.get("last_session")
    request = _request(row)
    limit = (request.get("params") or {}).get("limit")
    is_whole = request.get("page", 1) == 1 and (limit is None or 2 * n_actions <= int(limit))
    return (first, last) if first is not None and last is not None and is_whole else None


def asked_symbols(row: Mapping[str, Any]) -> list[str]:
    """Return the symbols an answer was asked about; none means all."""
    if row.get("symbol") is not None:
        return [str(row["symbol"])]
    among = str((_request(row).get("params") or {}).get("ticker.any_of") or "")
    return [symbol for symbol in among.split(",") if symbol]


def _request(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the request of a manifest row, whether as a mapping or as the JSON text it is stored as."""
    request = row.get("request") or {}
    return json.loads(request) if isinstance(request, str) else request
