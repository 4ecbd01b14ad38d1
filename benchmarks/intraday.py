"""`python -m benchmarks.intraday`: a year of minutes of 500 symbols through the lake, coarser bars, bars from trades.

Each part runs in a process of its own, so that its peak memory is its own. The market is made up: what matters is the
number of rows, their order of arrival (a day of all symbols after the other) and prices in cents. About five minutes
and 2 GB of disk.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.timing import peak_mib
from lakehouse import Lake
from lakehouse.calendar import month_keys, month_range, session_close, session_open, sessions
from lakehouse.intraday import minute_bars, minute_panels, minute_panels_by_month, sample_bars
from lakehouse.intraday.coarser import coarser
from lakehouse.intraday.reading import MINUTES

if TYPE_CHECKING:
    import pyarrow as pa

REPOSITORY = Path(__file__).resolve().parents[1]
EXCHANGE = "XNYS"
YEAR = 2024
_MINUTE = 60_000_000
_ROUNDS = 9
_N_TRADES = 20_000_000

Figures = dict[str, float]


def names_of(n_symbols: int) -> list[str]:
    """Return made-up symbols, in order."""
    return [f"S{number:04d}" for number in range(n_symbols)]


def day_of(day: dt.date, n_symbols: int, *, seed: int = 0) -> pa.Table:
    """Return a session's minute bars of all symbols, by minute and symbol, as a file of the day may hold them."""
    import pyarrow as pa

    opens, closes = session_open(EXCHANGE, [day]), session_close(EXCHANGE, [day])
    begin, end = (
        int(times.tz_convert(None).to_numpy().astype("datetime64[us]").view(np.int64)[0]) for times in (opens, closes)
    )
    ends = np.arange(begin + _MINUTE, end + 1, _MINUTE)
    shape = (ends.size, n_symbols)
    rng = np.random.default_rng([seed, day.toordinal()])
    level = 20.0 + 480.0 * np.random.default_rng(seed).random(n_symbols)
    close = np.round(level * np.exp(np.cumsum(rng.normal(0.0, 0.0005, shape), axis=0)), 2)
    open_ = np.vstack([close[:1], close[:-1]])
    wicks = np.round(level * rng.exponential(0.0002, (2, *shape)), 2)
    high, low = np.maximum(open_, close) + wicks[0], np.minimum(open_, close) - wicks[1]
    volume = np.floor(rng.lognormal(6.0, 1.5, shape))
    times = pa.array(np.repeat(ends, n_symbols)).cast(pa.timestamp("us", tz="UTC"))
    n_rows = close.size
    snapshot = f"{day.toordinal():064x}"
    return pa.table(
        {
            "symbol": pa.DictionaryArray.from_arrays(
                np.tile(np.arange(n_symbols, dtype=np.int32), ends.size), names_of(n_symbols)
            ),
            "bar_end": times,
            **{
                name: pa.array(values.reshape(-1))
                for name, values in (
                    ("open", open_),
                    ("high", high),
                    ("low", low),
                    ("close", close),
                    ("volume", volume),
                )
            },
            "known_at": times,
            **{
                name: _same(text, n_rows)
                for name, text in (("source", "made up"), ("snapshot_id", snapshot), ("month", f"{day:%Y-%m}"))
            },
        }
    )


def days_of(month: str, n_symbols: int, *, seed: int = 0) -> Iterator[pa.Table]:
    """Yield the days of a month, the later ones first: nothing here is in the table's order."""
    for day in reversed(sessions(EXCHANGE, *month_range(month))):
        yield day_of(day, n_symbols, seed=seed)


def ingest(home: Path, months: list[str], n_symbols: int) -> Figures:
    """Write the months to `core/minute_bars`, each in one transaction."""
    from lakehouse.sorting import in_key_order

    lake = Lake(home)
    n_rows, started = 0, time.perf_counter()
    for month in months:
        pieces = in_key_order(MINUTES, days_of(month, n_symbols))
        n_rows += lake.replace_sorted(MINUTES, pieces, partitions=month, batch_id=month).n_rows
    seconds = time.perf_counter() - started
    files = [file.stat().st_size for file in home.rglob("*.parquet")]
    return {
        "rows": n_rows,
        "seconds": seconds,
        "rows a second": n_rows / seconds,
        "files": len(files),
        "MiB on disk": sum(files) / 2**20,
        "peak MiB": peak_mib(),
    }


