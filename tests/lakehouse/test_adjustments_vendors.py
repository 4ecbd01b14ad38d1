"""Adjusted closes of four vendors, each made again from as-traded prices and the actions they tell."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from lakehouse.actions import later_splits, per_share_held
from lakehouse.adjusting import adjust_bars
from tests.lakehouse.priced import LATER, actions_table, column

DIGITS_12 = 2e-11
"""Alpha Vantage gives twelve significant digits: 5e-12 on each of two prices that are compared, twice."""

DOUBLE = 1e-12
"""Quandl gives twelve to fifteen digits and computes in double precision."""

SINGLE = 5e-7
"""Yahoo computes in single precision: 6e-8 a factor, and a dozen factors of a series add up."""

CUT_TO_FOUR = "dividend_amount has four decimals, the adjusted close was made with more"

# ticker, ex-date: the day's factor beside the one of the vendor's own actions, what the adjusted close was made
# with (split, dividend per new share), and the cause as far as the data shows.
ALPHAVANTAGE_ERRORS: dict[tuple[str, str], tuple[float, float, float, str]] = {
    ("ABT", "2000-01-12"): (-2.93e-07, 1.0, 0.07631, CUT_TO_FOUR),
    ("ABT", "2000-04-12"): (2.52e-07, 1.0, 0.08529, CUT_TO_FOUR),
    ("ABT", "2000-07-12"): (2.25e-07, 1.0, 0.08529, CUT_TO_FOUR),
    ("ABT", "2000-10-11"): (1.99e-07, 1.0, 0.08529, CUT_TO_FOUR),
    ("ABT", "2004-05-03"): (-1.02e-06, 1.06883283454, 2.915446, CUT_TO_FOUR),
    ("ABT", "2006-01-11"): (1.20e-06, 1.0, 0.13195, CUT_TO_FOUR),
    ("ABT", "2006-04-11"): (-9.62e-07, 1.0, 0.14154, CUT_TO_FOUR),
    ("ABT", "2013-01-02"): (-3.20e-07, 1.0, 34.649721, CUT_TO_FOUR),
    ("ADM", "1999-11-03"): (4.11e-06, 1.0, 0.045351, CUT_TO_FOUR),
    ("ADM", "2000-02-02"): (4.15e-06, 1.0, 0.045351, CUT_TO_FOUR),
    ("ADM", "2000-05-03"): (4.79e-06, 1.0, 0.045351, CUT_TO_FOUR),
    ("CTXS", "2017-02-01"): (2.23e-07, 1.0, 18.57158, CUT_TO_FOUR),
    ("DHR", "2000-12-27"): (-2.93e-07, 1.0, 0.17522, CUT_TO_FOUR),
    ("DRI", "2015-11-10"): (-3.81e-07, 1.0, 6.555523, CUT_TO_FOUR),
    ("EXC", "2001-02-13"): (-3.10e-07, 1.0, 0.55252, CUT_TO_FOUR),
    ("EXC", "2012-03-13"): (-1.26e-06, 1.0, 0.14575, CUT_TO_FOUR),
    ("EXC", "2012-05-11"): (-1.27e-06, 1.0, 0.37925, CUT_TO_FOUR),
    ("GE", "2000-07-05"): (7.99e-07, 1.0, 0.13666, CUT_TO_FOUR),
    ("GE", "2000-09-29"): (6.90e-07, 1.0, 0.13666, CUT_TO_FOUR),
    ("GE", "2019-02-26"): (1.71e-06, 1.0, 0.420281, CUT_TO_FOUR),
    ("GOOGL", "2014-04-03"): (2.76e-08, 1.0, 567.9716685, CUT_TO_FOUR),
    ("GS", "2009-02-20"): (3.93e-07, 1.0, 0.4666666, CUT_TO_FOUR),
    ("HD", "2010-03-09"): (-1.57e-06, 1.0, 0.23625, CUT_TO_FOUR),
    ("HD", "2010-06-01"): (-1.48e-06, 1.0, 0.23625, CUT_TO_FOUR),
    ("HD", "2010-08-31"): (-1.78e-06, 1.0, 0.23625, CUT_TO_FOUR),
    ("HD", "2010-11-30"): (-1.64e-06, 1.0, 0.23625, CUT_TO_FOUR),
    ("IRM", "2012-10-18"): (-1.11e-06, 1.0, 4.061442, CUT_TO_FOUR),
    ("MCD", "1999-11-29"): (1.10e-06, 1.0, 0.04875, CUT_TO_FOUR),
    ("MCD", "2000-09-13"): (1.81e-06, 1.0, 0.46875, CUT_TO_FOUR),
    ("PPL", "2015-06-02"): (2.91e-07, 1.0, 2.50549, CUT_TO_FOUR),
    ("TRMB", "2007-02-23"): (
        -0.5,
        2.0,
        0.0,
        "the split of the day is in the adjusted close, but neither in split_coefficient nor, for that one day, "
        "in the prices, which are those of the session before: a stale bar",
    ),
    ("WMB", "2012-01-03"): (1.15e-06, 1.0, 5.958362, CUT_TO_FOUR),
    ("WMB", "2012-03-07"): (-1.67e-06, 1.0, 0.25875, CUT_TO_FOUR),
    ("WMB", "2013-03-06"): (-1.47e-06, 1.0, 0.33875, CUT_TO_FOUR),
    ("WMB", "2013-09-11"): (1.38e-06, 1.0, 0.36625, CUT_TO_FOUR),
    ("WY", "2000-01-26"): (-1.03e-07, 1.0, 0.163706, CUT_TO_FOUR),
    ("WY", "2000-05-03"): (-1.13e-07, 1.0, 0.163706, CUT_TO_FOUR),
    ("WY", "2000-07-26"): (-1.30e-07, 1.0, 0.163706, CUT_TO_FOUR),
    ("WY", "2010-07-20"): (-3.34e-07, 1.0, 26.513414, CUT_TO_FOUR),
}

# Errors that are in the vendor's adjusted close, too. The day's growth with the actions it tells, the growth with
# the right ones, and those: split and dividend per new share.
ALPHAVANTAGE_SHARED_ERRORS: dict[tuple[str, str], tuple[float, float, float, float, str]] = {
    ("ABT", "2004-05-03"): (1.0983, 1.0276, 1.0, 2.9154, "the spin-off is told as a split and as a dividend"),
    ("KSU", "2000-07-13"): (1.9973, 0.9987, 0.5, 181.0, "the reverse split beside the spin-off is missing"),
    ("ROST", "2015-06-12"): (1.0327, 0.9918, 2.0, 0.0, "the split's ratio stands in dividend_amount, too"),
}


@pytest.fixture(scope="module")
def alphavantage(shared_data: Path) -> pd.DataFrame:
    rows = pd.read_parquet(shared_data / "av_daily" / "daily_120_1999_2019.parquet")
    return rows.sort_values(["ticker", "date"], ignore_index=True)


def actions_of(rows: pd.DataFrame, dividend: str, split: str) -> pa.Table:
    """The events beside the prices, dividends per share held before a split of the day, as the lake stores them."""
    days = rows["date"].dt.strftime("%Y-%m-%d")
    events = []
    for kind, values, none in (("dividend", rows[dividend], 0.0), ("split", rows[split], 1.0)):
        there = (values != none).to_numpy()
        events.append(
            pd.DataFrame(
                {"symbol": rows["ticker"][there], "ex_date": days[there], "kind": kind, "value": values[there]}
            )
        )
    held = per_share_held(pd.concat(events, ignore_index=True))
    return actions_table(held[["symbol", "ex_date", "kind", "value"]].itertuples(index=False, name=None))


def error_rows(rows: pd.DataFrame) -> dict[tuple[str, str], int]:
    """The row of each named error."""
    tickers, days = zip(*ALPHAVANTAGE_ERRORS, strict=True)
    some = rows[rows["ticker"].isin(tickers) & rows["date"].isin(pd.to_datetime(list(days)))]
    places = zip(some["ticker"], some["date"].dt.strftime("%Y-%m-%d"), some.index, strict=True)
    return {(ticker, day): row for ticker, day, row in places if (ticker, day) in ALPHAVANTAGE_ERRORS}


def bars_of(rows: pd.DataFrame) -> pa.Table:
    """The closes as all prices, known at the next midnight."""
    days = rows["date"].to_numpy().astype("datetime64[us]")
    close = pa.array(rows["close"].to_numpy())
    return pa.table(
        {
            "symbol": pa.array(rows["ticker"], pa.string()),
            "session": pa.array(days).cast(pa.date32()),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), close),
            "known_at": pa.array(days + np.timedelta64(1, "D")).cast(pa.timestamp("us", "UTC")),
        }
    )


def day_factors(rows: pd.DataFrame, adjusted: Any) -> pd.Series:
    """The factor of each day on the prices before it; missing at each ticker's first bar."""
    share = pd.Series(np.asarray(adjusted) / rows["close"].to_numpy(), index=rows.index)
    return share.groupby(rows["ticker"]).shift() / share


