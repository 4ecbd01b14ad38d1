"""`quantlake import`: your own files into the tables, and nothing of a bad one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lakehouse.calendar import sessions
from lakehouse.lake import Lake
from lakehouse.schemas import TABLES
from tests.homes import REPOSITORY, Home
from tests.orchestration.command_line import Command

SYMBOLS = ["NA", "ON", "TRUE", "BRK.B", "^GSPC", "BTC-USD"]
SPEC = "strategy: equal_weight\nuniverse: files\ncosts: {spread_bps: 2.0}\n"


def prices(symbols: list[str], start: str = "2020-01-02", end: str = "2020-04-01") -> pd.DataFrame:
    """Return bars as a file would hold them, with a dividend of the first symbol and a split of the last."""
    days = sessions("XNYS", pd.Timestamp(start).date(), pd.Timestamp(end).date())
    random = np.random.default_rng(len(symbols))
    frames = []
    for symbol in symbols:
        close = np.round(50.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, len(days)))), 2)
        dividend, split = np.zeros(len(days)), np.ones(len(days))
        if symbol == symbols[0]:
            dividend[5] = 0.25
        if symbol == symbols[-1]:
            split[10] = 2.0
            close[10:] = np.round(close[10:] / 2.0, 2)
        columns = {"open": close, "high": close + 1.0, "low": close - 1.0, "close": close, "volume": 1000}
        frames.append(
            pd.DataFrame({"symbol": symbol, "session": days, **columns, "dividend": dividend, "split": split})
        )
    return pd.concat(frames, ignore_index=True)


def in_own_process(*arguments: str, home: Path, cwd: Path, **environment: str) -> str:
    env = {**os.environ, "QUANTLAKE_HOME": str(home), "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", **environment}
    argv = [sys.executable, "-m", "orchestration.cli", *arguments]
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CSV under other column names, a gzip and a Parquet, imported together into `home`."""
    path = tmp_path_factory.mktemp("import")
    first = prices(SYMBOLS[:4]).rename(columns={"symbol": "ticker", "session": "date"})
    first.to_csv(path / "first.csv", index=False)
    prices(SYMBOLS[4:5]).rename(columns={"symbol": "ticker", "session": "date"}).to_csv(
        path / "second.csv.gz", index=False
    )
    prices(SYMBOLS[5:]).rename(columns={"symbol": "ticker", "session": "date"}).to_parquet(path / "third.parquet")
    files = ["first.csv", "second.csv.gz", "third.parquet"]
    text = in_own_process(
        *("import", *files, "--map", "symbol=ticker", "--map", "session=date"),
        home=path / "home",
        cwd=path,
        QUANTLAKE_SOURCES="files",
    )
    assert "features/daily hold them now (months 2020-01 to 2020-03" in text
    return path


def state(home: Path) -> tuple[dict[str, int], list[str]]:
    """Return all that an import may change: every table's version, and the files of the snapshots."""
    return Lake(home).pins(TABLES), sorted(str(file) for file in (home / "snapshots").rglob("*"))


def test_files_of_three_kinds_end_up_in_every_table(folder: Path, command: Command) -> None:
    def rows(query: str) -> list[dict[str, object]]:
        return json.loads(command("sql", query, "--json", home=folder / "home").stdout)

    n = len(sessions("XNYS", pd.Timestamp("2020-01-02").date(), pd.Timestamp("2020-04-01").date()))
    expected = [{"symbol": symbol, "n": n} for symbol in sorted(SYMBOLS)]
    for table in ("core.daily_bars", "features.daily"):
        assert rows(f"SELECT symbol, count(*) AS n FROM {table} GROUP BY symbol ORDER BY symbol") == expected
    assert [row["symbol"] for row in rows("SELECT symbol FROM core.universe WHERE universe = 'files'")] == sorted(
        SYMBOLS
    )
    actions = rows("SELECT symbol, kind, value FROM core.corporate_actions ORDER BY symbol, kind")
    assert {(row["symbol"], row["kind"], row["value"]) for row in actions} == {
        ("NA", "dividend", 0.25),
        ("BRK.B", "split", 2.0),
        ("^GSPC", "dividend", 0.25),
        ("^GSPC", "split", 2.0),
        ("BTC-USD", "dividend", 0.25),
        ("BTC-USD", "split", 2.0),
    }
    assert Lake(folder / "home").verify() == []


@pytest.mark.slow
def test_a_spec_file_anywhere_uses_the_imported_universe(folder: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "own_files.yaml").write_text(SPEC)
    report = json.loads(in_own_process("backtest", "own_files.yaml", "--json", home=folder / "home", cwd=tmp_path))
    assert report["spec"] == "own_files"
    bought = f"SELECT DISTINCT symbol FROM research.fills WHERE run_id = '{report['run_id']}' ORDER BY symbol"
    rows = json.loads(command("sql", bought, "--json", home=folder / "home").stdout)
    assert [row["symbol"] for row in rows] == sorted(SYMBOLS)


