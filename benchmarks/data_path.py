"""The way of the data: from a file into a table, out of it again, a night in which nothing changed, size on disk."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import timing
from benchmarks.made_up_bars import daily_bars
from benchmarks.results import Row, row

if TYPE_CHECKING:
    import pyarrow as pa

BARS = "core/daily_bars"
EXCHANGE = "XNYS"
N_SYMBOLS, N_SESSIONS = 500, 2_520
COLUMNS = ("symbol", "bar_end", "open", "high", "low", "close", "volume")
LONG_AGO, FAR_AWAY = dt.date(1990, 1, 1), dt.date(2100, 1, 1)
AS_OF = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
REAL = ("av_daily", "daily_120_1999_2019.parquet")
REAL_COLUMNS = {
    "symbol": "ticker",
    "session": "date",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "dividend": "dividend_amount",
    "split": "split_coefficient",
}
_HOLDS = "unlike the peer it checks the rows, locks the table, syncs to disk and reads back"


def data_costs(*, repeats: int = 5) -> list[Row]:
    """Return what the data path costs: into the lake, out of it, a night without news, and the size on disk."""
    with tempfile.TemporaryDirectory(prefix="quantlake-bench-") as name:
        folder = Path(name)
        (folder / "real").mkdir()
        rows = into_the_lake(folder / "real", repeats)
        made, months = daily_bars(N_SYMBOLS, N_SESSIONS)
        rows += out_of_the_lake(folder / "made", made, months, repeats)
        rows += quiet_night(folder / "night", repeats)
    return rows


def into_the_lake(folder: Path, repeats: int) -> list[Row]:
    """Return the costs of normalizing a vendor's file and of writing the table, beside a bare Delta write."""
    from deltalake import write_deltalake

    from lakehouse.calendar import month_keys
    from lakehouse.lake import Lake
    from lakehouse.normalize import normalize
    from lakehouse.sources import get_source

    source, what = _real_or_sample(get_source)
    (answer,) = source.fetch([], LONG_AGO, FAR_AWAY, as_of=AS_OF)
    months = month_keys(answer.first_session, answer.last_session + dt.timedelta(days=1))
    manifest = {"source": answer.source, "snapshot_id": answer.snapshot_id, "known_at": AS_OF}
    parsed = source.parse(answer.content, answer.request)
    table = normalize([(manifest, parsed)], exchange=EXCHANGE, months=months).bars
    number = itertools.count()

    def replaced() -> None:
        Lake(folder / f"lake-{next(number)}").replace(BARS, table, partitions=months, batch_id="bench")

    def written() -> None:
        write_deltalake(folder / f"delta-{next(number)}", table, partition_by=["month"])

    samples = _timed(
        {
            "parse": lambda: source.parse(answer.content, answer.request),
            "normalize": lambda: normalize([(manifest, parsed)], exchange=EXCHANGE, months=months),
            "replace": replaced,
            "write": written,
        },
        repeats,
    )
    size = f"{table.num_rows:,} rows of {what} in {len(months)} months"
    rate = table.num_rows / timing.median(samples["normalize"], "wall")
    return [
        row("parse a vendor's file", samples["parse"], note=size),
        row("normalize", samples["normalize"], note=f"{size}: {rate:,.0f} rows/s, corporate actions included"),
        row(
            "Lake.replace, new table",
            samples["replace"],
            {"write_deltalake": samples["write"]},
            note=f"{size}; {_HOLDS}",
        ),
    ]


