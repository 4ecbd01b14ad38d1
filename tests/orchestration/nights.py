"""A home filled night after night from loopback vendors, through real Dagster runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from pytest_httpserver import HTTPServer

from assets.recipes import recipe
from assets.settings import Settings
from lakehouse.rebuilding import rebuild
from lakehouse.sources.polygon_ticks import QUOTES, TRADES
from orchestration.definitions import definitions_for
from orchestration.materialize import materialize
from tests.homes import Home, open_home
from tests.orchestration.flat_file_server import BAR_HEADER, FlatFiles, Pages, bar, flat_files, quote, trade
from tests.orchestration.yahoo_server import VendorsAt

SYMBOLS = ("META", "RE")
DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8)]


@dataclass
class World:
    """The vendors, the home filled from them, and what happened in the nights; `now` is the night it is."""

    home: Home
    files: FlatFiles
    pages: Pages
    folder: Path
    entries: tuple[str, ...]
    tables: tuple[str, ...]
    now: str = "2024-01-05T12:00:00+00:00"
    versions: list[dict[str, int]] = field(default_factory=list)
    rows: list[dict[str, pa.Table]] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)

    @property
    def vendors(self) -> VendorsAt:
        quick = {"wait_initial": 0.01, "wait_max": 0.02, "timeout": 5}
        rates = {"rate_folder": str(self.folder)}
        return VendorsAt(
            sources=list(self.entries),
            symbols=list(SYMBOLS),
            exchange="XNYS",
            options={
                "polygon": {"endpoint_url": self.files.url, "base_url": self.pages.url, "missing": "skip", **quick},
                "edgar": {"base_url": self.pages.url, "tickers_url": self.pages.url, **rates, **quick},
                "membership": {"path": str(self.folder / "members.csv")},
                "alternative": {
                    "path": str(self.folder / "series.csv"),
                    "columns": {"known_at": "time", "value": "score", "name": "=mood"},
                },
            },
            at=self.now,
        )

    @property
    def graph(self) -> dg.Definitions:
        config = Settings(home=self.home.path, sources=self.entries, symbols=SYMBOLS)
        return definitions_for(config, {"vendors": self.vendors})

    def night(self) -> None:
        """Run raw and core, with all checks, over the month."""
        graph = self.graph
        keys = graph.resolve_asset_graph().get_all_asset_keys()
        chosen = [key.to_user_string() for key in keys if key.path[0] in ("raw", "core")]
        self.files.asked.clear()
        result = materialize(self.home.instance, chosen, definitions=graph, partition_range=("2024-01", "2024-01"))
        failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
        assert set(failed) <= {"calendar_gaps", "stale_symbols"}, failed
        self.asked.append([method for method, _ in self.files.asked])
        self.versions.append(self.home.lake.pins(list(self.tables)))
        self.rows.append({table: self.home.lake.scan(table) for table in self.tables})

    def sql(self, query: str) -> list[dict[str, Any]]:
        return self.home.lake.sql(query).to_pylist()  # type: ignore[no-any-return]

    def is_made_again(self, table: str) -> bool:
        """Return whether the snapshots make the table as it is stored, and as the last night left it."""
        lake, at = self.home.lake, dt.datetime.fromisoformat(self.now)
        make = recipe(table, lake, self.vendors, start="2024-01", today=at.date())
        is_sound = rebuild(lake, table, make, partitions=None, check=True, now=at).is_sound
        return is_sound and lake.scan(table).equals(self.rows[-1][table])


def publish(files: FlatFiles, day: dt.date, shift: float = 0.0) -> None:
    """Put the day's bars, minutes, trades and quotes of both symbols into the bucket."""
    rows = [(symbol, 100.0 + at + shift) for at, symbol in enumerate(SYMBOLS)]
    files.put("day", day, BAR_HEADER, [bar(symbol, day, "00:00:00", close) for symbol, close in rows])
    clocks = ("09:30:00", "15:59:00")
    files.put("minute", day, BAR_HEADER, [bar(symbol, day, at, close, 50) for symbol, close in rows for at in clocks])
    files.put("trades", day, TRADES.columns, [trade(symbol, day, "10:00:00", 7, close) for symbol, close in rows])
    files.put("quotes", day, QUOTES.columns, [quote(symbol, day, "10:00:00", 8, close) for symbol, close in rows])


@contextmanager
def nights(folder: Path, server: HTTPServer, entries: tuple[str, ...], tables: tuple[str, ...]) -> Iterator[World]:
    """Give a world without a night yet, for the while."""
    with pytest.MonkeyPatch.context() as patch, flat_files() as files:
        for name in ("POLYGON_S3_ACCESS_KEY_ID", "POLYGON_S3_SECRET_ACCESS_KEY", "POLYGON_API_KEY"):
            patch.setenv(name, f"canary{name}")
        patch.setenv("QUANTLAKE_EDGAR_CONTACT", "canary@example.com")
        for home in open_home(folder / "home"):
            yield World(home, files, Pages(server), folder, entries, tables)
