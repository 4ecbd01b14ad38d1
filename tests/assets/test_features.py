"""The features' table: its columns, its rows month by month, and what of them is computed anew."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from assets.feature_filings import Filings, filings_of, read_filings
from assets.feature_keys import CONTEXT, assemble, confirm, plan
from assets.feature_months import KEYS, WARM_UP_MONTHS, compute_months, features_table, months_before
from assets.features import FEATURES as TABLE
from assets.features import computed_months
from lakehouse import Answer, Lake
from lakehouse.calendar import month_keys, month_range, session_close, sessions
from lakehouse.companies import CompanyRange, companies_of
from lakehouse.gather import gather
from lakehouse.schemas import table_schema
from lakehouse.securities import Securities
from lakehouse.sources.edgar_facts import parse_facts
from strategies.features import FEATURES
from strategies.features.filed import FIGURES
from strategies.features.volatility import standard_deviation
from tests.homes import Home

BARS, ACTIONS, FUNDAMENTALS = "core/daily_bars", "core/corporate_actions", "core/fundamentals"
MONTHS = month_keys(dt.date(2020, 1, 1), dt.date(2021, 12, 1))
LAST = MONTHS[-1]
SYMBOLS = ("AAA", "BBB", "CCC", "NEW", "OLD")
FILED = [name for name, feature in FEATURES.items() if FUNDAMENTALS in feature.reads]
NOW = dt.datetime(2024, 6, 3, tzinfo=dt.UTC)


def made_up_bars(months: list[str], seed: int = 1) -> pa.Table:
    """Bars of SYMBOLS: NEW begins in the last month but one, OLD ends after the first."""
    random = np.random.default_rng(seed)
    days = sessions("XNYS", month_range(months[0])[0], month_range(months[-1])[1])
    ends = session_close("XNYS", days).to_pydatetime()
    rows = []
    for symbol in SYMBOLS:
        close = 50.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, len(days))))
        for day, end, price in zip(days, ends, close, strict=True):
            month = f"{day:%Y-%m}"
            if (symbol == "NEW" and month < months[-2]) or (symbol == "OLD" and month > months[0]):
                continue
            spread = random.uniform(1.001, 1.02, 2)
            rows.append(
                {
                    "symbol": symbol, "session": day, "open": price, "high": price * spread[0],
                    "low": price / spread[1], "close": price, "volume": random.uniform(1e5, 1e6), "bar_end": end,
                    "known_at": end, "source": "sample", "snapshot_id": "0" * 64, "month": month,
                }
            )  # fmt: skip
    rows.sort(key=lambda row: (row["month"], row["symbol"], row["session"]))
    return pa.Table.from_pylist(rows, schema=table_schema(BARS).schema)


def made_up_facts(*figures: tuple[str, float], cik: int = 11) -> pa.Table:
    """Equity of a company by filing day, each about the month's beginning."""
    rows = []
    for filed, value in figures:
        day = dt.date.fromisoformat(filed)
        about = day.replace(day=1)
        rows.append(
            {
                "cik": cik, "taxonomy": "us-gaap", "concept": "StockholdersEquity", "unit": "USD", "start": about,
                "end": about, "filed": day, "value": value, "form": "10-Q", "accession": "0", "fiscal_year": None,
                "fiscal_period": None, "known_at": dt.datetime.combine(day, dt.time(5), dt.UTC) + dt.timedelta(days=1),
                "source": "edgar", "snapshot_id": "0" * 64,
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=table_schema(FUNDAMENTALS).schema)


def with_listing(lake: Lake, symbol: str, security_id: str) -> None:
    row = {
        "security_id": security_id,
        "symbol": symbol,
        "start": dt.date(2000, 1, 3),
        "known_at": NOW,
        "source": "polygon",
    }
    lake.replace(
        "core/listings", pa.Table.from_pylist([row], schema=table_schema("core/listings").schema), batch_id="l"
    )


@pytest.fixture(scope="module")
def bars() -> pa.Table:
    return made_up_bars(MONTHS)


@pytest.fixture
def lake(tmp_path: Path, bars: pa.Table) -> Lake:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars, partitions=MONTHS, batch_id="bars")
    return lake