@pytest.mark.slow
def test_the_same_file_again_keeps_nothing_new(folder: Path) -> None:
    before = state(folder / "home")
    text = in_own_process(
        *("import", "first.csv", "--map", "symbol=ticker", "--map", "session=date"),
        home=folder / "home",
        cwd=folder,
        QUANTLAKE_SOURCES="files",
    )
    assert "nothing new to keep" in text
    assert state(folder / "home") == before


def test_a_dry_run_checks_and_stores_nothing(command: Command, tmp_path: Path) -> None:
    prices(["ABC"]).to_csv(tmp_path / "a.csv", index=False)
    report = json.loads(command("import", "a.csv", "--dry-run", "--json").stdout)
    assert [(row["symbol"], row["actions"]) for row in report["symbols"]] == [("ABC", 2)]
    assert not (tmp_path / "home" / "tables").exists()


def test_a_folder_stands_for_the_tables_in_it(command: Command, tmp_path: Path) -> None:
    (tmp_path / "prices").mkdir()
    for symbol, ending in (("ABC", "csv"), ("DEF", "csv.gz")):
        prices([symbol]).to_csv(tmp_path / "prices" / f"{symbol}.{ending}", index=False)
    prices(["GHI"]).to_parquet(tmp_path / "prices" / "GHI.parquet")
    (tmp_path / "prices" / "README.md").write_text("where they are from")
    report = json.loads(command("import", "prices", "--dry-run", "--json").stdout)
    assert [row["symbol"] for row in report["symbols"]] == ["ABC", "DEF", "GHI"]


def test_other_ways_of_writing_dates_fields_and_symbols(command: Command, tmp_path: Path) -> None:
    rows = prices(["ABC"]).drop(columns=["symbol", "dividend", "split"])
    rows = rows.assign(session=pd.to_datetime(rows["session"]).dt.strftime("%d.%m.%Y"))
    rows.to_csv(tmp_path / "ABC.csv", index=False, sep=";")
    options = ("--map", "symbol=={stem}", "--date-format", "%d.%m.%Y", "--delimiter", ";", "--dry-run", "--json")
    assert json.loads(command("import", "ABC.csv", *options).stdout)["symbols"][0]["first"] == "2020-01-02"
    aware = prices(["ABC"]).assign(session=lambda frame: frame["session"].astype(str) + "T21:00:00Z")
    aware.to_csv(tmp_path / "aware.csv", index=False)
    assert "time_zone" in command("import", "aware.csv", "--dry-run", expect=2).stderr
    zone = ("--time-zone", "America/New_York", "--dry-run", "--json")
    assert json.loads(command("import", "aware.csv", *zone).stdout)["symbols"][0]["first"] == "2020-01-02"


