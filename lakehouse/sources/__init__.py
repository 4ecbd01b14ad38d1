"""Where data comes from: one file a vendor."""

from __future__ import annotations

from lakehouse.sources.base import SOURCES, Parsed, Source, get_source

__all__ = ["SOURCES", "Parsed", "Source", "get_source"]
