"""The market of a spec: securities instead of tickers, ends that nobody told, and members without bars."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from assets.feature_filings import Filings
from assets.feature_months import features_table
from assets.research.coverage import Coverage
from assets.research.market import INPUTS, Market, load_market
from assets.research.provenance import provenance
from assets.research.recording import Origin, run_record
from assets.research.reproduce import reproduce
from assets.research.runs import backtest_run
from assets.research.sheets import tear_sheet
from assets.research.validity import Validity, assess, validity_rows
from assets.research.workflow import Bench
from assets.tracking import Tracking
from lakehouse import Lake
from lakehouse.companies import companies_of
from lakehouse.schemas import table_schema
from lakehouse.securities import Securities
from lakehouse.universe import from_bars
from orchestration.cli.research import _show
from strategies.spec import Spec
from tests.lakehouse.priced import LATER, actions_table, bars_table, business_days, day, moment, traded

NOW = dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
BEFORE = traded("XYZ", "2007-01-01", "2007-02-28", close=40.0) + traded("XYZ", "2007-03-01", "2007-06-29", close=30.0)
AFTER = traded("XYZ", "2008-07-01", "2008-08-29", close=5.0) + traded("XYZ", "2008-09-01", "2008-12-31", close=6.0)
OTHER = traded("ABC", "2007-01-01", "2008-12-31", close=30.0)


def filled(
    folder: Path,
    bars: pa.Table,
    *,
    universe: Sequence[tuple[str, str, str | None]] = (),
    listings: Sequence[tuple[str, str, str, str | None]] = (),
    actions: Sequence[tuple[Any, ...]] = (),
    with_features: bool = False,
) -> Lake:
    """A lake with these bars, if asked for their features, the universes made of them, and the one told as "index"."""
    lake = Lake(folder)
    months = sorted(set(bars.column("month").to_pylist()))
    lake.replace("core/daily_bars", bars, partitions=months, batch_id="bars")
    told_actions = actions_table(actions)
    if actions:
        of = sorted(set(told_actions.column("month").to_pylist()))
        lake.replace("core/corporate_actions", told_actions, partitions=of, batch_id="actions")
    schema = table_schema("core/listings").schema
    names = ("security_id", "symbol", "start", "end")
    rows = [
        {**dict(zip(names, (*row[:2], day(row[2]), row[3] and day(row[3])), strict=True)), "known_at": NOW}
        | {"end_known_at": NOW, "source": "polygon"}
        for row in listings
    ]
    if rows:
        lake.replace("core/listings", pa.Table.from_pylist(rows, schema=schema), batch_id="listings")
    told = [
        {"universe": "index", "symbol": symbol, "start": day(start), "end": end and day(end)}
        | {"known_at": moment(start), "source": "membership"}
        for symbol, start, end in universe
    ]
    members = pa.Table.from_pylist(told, schema=table_schema("core/universe").schema)
    lake.replace("core/universe", pa.concat_tables([from_bars(bars), members]), batch_id="universe")
    if with_features:
        securities = Securities(lake.scan("core/listings"), as_of=LATER) if rows else None
        features = features_table(bars, told_actions, months, Filings(securities=securities))
        lake.replace("features/daily", features, partitions=months, batch_id="features")
    return lake


def flat(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Bars that open and close at one price, so that a fill costs nothing."""
    bars = bars_table(rows)
    return bars.set_column(bars.column_names.index("open"), bars.schema.field("open"), bars.column("close"))


def spec_of(universe: str = "index", **more: Any) -> Spec:
    return Spec(name="parts", strategy="equal_weight", universe=universe, **more)


def market_of(lake: Lake, spec: Spec) -> Market:
    return load_market(lake, spec, lake.pins(INPUTS))


def equity_by_day(lake: Lake, spec: Spec) -> Mapping[str, float]:
    result = backtest_run(market_of(lake, spec), spec).result
    return dict(zip(np.datetime_as_string(result.bar_end, "D").tolist(), result.equity.tolist(), strict=True))