def relative_to_last(rows: pd.DataFrame, values: Any) -> pd.Series:
    """Each ticker's values over its last one: vendors adjust for later actions than the rows hold, too."""
    series = pd.Series(np.asarray(values), index=rows.index)
    return series / series.groupby(rows["ticker"]).transform("last")


def adjusted_close(rows: pd.DataFrame, actions: pa.Table, convention: Any) -> NDArray[np.float64]:
    adjusted = adjust_bars(bars_of(rows), actions, how="total_return", as_of=LATER, convention=convention)
    return adjusted.column("close").to_numpy()


def test_alphavantage_differs_from_its_own_actions_on_the_named_days_only(alphavantage: pd.DataFrame) -> None:
    rows = alphavantage
    assert rows["ticker"].nunique() == 119
    ours = adjusted_close(rows, actions_of(rows, "dividend_amount", "split_coefficient"), "alphavantage")
    away = day_factors(rows, rows["adjusted_close"]) / day_factors(rows, ours) - 1.0
    assert int(away.notna().sum()) == len(rows) - 119
    far = away[away.abs() > DIGITS_12]
    found = dict(
        zip(
            zip(rows["ticker"][far.index], rows["date"][far.index].dt.strftime("%Y-%m-%d"), strict=True),
            far,
            strict=True,
        )
    )
    assert found == {key: pytest.approx(size, rel=0.01) for key, (size, *_) in ALPHAVANTAGE_ERRORS.items()}