def append_and_compact(home: Path, months: list[str], n_symbols: int) -> Figures:
    """Append the first month day by day to a new lake, then make one file of it."""
    lake = Lake(home.with_name(f"{home.name}-appended"))
    days = list(days_of(months[0], n_symbols))
    started = time.perf_counter()
    for number, rows in enumerate(days):
        lake.append_once(MINUTES, rows, batch_id=str(number))
    appended = time.perf_counter() - started
    n_rows = sum(rows.num_rows for rows in days)
    days.clear()
    started = time.perf_counter()
    lake.compact(MINUTES, partitions=months[0])
    compacted = time.perf_counter() - started
    shutil.rmtree(lake.home)
    return {"rows": n_rows, "seconds to append": appended, "seconds to compact": compacted, "peak MiB": peak_mib()}


def read(home: Path, months: list[str], n_symbols: int) -> Figures:
    """Read one symbol's month and year, with the lake and with delta-rs alone, and a month of 20 symbols."""
    from deltalake import DeltaTable

    from lakehouse.paths import table_path

    lake, names = Lake(home), names_of(n_symbols)
    symbol, path = names[n_symbols // 2], table_path(home, MINUTES)
    start, end = _range(months)
    month_start, month_end = _range(months[len(months) // 2 :][:1])
    cases: dict[str, Callable[[], Any]] = {
        "symbol month": lambda: minute_bars(lake, symbol, month_start, month_end),
        "symbol, all months": lambda: minute_bars(lake, symbol, start, end),
        "20 symbols, one month": lambda: minute_bars(lake, names[:20], month_start, month_end),
        "delta-rs: symbol, all months": lambda: DeltaTable(path).to_pyarrow_table(filters=[("symbol", "=", symbol)]),
    }
    first = time.perf_counter()
    rows = cases["symbol month"]()
    figures: Figures = {
        "first read of the process ms": (time.perf_counter() - first) * 1e3,
        "rows of a symbol month": rows.num_rows,
    }
    for name, case in cases.items():
        best, median = _timed(case)
        figures |= {f"{name} ms (best)": best * 1e3, f"{name} ms (median)": median * 1e3}
    return figures | {"peak MiB": peak_mib()}


def panels(home: Path, months: list[str], n_symbols: int) -> Figures:
    """Make the engine's bars: a tenth of the symbols over all months at once, and all symbols month by month."""
    import engine.kernels.checks  # noqa: F401 - compiled before the clock runs

    lake, names = Lake(home), names_of(n_symbols)
    started = time.perf_counter()
    bars = minute_panels(lake, names[::10], *_range(months))
    some = time.perf_counter() - started
    figures = {
        "n_bars": bars.n_bars,
        "n_assets": bars.n_assets,
        "seconds": some,
        "MiB of panels": 40 * bars.n_bars * bars.n_assets / 2**20,
        "peak MiB": peak_mib(),
    }
    del bars
    started = time.perf_counter()
    n_rows = sum(int((~np.isnan(part.close)).sum()) for part in minute_panels_by_month(lake, names, *_range(months)))
    return figures | {
        "by month: rows": n_rows,
        "by month: seconds": time.perf_counter() - started,
        "by month: peak MiB": peak_mib(),
    }


def resample(home: Path, months: list[str], n_symbols: int) -> Figures:
    """Make coarser bars of a month of all symbols, and 5-minute bars of one symbol beside pandas."""
    lake, names = Lake(home), names_of(n_symbols)
    rows = minute_bars(lake, names, *_range(months[:1]))
    figures: Figures = {"rows": rows.num_rows}
    for size in ("5min", "1h", "session", "week"):
        best, _ = _timed(lambda size=size: coarser(rows, size), 3)
        figures[f"to {size}: million rows a second"] = rows.num_rows / best / 1e6
    one = minute_bars(lake, names[0], *_range(months))
    frame = one.to_pandas().set_index("bar_end")
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    best, _ = _timed(lambda: coarser(one, "5min"))
    theirs, _ = _timed(lambda: frame.resample("5min", closed="right", label="right").agg(how).dropna())
    return figures | {"one symbol to 5min ms": best * 1e3, "pandas.resample ms": theirs * 1e3, "peak MiB": peak_mib()}


def trades(home: Path, months: list[str], n_symbols: int) -> Figures:
    """Make bars of 20 million trades by each rule; the limit is reading times, prices and sizes from memory once."""
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(0, 2_000_000, _N_TRADES))
    prices = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-5, _N_TRADES))), 2)
    sizes = rng.integers(1, 500, _N_TRADES).astype(np.float64)
    rules: dict[str, Any] = {"time": dt.timedelta(minutes=1), "tick": 1000, "volume": 250_000.0, "dollar": 2.5e7}
    figures: Figures = {"trades": _N_TRADES}
    for kind, size in rules.items():
        sample_bars(times[:1], prices[:1], sizes[:1], kind=kind, size=size)
        best, _ = _timed(lambda kind=kind, size=size: sample_bars(times, prices, sizes, kind=kind, size=size), 5)
        figures[f"{kind}: million trades a second"] = _N_TRADES / best / 1e6
    best, _ = _timed(lambda: (times.max(), prices.max(), sizes.max()), 5)
    return figures | {"limit: million trades a second": _N_TRADES / best / 1e6, "peak MiB": peak_mib()}