@pytest.mark.parametrize("universe", ["files", "index"])
def test_a_ticker_given_away_loses_nothing_between_its_holders(tmp_path: Path, universe: str) -> None:
    members = [("XYZ", "2007-01-01", "2007-07-02"), ("XYZ", "2008-07-01", None), ("ABC", "2007-01-01", None)]
    lake = filled(tmp_path, flat([*BEFORE, *AFTER, *OTHER]), universe=members)
    equity = equity_by_day(lake, spec_of(universe))
    # By hand: half of 100,000 is 1,250 units at 40; they lose 10 each. Half of what is left is 8,750 units at 5 of the
    # other company, which win 1 each. Nothing else moves, above all not between the two.
    expected = {"2007-02-28": 100_000.0, "2007-03-01": 87_500.0, "2008-07-01": 87_500.0}
    expected |= {"2008-08-29": 87_500.0, "2008-09-01": 96_250.0, "2008-12-31": 96_250.0}
    assert {session: equity[session] for session in expected} == pytest.approx(expected, rel=1e-12)
    steps = np.flatnonzero(np.abs(np.diff(list(equity.values()))) > 1e-6)
    assert [list(equity)[step + 1] for step in steps] == ["2007-03-01", "2008-09-01"]


def test_a_company_that_nobody_said_ended_is_closed_when_its_silence_is_known(tmp_path: Path) -> None:
    lake = filled(tmp_path, bars_table([*BEFORE, *OTHER]))
    market = market_of(lake, spec_of("files"))
    assert market.assumed_ends == ("XYZ",)
    result = backtest_run(market, spec_of("files")).result
    days = np.datetime_as_string(result.bar_end, "D")
    held = result.positions[:, result.symbols.index("XYZ")]
    # 2007-06-29 and 180 days are 2007-12-26: it is known on the 27th.
    assert held[days == "2007-12-26"] > 0.0
    assert not held[days >= "2007-12-27"].any()
    around = result.equity[(days == "2007-12-26") | (days == "2007-12-27")]
    assert around[0] == pytest.approx(around[1], rel=1e-12)
    # What comes later does not change when it is closed, and nothing is closed that nobody could know of yet.
    for end, ended in (("2007-12-27", False), ("2007-12-28", True)):
        part = market_of(lake, spec_of("files", end=day(end)))
        assert part.assumed_ends == (("XYZ",) if ended else ())
        rows = part.bars.n_bars
        assert np.array_equal(part.actions.delisting, market.actions.delisting[:rows], equal_nan=True)


def test_a_known_delisting_counts_and_none_is_assumed(tmp_path: Path) -> None:
    told = [("XYZ", "2007-07-02", "delisting", -0.5)]
    lake = filled(tmp_path, bars_table([*BEFORE, *AFTER, *OTHER]), actions=told)
    market = market_of(lake, spec_of("files"))
    assert market.bars.symbols == ("ABC", "XYZ", "XYZ~2007-06")
    assert market.assumed_ends == ()
    at, asset = np.argwhere(~np.isnan(market.actions.delisting)).tolist()[0]
    assert (str(market.bars.bar_end[at])[:10], market.bars.symbols[asset]) == ("2007-07-02", "XYZ~2007-06")


def test_a_renamed_company_goes_on_with_its_history_features_and_membership(tmp_path: Path) -> None:
    before, after = traded("OLDN", "2007-01-01", "2007-09-28"), traded("NEWN", "2007-10-01", "2008-12-31", close=11.0)
    alone = [("ONE", *row[1:]) for row in (*before, *after)]
    members = [("OLDN", "2007-01-01", "2007-10-01"), ("NEWN", "2007-10-01", None), ("ABC", "2007-01-01", None)]
    listings = [("cik:1", "OLDN", "2007-01-01", "2007-10-01"), ("cik:1", "NEWN", "2007-10-01", None)]
    both = bars_table([*before, *after, *OTHER])
    lake = filled(tmp_path / "a", both, universe=members, listings=listings, with_features=True)
    never = [("ONE", "2007-01-01", None), ("ABC", "2007-01-01", None)]
    plain = filled(tmp_path / "b", bars_table([*alone, *OTHER]), universe=never, with_features=True)
    market, expected = market_of(lake, spec_of()), market_of(plain, spec_of())
    assert market.bars.symbols == ("ABC", "NEWN") and expected.bars.symbols == ("ABC", "ONE")
    assert market.coverage.rate == 1.0 and market.assumed_ends == ()
    runs = [backtest_run(each, spec_of()).result for each in (market, expected)]
    assert np.array_equal(runs[0].equity, runs[1].equity)
    for name in ("momentum_252_21", "volatility_21", "rank_momentum_252_21"):
        one, other = (each.window._features[name] for each in (market, expected))
        assert np.array_equal(one, other, equal_nan=True)
    assert np.isfinite(market.window._features["volatility_21"][200, 1])