def test_the_errors_called_cut_decimals_are_within_half_a_unit_of_them(alphavantage: pd.DataFrame) -> None:
    rows = error_rows(alphavantage)
    for key, (_, split, dividend, cause) in ALPHAVANTAGE_ERRORS.items():
        if cause == CUT_TO_FOUR:
            assert alphavantage["dividend_amount"][rows[key]] == pytest.approx(dividend, abs=0.5001e-4)
            assert alphavantage["split_coefficient"][rows[key]] == pytest.approx(split, rel=1e-9)


def test_alphavantage_is_made_again_on_all_tickers_once_the_named_days_are_mended(alphavantage: pd.DataFrame) -> None:
    rows = alphavantage.copy()
    for key, row in error_rows(rows).items():
        rows.loc[row, ["split_coefficient", "dividend_amount"]] = ALPHAVANTAGE_ERRORS[key][1:3]
    ours = adjusted_close(rows, actions_of(rows, "dividend_amount", "split_coefficient"), "alphavantage")
    away = (relative_to_last(rows, ours) / relative_to_last(rows, rows["adjusted_close"]) - 1.0).abs()
    worst = away.groupby(rows["ticker"]).max()
    mended = {ticker for ticker, _ in ALPHAVANTAGE_ERRORS}
    assert worst[~worst.index.isin(mended)].max() < DIGITS_12
    # the dividends above have six or seven decimals
    assert worst[worst.index.isin(mended)].max() < 1e-7


def test_another_convention_misses_alphavantage_by_a_tenth_of_a_percent(alphavantage: pd.DataFrame) -> None:
    rows = alphavantage[alphavantage["ticker"].isin(["XOM", "PFE", "KO"])]
    ours = adjusted_close(rows, actions_of(rows, "dividend_amount", "split_coefficient"), "yahoo")
    away = (relative_to_last(rows, ours) / relative_to_last(rows, rows["adjusted_close"]) - 1.0).abs()
    worst = away.groupby(rows["ticker"]).max()
    assert len(worst) == 3
    assert (worst > 1e-3).all()