def refresh(lake: Lake, months: list[str] | None = None) -> tuple[int, list[str], bool]:
    """Do what the asset does; return how many features of months were computed, which, and whether rows changed."""
    pins = lake.pins([BARS, ACTIONS, FUNDAMENTALS, "core/listings", "raw/snapshots"])
    filings = read_filings(lake, pins)
    contents = {table: lake.contents(table, version=pins[table]) for table in (BARS, ACTIONS)}
    todo = plan(lake, months or MONTHS, contents, filings)
    rows = assemble(todo, computed_months(lake, pins, todo, filings))
    commit = lake.replace(TABLE, rows, partitions=months or MONTHS, batch_id="features", context={CONTEXT: todo.keys})
    confirm(lake, todo, commit, batch_id="features", context={})
    assert todo.n_computed + todo.n_reused == len(months or MONTHS) * len(FEATURES)
    return todo.n_computed, todo.computed_names, commit.was_new


def test_the_columns_are_the_registry() -> None:
    columns = [column for column in table_schema(TABLE).columns if column.name not in KEYS]
    assert [column.name for column in columns] == list(FEATURES)
    for column in columns:
        feature = FEATURES[column.name]
        assert (column.type, column.nullable) == ("float64", True)
        assert (column.description, column.unit) == (feature.description, feature.unit)


def test_the_months_read_hold_the_longest_warmup_and_the_splits_since_shares_were_counted() -> None:
    longest = max(feature.warmup_bars for feature in FEATURES.values())
    n_sessions = Counter(f"{day:%Y-%m}" for day in sessions("XNYS", dt.date(1998, 1, 1), dt.date(2026, 11, 1)))
    months = sorted(n_sessions)
    fewest = min(
        sum(n_sessions[month] for month in months[at - WARM_UP_MONTHS : at])
        for at in range(WARM_UP_MONTHS, len(months))
    )
    assert fewest >= longest
    first, day_before = month_range(months_before("2021-03", WARM_UP_MONTHS))[0], month_range("2021-03")[0]
    assert (day_before - first).days > FIGURES["shares"].max_age_days


def test_a_month_alone_has_the_bits_it_has_within_a_range(bars: pa.Table) -> None:
    actions = table_schema(ACTIONS).schema.empty_table()
    whole = features_table(bars, actions, MONTHS)
    for month in (MONTHS[0], MONTHS[13], MONTHS[-2], LAST):
        start = month_range(months_before(month, WARM_UP_MONTHS))[0]
        reach = pc.and_(pc.greater_equal(bars["session"], start), pc.less(bars["session"], month_range(month)[1]))
        alone = features_table(bars.filter(reach), actions, [month])
        assert alone.equals(whole.filter(pc.equal(whole["month"], month))), month
    assert whole.select(KEYS).equals(bars.select(KEYS))
    assert whole["beta_252"].null_count < 0.6 * whole.num_rows


def test_months_alone_know_renamed_companies_and_given_away_tickers_as_a_range_does(bars: pa.Table) -> None:
    frame = bars.to_pandas()
    was = (frame["symbol"] == "AAA") & (frame["session"] < dt.date(2020, 10, 1))
    frame.loc[was, "symbol"] = "ZZZ"  # another place among the columns
    given = frame["session"].between(dt.date(2020, 6, 1), dt.date(2021, 1, 29)) & (frame["symbol"] == "BBB")
    changed = pa.Table.from_pandas(frame[~given], schema=bars.schema, preserve_index=False)
    filings = Filings(securities=Securities(listed_renaming(), as_of=NOW.replace(year=2100)))
    actions = table_schema(ACTIONS).schema.empty_table()
    whole = features_table(changed, actions, MONTHS, filings)
    for month in ("2020-05", "2020-10", "2021-03", LAST):
        start = month_range(months_before(month, WARM_UP_MONTHS))[0]
        reach = pc.and_(pc.greater_equal(changed["session"], start), pc.less(changed["session"], month_range(month)[1]))
        alone = features_table(changed.filter(reach), actions, [month], filings)
        assert alone.equals(whole.filter(pc.equal(whole["month"], month))), month
    plain = features_table(bars, actions, MONTHS).to_pandas().set_index(["symbol", "session"])["momentum_252_21"]
    found = whole.to_pandas().set_index(["symbol", "session"])["momentum_252_21"]
    # The renamed company's year goes back to the earlier ticker; the other company's first year has none.
    pd.testing.assert_series_equal(found["AAA"], plain["AAA"][plain["AAA"].index >= dt.date(2020, 10, 1)])
    assert found["AAA"].notna().any() and found["BBB"].isna().all() and plain["BBB"].notna().any()