BAD = {
    "a key twice with other values": (
        "NA,2020-01-03,1,2,1,1,5,0,1\nNA,2020-01-03,1,2,1,1,6,0,1\n",
        "must be there once",
    ),
    "high below low": ("NA,2020-01-03,1,1,2,1,5,0,1\n", "within low and high"),
    "a price of zero": ("NA,2020-01-03,0,2,0,1,5,0,1\n", "prices must be positive"),
    "a price below zero": ("NA,2020-01-03,1,2,-1,1,5,0,1\n", "prices must be positive"),
    "a price that is no number": ("NA,2020-01-03,1,2,1,n/a,5,0,1\n", "close must be a number"),
    "a naive time": ("NA,2020-01-03 16:00:00,1,2,1,1,5,0,1\n", "sessions must all be dates"),
    "a mixture of forms": ("NA,2020-01-03T16:00:00Z,1,2,1,1,5,0,1\n", "sessions must all be dates"),
    "a parent folder": ("../x,2020-01-03,1,2,1,1,5,0,1\n", "'../x'"),
    "a folder": ("A/B,2020-01-03,1,2,1,1,5,0,1\n", "'A/B'"),
    "a small symbol": ("aapl,2020-01-03,1,2,1,1,5,0,1\n", "did you mean 'AAPL'?"),
    "the future": ("NA,2999-01-03,1,2,1,1,5,0,1\n", "sessions must not be after"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_leaves_the_lake_and_is_shown_with_its_line(
    name: str, folder: Path, tmp_path: Path, command: Command
) -> None:
    row, text = BAD[name]
    header = "symbol,session,open,high,low,close,volume,dividend,split\nNA,2020-01-02,1,2,1,1,5,0,1\n"
    (tmp_path / "bad.csv").write_text(header + row)
    prices(["GOOD"]).to_csv(tmp_path / "good.csv", index=False)
    before = state(folder / "home")
    error = command("import", "good.csv", "bad.csv", home=folder / "home", expect=2).stderr
    assert text in error and "bad.csv" in error and "first at line 3" in error
    assert "the first offending rows" in error and "│ line " in error.replace("┃", "│")
    assert state(folder / "home") == before


def test_what_is_no_file_of_bars_leaves_the_lake(folder: Path, tmp_path: Path, command: Command) -> None:
    good = prices(["GOOD"])
    good.rename(columns={"close": "Close"}).to_csv(tmp_path / "renamed.csv", index=False)
    good.to_csv(tmp_path / "good.csv", index=False)
    good.assign(volume=7).to_csv(tmp_path / "other.csv", index=False)
    good.assign(session=pd.Timestamp("2020-01-04").date())[:1].to_csv(tmp_path / "weekend.csv", index=False)
    good.assign(session=pd.Timestamp("1999-12-31").date())[:1].to_csv(tmp_path / "early.csv", index=False)
    good[:0].to_csv(tmp_path / "header.csv", index=False)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1cut")
    (tmp_path / "fold").mkdir()
    before = state(folder / "home")
    for arguments, text in {
        ("renamed.csv",): "no column 'close' for 'close'; did you mean 'Close'?",
        ("good.csv", "--map", "close=clos"): "no column 'clos' for 'close'; did you mean 'close'?",
        ("good.csv", "--map", "clos=close"): "unknown name 'clos'; did you mean 'close'?",
        ("god.csv",): "did you mean 'good.csv'?",
        ("good.csv", "--time-zone", "America/NewYork"): "did you mean 'America/New_York'?",
        ("good.csv", "--date-format", "%q"): "a date format is written in strptime's letters",
        ("fold",): "the folder fold holds no CSV or Parquet file",
        ("foldd",): "there is no file at foldd; did you mean 'fold'?",
        ("empty.csv",): "empty.csv is empty",
        ("header.csv",): "has no rows",
        ("weekend.csv",): "Saturday 2020-01-04",
        ("early.csv",): "set `start: 1999-12` in quantlake.yaml",
        ("cut.csv.gz",): "gzip",
        ("cut.parquet",): "Parquet",
        ("good.csv", "other.csv"): "the files disagree",
    }.items():
        assert text in command("import", *arguments, home=folder / "home", expect=2).stderr, arguments
    assert state(folder / "home") == before


@pytest.mark.slow
def test_the_same_bytes_under_another_mapping_are_read_by_the_later_one(tmp_path: Path) -> None:
    frame = prices(["ABC"], "2020-01-02", "2020-02-01").drop(columns=["dividend", "split"])
    frame.assign(other=frame["close"].to_numpy(), close=frame["low"].to_numpy()).to_csv(
        tmp_path / "two.csv", index=False
    )
    home, lake = tmp_path / "home", Lake(tmp_path / "home")
    for mapping, expected in (((), frame["low"]), (("--map", "close=other"), frame["close"])):
        in_own_process("import", "two.csv", *mapping, home=home, cwd=tmp_path, QUANTLAKE_SOURCES="files")
        assert lake.scan("core/daily_bars").column("close").to_pylist() == expected.tolist()


@pytest.mark.slow
def test_an_imported_symbol_takes_the_place_of_the_samples_whole_and_features_follow(
    home: Home, tmp_path: Path
) -> None:
    home.materialize(
        *("raw/sample", "core/daily_bars", "core/corporate_actions", "core/universe", "features/daily"),
        partition_range=("2012-12", "2013-03"),
    )
    prices(["AAPL"], "2013-01-02", "2013-02-01").to_csv(tmp_path / "mine.csv", index=False)
    text = in_own_process("import", "mine.csv", home=home.path, cwd=tmp_path)
    assert "(months 2012-12 to 2013-03" in text
    bars = home.lake.scan("core/daily_bars").to_pandas()
    assert set(bars.loc[bars["symbol"] == "AAPL", "source"]) == {"files"}
    assert set(bars.loc[bars["symbol"] == "MSFT", "month"]) == {"2012-12", "2013-01", "2013-02", "2013-03"}
    features = home.lake.scan("features/daily", columns=["symbol", "session"]).to_pandas()
    assert (features.groupby("symbol").size() == bars.groupby("symbol").size()).all()
    prices(["OTHER"], "2013-01-02", "2013-02-01").to_csv(tmp_path / "other.csv", index=False)
    before = home.lake.version("core/daily_bars")
    text = in_own_process("import", "other.csv", home=home.path, cwd=tmp_path, QUANTLAKE_SOURCES="sample")
    assert "kept as snapshots. The sources in force are sample: add `files`" in text
    assert home.lake.version("core/daily_bars") == before