def test_a_reused_ticker_has_no_features_of_its_earlier_holder(tmp_path: Path) -> None:
    lake = filled(tmp_path, bars_table([*BEFORE, *AFTER, *OTHER]), with_features=True)
    alone = filled(tmp_path / "alone", bars_table(AFTER), with_features=True)
    name, market = "volatility_21", market_of(lake, spec_of("files"))
    own = market.window._features[name][:, market.bars.symbols.index("XYZ")]
    expected = market_of(alone, spec_of("files")).window._features[name][:, 0]
    assert np.isfinite(expected).sum() > 50
    assert np.array_equal(own[~np.isnan(own)], expected[~np.isnan(expected)])


def test_other_holders_of_a_members_ticker_are_left_out_with_their_sessions(tmp_path: Path) -> None:
    lake = filled(tmp_path, bars_table([*BEFORE, *AFTER]), universe=[("XYZ", "2008-07-01", None)])
    market = market_of(lake, spec_of())
    assert market.bars.symbols == ("XYZ",)
    assert str(market.bars.bar_end[0])[:10] == "2008-07-01"


def test_member_days_without_bars_are_counted_by_year(tmp_path: Path) -> None:
    members = [("ABC", "2007-01-01", None), ("GONE", "2007-03-01", "2008-02-01"), ("XYZ", "2007-07-02", None)]
    lake = filled(tmp_path, bars_table([*BEFORE, *OTHER]), universe=members)
    found = market_of(lake, spec_of()).coverage
    one, two = (len(business_days(f"{year}-01-01", f"{year}-12-31")) for year in (2007, 2008))
    gone = [len(business_days("2007-03-01", "2007-12-31")), len(business_days("2008-01-01", "2008-01-31"))]
    later = len(business_days("2007-07-02", "2007-12-31"))  # XYZ has bars on days before it is a member only
    assert found.days == {2007: (one + gone[0] + later, one), 2008: (two + gone[1] + two, two)}
    assert found.is_point_in_time and not found.is_enough
    assert found.worst_year == 2007 if one / found.days[2007][0] < two / found.days[2008][0] else 2008
    assert any("INCOMPLETE UNIVERSE" in text for text in found.warnings)
    assert not any("hindsight" in text for text in found.warnings)


def test_real_members_with_bars_are_those_pandas_counts(shared_data: Path, tmp_path: Path) -> None:
    told = pd.read_csv(shared_data / "sp500_membership/sp500_ticker_start_end.csv", parse_dates=[1, 2])
    prices = pd.read_parquet(shared_data / "av_daily/daily_120_1999_2019.parquet")
    prices = prices[prices["date"].between("2008-05-01", "2008-07-31")]
    rows = bars_table(list(zip(prices["ticker"], prices["date"].dt.strftime("%Y-%m-%d"), prices["close"], strict=True)))
    lake = Lake(tmp_path)
    lake.replace("core/daily_bars", rows, partitions=["2008-05", "2008-06", "2008-07"], batch_id="bars")
    members = pd.DataFrame(
        {
            "universe": "sp500",
            "symbol": told["ticker"],
            "start": told["start_date"].dt.date,
            "end": told["end_date"].astype(object).where(told["end_date"].notna(), None),
            "known_at": told["start_date"].dt.tz_localize("UTC"),
            "source": "membership",
        }
    )
    schema = table_schema("core/universe").schema
    lake.replace("core/universe", pa.Table.from_pandas(members, schema=schema, preserve_index=False), batch_id="u")
    found = market_of(lake, spec_of("sp500")).coverage
    sessions = pd.DataFrame({"date": sorted(prices["date"].unique())})
    every = told.merge(sessions, how="cross")
    every = every[
        (every["start_date"] <= every["date"]) & (every["end_date"].isna() | (every["date"] < every["end_date"]))
    ]
    every = every.drop_duplicates(["ticker", "date"]).merge(prices[["ticker", "date"]], how="left", indicator=True)
    has_bar = every["_merge"] == "both"
    assert found.days == {2008: (len(every), int(has_bar.sum()))}
    assert 0.1 < found.rate < 0.2
    june = every["date"] == "2008-06-02"
    assert (int(june.sum()), int((june & has_bar).sum())) == (497, 78)