def listed_renaming() -> pa.Table:
    rows = [
        {"security_id": "cik:1", "symbol": symbol, "start": start, "end": end, "known_at": NOW, "end_known_at": NOW}
        | {"source": "polygon"}
        for symbol, start, end in (
            ("ZZZ", dt.date(2000, 1, 3), dt.date(2020, 10, 1)),
            ("AAA", dt.date(2020, 10, 1), None),
        )
    ]
    return pa.Table.from_pylist(rows, schema=table_schema("core/listings").schema)


def test_a_renaming_is_felt_by_the_months_that_see_it(lake: Lake) -> None:
    refresh(lake)
    rows = listed_renaming().to_pylist()[1:]
    lake.replace("core/listings", pa.Table.from_pylist(rows, schema=listed_renaming().schema), batch_id="l")
    n_computed, _, _ = refresh(lake)
    # The months up to September lie before all that is told, and see nothing of it.
    assert n_computed == len([month for month in MONTHS if month >= "2020-10"]) * len(FEATURES)
    assert refresh(lake)[0] == 0


def test_what_is_as_stored_is_not_computed_again(lake: Lake) -> None:
    assert refresh(lake) == (len(MONTHS) * len(FEATURES), list(FEATURES), True)
    before = lake.scan(TABLE)
    assert refresh(lake) == (0, [], False)
    assert refresh(lake, [LAST]) == (0, [], False)
    assert lake.scan(TABLE).equals(before)