PARTS: dict[str, Callable[[Path, list[str], int], Figures]] = {
    "ingest": ingest,
    "read": read,
    "panels": panels,
    "resample": resample,
    "append_and_compact": append_and_compact,
    "trades": trades,
}


def measured(home: Path, part: str, *, n_symbols: int, n_months: int) -> Figures:
    """Return the figures of one part, run in a process of its own."""
    arguments = ["--home", str(home), "--run", part, "--symbols", str(n_symbols), "--months", str(n_months)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.intraday", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{part} failed: {done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def main() -> None:
    """Run the parts and print their figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intraday", description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--months", type=int, default=12, help=f"of {YEAR}, from January on")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--home", type=Path, help="folder of the lake, kept (default: a temporary one)")
    parser.add_argument("--output", type=Path, help="JSON file to write as well")
    parser.add_argument("--run", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        months = month_keys(dt.date(YEAR, 1, 1), dt.date(YEAR, options.months, 28))
        print(json.dumps(PARTS[options.run](options.home, months, options.symbols)))
        return
    found: dict[str, Figures] = {}
    for part, figures in a_year(options.home, options.parts, n_symbols=options.symbols, n_months=options.months):
        found[part] = figures
        print(part)
        for name, value in figures.items():
            print(f"    {name:45} {value:14,.1f}")
    if options.output:
        options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def a_year(
    home: Path | None = None, parts: Sequence[str] = (), *, n_symbols: int = 500, n_months: int = 12
) -> Iterator[tuple[str, Figures]]:
    """Yield each part (by default all) with its figures, over a lake that is kept where its folder is given."""
    with tempfile.TemporaryDirectory(prefix="quantlake-bench-") as folder:
        for part in parts or PARTS:
            yield part, measured(home or Path(folder) / "lake", part, n_symbols=n_symbols, n_months=n_months)


def _range(months: list[str]) -> tuple[dt.datetime, dt.datetime]:
    first, last = month_range(months[0])[0], month_range(months[-1])[1]
    start, end = (dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC) for day in (first, last))
    return start, end


def _same(text: str, n_rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(np.zeros(n_rows, dtype=np.int8), [text])


def _timed(work: Callable[[], Any], rounds: int = _ROUNDS) -> tuple[float, float]:
    """Return the best and the median seconds of a call."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken), sorted(taken)[rounds // 2]


if __name__ == "__main__":
    main()
