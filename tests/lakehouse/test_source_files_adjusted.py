"""Files with an adjusted close and no columns of splits and dividends: they are inferred."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lakehouse.errors import BadRows, LakeError, SourceError
from lakehouse.sources.answered import covered_kinds
from lakehouse.sources.base import Parsed
from lakehouse.sources.files import FilesSource

AS_OF = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
PRICES = {name: name for name in ("symbol", "session", "open", "high", "low", "close", "volume")}
ADJUSTED = {**PRICES, "adj_close": "adjusted"}


def read(file: Path, columns: dict[str, str], **options: Any) -> tuple[Parsed, Any]:
    """Fetch the file and parse its answer back with a source that knows nothing but the request."""
    source = FilesSource(path=str(file), columns=columns, **options)
    (answer,) = source.fetch([], dt.date(1990, 1, 1), dt.date(2026, 1, 1), as_of=AS_OF)
    return FilesSource().parse(answer.content, answer.request), answer


def written(folder: Path, adjusted: list[float], close: list[float]) -> Path:
    days = pd.bdate_range("2024-01-02", periods=len(close))
    frame = pd.DataFrame({"symbol": "A", "session": days.strftime("%Y-%m-%d"), "close": close, "adjusted": adjusted})
    frame = frame.assign(open=close, high=close, low=close, volume=1)
    file = folder / "prices.csv"
    frame.to_csv(file, index=False)
    return file


def test_the_actions_inferred_are_those_the_vendor_tells(shared_data: Path, tmp_path: Path) -> None:
    """Twenty years of four companies: the adjusted close alone, against the vendor's own splits and dividends."""
    rows = pd.read_parquet(shared_data / "av_daily" / "daily_120_1999_2019.parquet")
    rows = rows[rows["ticker"].isin(["AAPL", "MSFT", "JNJ", "XOM"])]
    rows = rows.rename(columns={"ticker": "symbol", "date": "session", "adjusted_close": "adjusted"})
    file = tmp_path / "prices.parquet"
    rows.to_parquet(file)
    told, _ = read(file, {**PRICES, "split": "split_coefficient", "dividend": "dividend_amount"})
    inferred, answer = read(file, ADJUSTED)
    assert inferred.bars.equals(told.bars)
    assert covered_kinds({"source": "files", "request": answer.request}) == ("split", "dividend")
    first = told.bars.groupby("symbol")["session"].min()
    visible = told.actions[told.actions["ex_date"] > told.actions["symbol"].map(first)]
    pairs = visible.merge(inferred.actions, on=["symbol", "ex_date", "kind"], how="outer", suffixes=("", "_inferred"))
    assert len(visible) > 200
    assert pairs["value"].notna().all() and pairs["value_inferred"].notna().all()
    assert (pairs["value"] - pairs["value_inferred"]).abs().max() < 1e-4


def test_rounded_prices_are_no_events(tmp_path: Path) -> None:
    """A dividend of 0.50 at 50 and a split in two, in an adjusted close of two decimals."""
    file = written(tmp_path, [24.75, 24.88, 25.25, 25.5, 25.4], [50.0, 50.25, 50.5, 25.5, 25.4])
    found = read(file, ADJUSTED)[0].actions
    assert [(row.kind, f"{row.ex_date:%m-%d}", row.value) for row in found.itertuples()] == [
        ("dividend", "01-04", pytest.approx(0.5, abs=0.02)),
        ("split", "01-05", 2.0),
    ]


def test_the_convention_is_kept_with_the_request(tmp_path: Path) -> None:
    """At a close of 40 after 50, one percent of the former is another dividend than one percent of the latter."""
    file = written(tmp_path, [49.5, 40.0, 41.0], [50.0, 40.0, 41.0])
    wiki, yahoo = (read(file, ADJUSTED, convention=name)[0].actions["value"].tolist() for name in ("wiki", "yahoo"))
    assert (wiki, yahoo) == ([pytest.approx(40.0 / 99.0, abs=0.05)], [pytest.approx(0.5, abs=0.05)])
    assert wiki != yahoo
    assert "convention" not in read(file, PRICES)[1].request
    with pytest.raises(LakeError, match="no adjustment convention 'yaho'; did you mean 'yahoo'"):
        FilesSource(path=str(file), columns=ADJUSTED, convention="yaho")  # type: ignore[arg-type]


def test_what_explains_nothing_or_is_told_twice_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, [50.0, 91.0, 92.0], [50.0, 51.0, 52.0])
    with pytest.raises(BadRows, match="A at 2024-01-03"):
        read(file, ADJUSTED)
    with pytest.raises(BadRows, match="must be positive"):
        read(written(tmp_path, [50.0, 0.0], [50.0, 51.0]), ADJUSTED)
    with pytest.raises(SourceError, match="adj_close and split"):
        FilesSource(path=str(file), columns={**ADJUSTED, "split": "ratio"})