def out_of_the_lake(folder: Path, made: pa.Table, months: list[str], repeats: int) -> list[Row]:
    """Return the costs of reading one symbol, and all of them as the engine's bars, beside bare Parquet; and sizes."""
    import pyarrow.csv as pc
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    from lakehouse.daily_panels import daily_panels
    from lakehouse.lake import Lake

    lake = Lake(folder / "home")
    lake.replace(BARS, made, partitions=months, batch_id="bench")
    started = time.perf_counter()
    lake.arrange(BARS)
    arranging = time.perf_counter() - started
    one, text = folder / "one.parquet", folder / "bars.csv"
    pq.write_table(made, one, compression="zstd")
    pc.write_csv(made, text)
    table = lake.home / "tables" / BARS
    files = [str(file) for file in sorted(table.rglob("*.parquet")) if "_delta_log" not in file.parts]
    wanted = [("symbol", "=", "S0100")]
    samples = _timed(
        {
            "symbol": lambda: lake.scan(BARS, where=wanted),
            "symbol bare": lambda: pq.read_table(one, filters=wanted),
            "panels": lambda: daily_panels(lake),
            "months bare": lambda: ds.dataset(files, format="parquet").to_table(columns=list(COLUMNS)),
            "one bare": lambda: pq.read_table(one, columns=list(COLUMNS)).to_pandas(),
        },
        3 * repeats,
    )
    mib = {
        "the table": sum(Path(file).stat().st_size for file in files) / 2**20,
        "copies of years for readers": sum(f.stat().st_size for f in (lake.home / "copies").rglob("*.parquet")) / 2**20,
        "one Parquet file": one.stat().st_size / 2**20,
        "CSV": text.stat().st_size / 2**20,
    }
    size = f"{made.num_rows:,} rows in {len(months)} months"
    sizes = ", ".join(f"{name} {value:.1f} MiB" for name, value in mib.items())
    return [
        row(
            "Lake.scan of one symbol's ten years",
            samples["symbol"],
            {"pq.read_table": samples["symbol bare"]},
            note=size,
        ),
        row(
            "ten years of 500 symbols as engine Bars",
            samples["panels"],
            {"the table's files by pyarrow.dataset": samples["months bare"], "one file by pandas": samples["one bare"]},
            note=f"{size}; peers give rows, not panels; copies made in {arranging:.1f} s; on disk: {sizes}",
        ),
    ]


def quiet_night(folder: Path, repeats: int) -> list[Row]:
    """Return what a nightly refresh of 500 symbols costs in which no source has news, its fetching left out."""
    os.environ.update(_settings(folder))
    try:
        return _quiet_night(folder, repeats)
    finally:
        for name in _settings(folder):
            del os.environ[name]


def _settings(folder: Path) -> dict[str, str]:
    return {
        "QUANTLAKE_HOME": str(folder),
        "QUANTLAKE_SOURCES": "synthetic",
        "QUANTLAKE_START": "2024-06",
        "QUANTLAKE_CONFIG": "",
    }


def _quiet_night(folder: Path, repeats: int) -> list[Row]:
    from assets.settings import load_settings
    from lakehouse.sources import get_source
    from orchestration.definitions import definitions_for
    from orchestration.instance import open_instance
    from orchestration.materialize import materialize

    options = {"synthetic": {"n_symbols": N_SYMBOLS, "begin": "2024-06-01"}}
    config = load_settings(options=options)
    definitions = definitions_for(config)
    selection = ["raw/synthetic", BARS, "core/corporate_actions", "core/universe", "features/daily"]
    now = dt.datetime.now(dt.UTC)
    night = f"{now:%Y-%m}"
    samples = []
    with open_instance(config.home) as instance:
        materialize(instance, selection, partition_range=("2024-06", night), definitions=definitions)
        for _ in range(repeats + 1):
            source = get_source("synthetic", options["synthetic"])
            symbols = source.symbols([])
            started = time.perf_counter()
            for _ in source.fetch(symbols, now.date().replace(day=1), now.date(), as_of=now):
                pass
            fetching = time.perf_counter() - started
            wall, cpu = time.perf_counter(), time.process_time()
            materialize(instance, selection, partition_range=(night, night), definitions=definitions)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            samples.append(timing.Sample(max(wall - fetching, 0.0), max(cpu - fetching, 0.0)))
    note = f"{N_SYMBOLS} symbols, raw to features with all checks in one Dagster run; the source's own time is left out"
    return [row("a night without news", samples[1:], note=note)]


def _real_or_sample(get_source: Callable[..., Any]) -> tuple[Any, str]:
    """Return a source of recorded prices where they are on this machine, else the embedded sample, and a name."""
    shared = os.environ.get("QUANTLAKE_SHARED_DATA")
    file = Path(shared or Path(__file__).resolve().parents[2] / "shared" / "data").joinpath(*REAL)
    if file.is_file():
        return get_source("files", {"path": str(file), "columns": REAL_COLUMNS}), "119 real tickers"
    return get_source("sample"), "the embedded sample"


def _timed(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[timing.Sample]]:
    measures = {name: timing.calls([work]) for name, work in works.items()}
    timing.in_turn(measures, 1)  # the first call is not counted
    return timing.in_turn(measures, repeats)