def test_a_changed_definition_is_computed_alone_and_the_rest_is_read(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh(lake)
    (written,) = (entry for entry in lake.history(TABLE) if entry["context"])
    # Marks in the stored rows, under the very keys: what is computed anew loses them, what is read keeps them.
    rows = lake.scan(TABLE)
    marks = pa.array(np.full(rows.num_rows, 123.456))
    for name in ("volatility_21", "momentum_252_21"):
        rows = rows.set_column(rows.column_names.index(name), name, marks)
    lake.replace(TABLE, rows, partitions=MONTHS, batch_id="marks", context=written["context"])
    changed = replace(FEATURES["volatility_21"], function=partial(standard_deviation, n=20))
    monkeypatch.setitem(FEATURES, "volatility_21", changed)
    assert refresh(lake) == (len(MONTHS), ["volatility_21"], True)
    after = lake.scan(TABLE)
    assert after["momentum_252_21"].to_pylist() == marks.to_pylist()
    assert 123.456 not in after["volatility_21"].to_pylist()
    assert refresh(lake) == (0, [], False)


def test_a_new_feature_is_computed_alone(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FEATURES, "gross_profitability")
    pins = lake.pins([BARS, ACTIONS, FUNDAMENTALS, "core/listings", "raw/snapshots"])
    contents = {table: lake.contents(table) for table in (BARS, ACTIONS)}
    todo = plan(lake, MONTHS, contents, Filings())
    found = computed_months(lake, pins, todo, Filings())
    nothing = pa.nulls(sum(part.num_rows for part in found.values()), pa.float64())
    rows = pa.concat_tables(found.values()).append_column("gross_profitability", nothing)
    rows = rows.select(table_schema(TABLE).column_names).cast(table_schema(TABLE).schema)
    lake.replace(TABLE, rows, partitions=MONTHS, batch_id="features", context={CONTEXT: todo.keys})
    monkeypatch.undo()
    assert refresh(lake)[:2] == (len(MONTHS), ["gross_profitability"])


def test_changed_bars_are_felt_in_their_month_and_as_long_as_features_look_back(lake: Lake, bars: pa.Table) -> None:
    refresh(lake)
    month = MONTHS[4]
    rows = bars.filter(pc.equal(bars["month"], month))
    close = rows["close"].to_numpy().copy()
    close[3] = rows["low"][3].as_py()
    lake.replace(BARS, rows.set_column(5, "close", pa.array(close)), partitions=month, batch_id="other")
    assert rows.column_names[5] == "close"
    reach = MONTHS[4 : 4 + WARM_UP_MONTHS + 1]
    assert refresh(lake)[0] == len(reach) * len(FEATURES)
    assert refresh(lake, [month for month in MONTHS if month not in reach])[0] == 0
    fresh = features_table(lake.scan(BARS), table_schema(ACTIONS).schema.empty_table(), MONTHS)
    assert lake.scan(TABLE).equals(fresh)


def test_a_filing_is_felt_from_its_month_on_by_what_reads_filings_only(lake: Lake) -> None:
    with_listing(lake, "BBB", "cik:11")
    first = made_up_facts(("2020-02-10", 1e9))
    lake.replace(FUNDAMENTALS, first, batch_id="f1")
    refresh(lake)
    before = lake.scan(TABLE)
    later = made_up_facts(("2020-02-10", 1e9), ("2021-06-15", 2e9))
    lake.replace(FUNDAMENTALS, later, batch_id="f2")
    n_computed, names, _ = refresh(lake)
    assert (n_computed, names) == (len([month for month in MONTHS if month >= "2021-06"]) * len(FILED), FILED)
    assert lake.scan(TABLE, where=[("month", "<", "2021-06")]).equals(
        before.filter(pc.less(before["month"], "2021-06"))
    )
    # Of a company without a symbol nothing is of use.
    lake.replace(FUNDAMENTALS, pa.concat_tables([later, made_up_facts(("2020-03-10", 1.0), cik=99)]), batch_id="f3")
    assert refresh(lake) == (0, [], False)


def test_rows_that_came_without_keys_are_computed_anew(lake: Lake) -> None:
    refresh(lake)
    rows = lake.scan(TABLE, where=[("month", "=", LAST)])
    other = rows.set_column(rows.column_names.index("rsi_14"), "rsi_14", pa.nulls(rows.num_rows, pa.float64()))
    lake.replace(TABLE, other, partitions=LAST, batch_id="by hand")
    assert refresh(lake) == (len(FEATURES), list(FEATURES), True)
    assert lake.scan(TABLE, where=[("month", "=", LAST)]).equals(rows)


def test_a_definition_that_comes_out_the_same_is_computed_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh(lake)
    before = lake.scan(TABLE)
    changed = replace(FEATURES["volatility_21"], warmup_bars=22)
    monkeypatch.setitem(FEATURES, "volatility_21", changed)
    assert refresh(lake) == (len(MONTHS), ["volatility_21"], False)
    version = lake.version(TABLE)
    assert refresh(lake) == (0, [], False)
    assert lake.version(TABLE) == version and lake.scan(TABLE).equals(before)
    assert [problem for problem in lake.verify() if problem.severity == "error"] == []


def test_a_month_whose_bars_are_gone_loses_its_features(lake: Lake) -> None:
    months = MONTHS[:2]
    refresh(lake, months)
    lake.replace(BARS, table_schema(BARS).schema.empty_table(), partitions=months[1], batch_id="gone")
    pins = lake.pins([BARS, ACTIONS, FUNDAMENTALS, "core/listings", "raw/snapshots"])
    todo = plan(lake, months, {table: lake.contents(table) for table in (BARS, ACTIONS)}, Filings())
    rows = assemble(todo, computed_months(lake, pins, todo, Filings()))
    assert set(rows["month"].to_pylist()) == {months[0]}


def test_features_of_nothing_are_nothing() -> None:
    empty = table_schema(BARS).schema.empty_table()
    actions = table_schema(ACTIONS).schema.empty_table()
    assert features_table(empty, actions, MONTHS).num_rows == 0
    assert compute_months(empty, actions, Filings(), {LAST: list(FEATURES)}) == {}


def test_a_symbol_is_the_company_that_listings_name_and_else_the_one_edgar_was_asked_for() -> None:
    def listing(symbol: str, security: str, start: str, end: str | None) -> dict[str, object]:
        last = None if end is None else dt.date.fromisoformat(end)
        return {
            "security_id": security, "symbol": symbol, "start": dt.date.fromisoformat(start), "end": last,
            "known_at": NOW, "source": "polygon",
        }  # fmt: skip

    def asked(symbol: str, cik: int, day: int) -> Mapping[str, object]:
        return {
            "request": json.dumps({"symbol": symbol, "cik": cik}),
            "known_at": dt.datetime(2024, 1, day, tzinfo=dt.UTC),
        }

    rows = [
        listing("META", "sym:META@2021-06-30", "2021-06-30", "2022-01-31"),
        listing("META", "cik:1326801", "2022-06-09", None),
        listing("BRK-B", "cik:1067983.B", "1996-05-09", None),
        listing("BAC-PB", "cik:70858:BAC-PB", "2018-05-17", None),
        listing("ODD", "sym:ODD@2020-01-02", "2020-01-02", None),
    ]
    listings = pa.Table.from_pylist(rows, schema=table_schema("core/listings").schema)
    questions = [("IBM", 2, 2), ("IBM", 51143, 3), ("META", 9, 3), ("ODD", 9, 3), ("CIK0000000007", 7, 4)]
    found = companies_of(listings, [asked(*question) for question in questions])
    assert {symbol: [tuple(each) for each in ranges] for symbol, ranges in found.items()} == {
        "META": [(dt.date(2022, 6, 9), None, 1326801)],
        "BRK.B": [(dt.date(1996, 5, 9), None, 1067983)],
        "BAC-PB": [(dt.date(2018, 5, 17), None, 70858)],
        "IBM": [(None, None, 51143)],
    }


def test_shares_fit_the_traded_close_across_a_split_that_came_after_they_were_counted(
    lake: Lake, bars: pa.Table
) -> None:
    facts = made_up_facts(("2020-02-10", 1e6))
    facts = facts.set_column(2, "concept", pa.array(["EntityCommonStockSharesOutstanding"]))
    facts = facts.set_column(3, "unit", pa.array(["shares"]))
    filings = filings_of(facts, {"AAA": [CompanyRange(None, None, 11)]})
    split = {
        "symbol": "AAA", "ex_date": dt.date(2020, 3, 2), "kind": "split", "value": 4.0, "known_at": NOW,
        "source": "sample", "snapshot_id": "0" * 64, "month": "2020-03",
    }  # fmt: skip
    actions = pa.Table.from_pylist([split], schema=table_schema(ACTIONS).schema)
    rows = features_table(bars, actions, MONTHS[:4], filings).to_pandas().set_index(["symbol", "session"])
    close = bars.to_pandas().set_index(["symbol", "session"])["close"]
    shares = (rows["market_value"] / close).loc["AAA"].dropna()
    assert shares.index[0] == dt.date(2020, 2, 11)
    np.testing.assert_allclose(shares[shares.index < dt.date(2020, 3, 2)], 1e6, rtol=1e-12)
    np.testing.assert_allclose(shares[shares.index >= dt.date(2020, 3, 2)], 4e6, rtol=1e-12)
    assert rows["market_value"].drop("AAA").isna().all()


def test_the_asset_tells_what_it_computed_and_joins_filings_to_prices(sample_home: Home, shared_data: Path) -> None:
    lake = sample_home.lake
    content = gzip.decompress((shared_data / "edgar_companyfacts/CIK0000320193.json.gz").read_bytes())
    request = {"dataset": "companyfacts", "symbol": "AAPL", "cik": 320193, "as_of": "2026-11-20T00:00:00+00:00"}
    as_of = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    lake.snapshots.put([Answer(content, "edgar", "companyfacts", request, as_of, "application/json", symbol="AAPL")])
    (row,) = lake.snapshots.find("edgar", "companyfacts")
    parsed = parse_facts(content, symbol="AAPL", cik=320193, as_of=as_of)
    lake.replace(FUNDAMENTALS, gather(FUNDAMENTALS, [(row, parsed)], sources=["edgar"]), batch_id="facts")

    def told() -> dict[str, object]:
        result = sample_home.materialize("features/daily", partition="2013-01")
        (event,) = result.get_asset_materialization_events()
        return {name: value.value for name, value in event.materialization.metadata.items()}

    first, second = told(), told()
    n = len(FEATURES)
    assert (first["features/computed"], first["features/reused"], first["computed"]) == (n, 0, list(FEATURES))
    assert (second["features/computed"], second["features/reused"], second["computed"]) == (0, n, [])
    assert second["changed"] is False and second["rows"] == first["rows"]
    rows = lake.scan(TABLE, where=[("month", "=", "2013-01")]).to_pandas().set_index(["symbol", "session"])
    close = lake.scan(BARS, where=[("symbol", "=", "AAPL")]).to_pandas().set_index("session")["close"]
    # The 10-Q of 2013-01-24: 41,733 + 13,078 - 13,064; 939,058,000 shares instead of 940,692,000.
    by_hand = {
        dt.date(2013, 1, 24): 41733e6 / (close[dt.date(2013, 1, 24)] * 940_692_000),
        dt.date(2013, 1, 25): 41747e6 / (close[dt.date(2013, 1, 25)] * 939_058_000),
    }
    for day, value in by_hand.items():
        assert rows.loc[("AAPL", day), "earnings_yield"] == pytest.approx(value, rel=1e-12)
    assert rows.loc["IBM", FILED].isna().all().all() and rows.loc["IBM", "rsi_14"].notna().all()
    assert sample_home.instance.get_materialized_partitions(dg.AssetKey(["features", "daily"])) == {"2013-01"}