def test_what_is_told_of_the_universe_is_in_the_record_and_on_the_sheet(tmp_path: Path) -> None:
    members = [("ABC", "2007-01-01", None), ("XYZ", "2007-01-01", None), ("GONE", "2007-01-01", None)]
    lake = filled(tmp_path, flat([*BEFORE, *AFTER, *OTHER]), universe=members)
    for universe, tag in (("index", "biased: bars for"), ("files", "biased: universe chosen in hindsight")):
        spec, pins = spec_of(universe), lake.pins(INPUTS)
        market = load_market(lake, spec, pins)
        run, of = backtest_run(market, spec), provenance(spec, pins)
        validity = assess(run.result, {}, n_trials=1, periods_per_year=252.0)
        told = run_record(lake, market, run, of, validity, origin=Origin(), parent_run_id=None)
        assert told.metrics["universe/coverage"] == market.coverage.rate
        assert told.metrics["universe/coverage_worst_year"] == market.coverage.worst_rate
        assert told.metrics["universe/assumed_ends"] == 1.0
        assert told.tags["survivorship"].startswith(tag)
        sheet = tear_sheet(market, run, of, run_id="r", validity=validity, n_cuts=50, windows=[])
        is_told = universe == "index"
        assert ("INCOMPLETE UNIVERSE" in sheet) == (market.coverage.rate < 0.95) == is_told
        assert ("chosen in hindsight" in sheet) != is_told
        assert "1: XYZ~2007-06" in sheet


@pytest.mark.slow
def test_a_run_on_a_ticker_given_away_replays_and_says_so_in_mlflow_and_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(
        tmp_path, flat([*BEFORE, *AFTER, *OTHER]), universe=[("ABC", "2007-01-01", None), ("XYZ", "2007-01-01", None)]
    )
    tracking = Tracking(lake.home)
    tracking.initialise()
    recorded = Bench(lake, tracking, NOW).backtest(spec_of())
    stored = tracking.find(recorded.run_id)
    assert stored.metrics["universe/coverage"] == recorded.coverage.rate < 0.95
    assert stored.tags["survivorship"].startswith("biased: bars for")
    assert reproduce(lake, recorded.run_id).is_equal
    _show(recorded, False, 0.0)
    said = capsys.readouterr().out
    assert "INCOMPLETE UNIVERSE: index has bars for" in said and "ends assumed" in said
    # A run from before symbols were resolved has no pin of core/listings.
    (row,) = lake.scan("research/runs").to_pylist()
    pins = {table: version for table, version in recorded.pins.items() if table != "core/listings"}
    old = {**row, "run_id": "f" * 32, "pins": json.dumps(pins), "result_hash": "0" * 64}
    rows = pa.Table.from_pylist([old], schema=lake.scan("research/runs").schema)
    lake.append_once("research/runs", rows, batch_id="old")
    outcome = reproduce(lake, "f" * 32)
    assert not outcome.is_equal and any("columns were tickers then" in text for text in outcome.differences)


@pytest.mark.parametrize(
    ("days", "told", "verdicts", "n_warnings"),
    [
        ({2007: (1_000, 950)}, True, ("ok", "ok"), 0),
        ({2007: (1_000, 1_000), 2008: (1_000, 899)}, True, ("ok", "fail"), 1),
        ({2007: (1_000, 1_000)}, False, ("caution", "ok"), 1),
        ({}, True, ("ok", "fail"), 1),
    ],
)
def test_the_belief_table_says_who_chose_the_members_and_how_many_have_bars(
    days: dict[int, tuple[int, int]], told: bool, verdicts: tuple[str, str], n_warnings: int
) -> None:
    coverage = Coverage("index", told, days)
    validity = Validity(1.0, 0.1, 0.99, 0.99, 1, 0.0, 2.0)
    rows = {
        row.label: row
        for row in validity_rows(validity, coverage, in_sample_sharpe=1.0, n_cuts=50, assumed_ends=["XYZ~2007-06"])
    }
    assert (rows["Universe"].verdict, rows["Members with bars"].verdict) == verdicts
    assert len(coverage.warnings) == n_warnings
    assert (rows["Ends assumed"].value, rows["Ends assumed"].verdict) == ("1: XYZ~2007-06", "caution")


def test_a_company_asked_for_by_ticker_has_the_bars_since_the_last_silence() -> None:
    bars = bars_table([*BEFORE, *AFTER, *OTHER])
    none = table_schema("core/listings").schema.empty_table()

    def asked(symbol: str, cik: int, told: str) -> Mapping[str, Any]:
        return {"request": f'{{"symbol": "{symbol}", "cik": {cik}}}', "known_at": moment(told)}

    found = companies_of(none, [asked("XYZ", 2, "2010-01-04"), asked("ABC", 3, "2010-01-04")], bars)
    assert [tuple(row) for row in found["XYZ"]] == [(day("2008-07-01"), None, 2)]
    assert [tuple(row) for row in found["ABC"]] == [(None, None, 3)]
    then = companies_of(none, [asked("XYZ", 1, "2007-03-05")], bars)
    assert [tuple(row) for row in then["XYZ"]] == [(None, day("2008-07-01"), 1)]