@pytest.mark.parametrize("key", ALPHAVANTAGE_SHARED_ERRORS)
def test_errors_that_alphavantages_adjusted_close_shares(alphavantage: pd.DataFrame, key: tuple[str, str]) -> None:
    told, right, split, dividend, _ = ALPHAVANTAGE_SHARED_ERRORS[key]
    stock = alphavantage[alphavantage["ticker"] == key[0]].reset_index(drop=True)
    at = int(np.flatnonzero(stock["date"] == key[1])[0])
    two = stock.iloc[at - 1 : at + 1].reset_index(drop=True)
    for expected, split_of, dividend_of in (
        (told, two["split_coefficient"][1], two["dividend_amount"][1]),
        (right, split, dividend),
    ):
        actions = actions_of(two.assign(s=[1.0, split_of], d=[0.0, dividend_of]), "d", "s")
        index = column(adjust_bars(bars_of(two), actions, how="forward", as_of=LATER))
        assert index[1] / index[0] == pytest.approx(expected, abs=1e-4)
    vendor = two["adjusted_close"][1] / two["adjusted_close"][0]
    assert vendor == pytest.approx(told, abs=1e-4)


def wiki_samples(folder: Path) -> pd.DataFrame:
    """All recorded tables of Quandl's WIKI, one ticker each file and year."""
    archive = zipfile.ZipFile(folder / "QUANDL_ARCHIVE_sample.zip")
    parts = [pd.read_csv(archive.open("QUANDL_SAMPLE_TABLE.csv"))]
    for file in sorted(folder.glob("*.csv")):
        part = pd.read_csv(file).rename(columns=str.lower)
        part.columns = [name.replace(". ", "_").replace(" ", "_").replace("ex-", "ex-") for name in part.columns]
        parts.append(part.assign(ticker=file.stem.replace("-", "")))
    rows = pd.concat(parts, ignore_index=True).assign(date=lambda frame: pd.to_datetime(frame["date"]))
    return rows.sort_values(["ticker", "date"], ignore_index=True)


def test_wiki_is_made_again_prices_and_volume(shared_data: Path) -> None:
    rows = wiki_samples(shared_data / "quandl_wiki_samples")
    assert rows["ticker"].nunique() == 7
    actions = actions_of(rows, "ex-dividend", "split_ratio")
    kinds = pd.Series(actions.column("kind").to_pylist()).value_counts()
    assert (kinds["dividend"], kinds["split"]) == (16, 3)
    bars = bars_of(rows)
    bars = bars.set_column(bars.schema.get_field_index("volume"), "volume", pa.array(rows["volume"].astype(float)))
    adjusted = adjust_bars(bars, actions, how="total_return", as_of=LATER, convention="wiki")
    for ours, theirs in (("close", "adj_close"), ("volume", "adj_volume")):
        away = relative_to_last(rows, column(adjusted, ours)) / relative_to_last(rows, rows[theirs]) - 1.0
        assert away.abs().max() < DOUBLE, ours
    yahoo = adjusted_close(rows, actions, "yahoo")
    away = (relative_to_last(rows, yahoo) / relative_to_last(rows, rows["adj_close"]) - 1.0).abs()
    assert away.groupby(rows["ticker"]).max()["MSFT"] > 1e-4


def yahoo_chart(folder: Path, name: str) -> dict[str, Any]:
    answer = json.loads(gzip.decompress((folder / name).read_bytes()))["response"]
    body = answer.get("bodyJson") or json.loads(answer["body"])
    chart: dict[str, Any] = body["chart"]["result"][0]
    return chart


def test_yahoos_recorded_chart_is_made_again(shared_data: Path) -> None:
    """Microsoft, February 2021 to January 2022: four dividends, no split."""
    chart = yahoo_chart(
        shared_data / "yahoo_chart", "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json.gz"
    )
    days = pd.to_datetime(chart["timestamp"], unit="s", utc=True).tz_convert("America/New_York").tz_localize(None)
    rows = pd.DataFrame({"ticker": "MSFT", "date": days.normalize(), "close": chart["indicators"]["quote"][0]["close"]})
    paid = {
        pd.Timestamp(event["date"], unit="s").normalize(): event["amount"]
        for event in chart["events"]["dividends"].values()
    }
    assert list(paid.values()) == [0.56, 0.56, 0.56, 0.62]
    actions = actions_table([("MSFT", str(day.date()), "dividend", amount) for day, amount in paid.items()])
    theirs = relative_to_last(rows, chart["indicators"]["adjclose"][0]["adjclose"])
    away = relative_to_last(rows, adjusted_close(rows, actions, "yahoo")) / theirs - 1.0
    assert away.abs().max() < SINGLE
    crsp = relative_to_last(rows, adjusted_close(rows, actions, "crsp")) / theirs - 1.0
    assert crsp.abs().max() > 1e-5


# Yahoo's own series with dividends it got right, and broken ones as yfinance repaired them. Not TENT-L's repaired one:
# its factors are rounded to five digits, Yahoo's own beside it are not.
YAHOO_SERIES = {
    "EWG-1d-no-bad-divs": 5,
    "IBE-MC-1d-no-bad-divs": 8,
    "TISG-MI-1d-no-bad-divs": 2,
    "TENT-L-1d-bad-div": 12,
    "1398-HK-1d-bad-div-fixed": None,
    "4063-T-1d-bad-div-fixed": 5,
    "8TRA-DE-1d-missing-div-adjust-fixed": 1,
    "ADIG-L-1d-bad-div-fixed": 11,
    "KAP-IL-1d-bad-div-fixed": 3,
    "PSH-L-1d-bad-div-fixed": None,
    "RGL-L-1d-bad-div-fixed": 10,
    "SCR-TO-1d-bad-div-fixed": 4,
}


def yahoo_series(folder: Path, name: str) -> tuple[pd.DataFrame, pa.Table]:
    """Bars as traded and actions, from Yahoo's split-adjusted prices and dividends; days without a price left out."""
    text = gzip.decompress((folder / f"{name}.csv.gz").read_bytes())
    frame = pd.read_csv(io.BytesIO(text))
    frame = frame[frame["Close"].notna()].reset_index(drop=True)
    days = pd.to_datetime(frame.iloc[:, 0].str.slice(0, 10))
    ratio = frame["Stock Splits"].where(frame["Stock Splits"] > 0.0, 1.0)
    is_split = (ratio != 1.0).to_numpy()
    undone = later_splits(days.to_numpy(), days[is_split].to_numpy(), ratio[is_split])
    rows = pd.DataFrame(
        {
            "ticker": "X",
            "date": days,
            "close": frame["Close"] * undone,
            "paid": frame["Dividends"] * undone,
            "ratio": ratio,
            "adjusted": frame["Adj Close"],
        }
    )
    return rows, actions_of(rows, "paid", "ratio")


@pytest.mark.parametrize("name", YAHOO_SERIES)
def test_yahoos_long_series_are_made_again(shared_data: Path, name: str) -> None:
    rows, actions = yahoo_series(shared_data / "yahoo_repair", name)
    if YAHOO_SERIES[name] is not None:
        assert actions.column("kind").to_pylist().count("dividend") == YAHOO_SERIES[name]
    theirs = relative_to_last(rows, rows["adjusted"])
    away = relative_to_last(rows, adjusted_close(rows, actions, "yahoo")) / theirs - 1.0
    assert away.abs().max() < SINGLE
    crsp = relative_to_last(rows, adjusted_close(rows, actions, "crsp")) / theirs - 1.0
    assert crsp.abs().max() > 1e-4


@pytest.mark.parametrize("name", ["8TRA-DE-1d-missing-div-adjust", "ADIG-L-1d-bad-div", "RGL-L-1d-bad-div"])
def test_yahoos_broken_series_are_seen_to_be_broken(shared_data: Path, name: str) -> None:
    rows, actions = yahoo_series(shared_data / "yahoo_repair", name)
    theirs = relative_to_last(rows, rows["adjusted"])
    away = relative_to_last(rows, adjusted_close(rows, actions, "yahoo")) / theirs - 1.0
    assert away.abs().max() > 0.03
