"""The columns of bars are securities: tickers given away, renamed, and silent for a while."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakehouse import Lake
from lakehouse.columns import days
from lakehouse.daily_panels import DailyPanels, daily_panels
from lakehouse.errors import BadRows
from lakehouse.market_assets import NO_ASSET, delistings_in
from lakehouse.schemas import table_schema
from lakehouse.securities import Securities
from tests.lakehouse.listed import FB, FUND, META, NEW, built
from tests.lakehouse.priced import LATER, actions_table, bars_table, business_days, day, traded

OLD = traded("XYZ", "2007-01-01", "2007-06-29", close=40.0)
YOUNG = traded("XYZ", "2008-01-01", "2008-03-31", close=5.0)
CLOCK = traded("ABC", "2007-01-01", "2008-03-31", close=30.0)
NOON = dt.datetime(2009, 1, 1, 12, tzinfo=dt.UTC)


def panels(folder: Path, *parts: Any, **known: Any) -> DailyPanels:
    lake = Lake(folder)
    rows = bars_table([row for part in parts for row in part])
    months = sorted(set(rows.column("month").to_pylist()))
    lake.replace("core/daily_bars", rows, partitions=months, batch_id="bars")
    return daily_panels(lake, **known)


def traded_on(found: DailyPanels, label: str) -> list[str]:
    """The first and the last session on which a column trades, and how many there are."""
    close = found.bars.close[:, found.bars.symbols.index(label)]
    own = [str(session) for session in found.sessions[~np.isnan(close)]]
    return [own[0], own[-1], str(len(own))]


def listings(*rows: tuple[str, str, str, str | None]) -> Securities:
    """Securities from (security, symbol, start, end)."""
    names = ("security_id", "symbol", "start", "end")
    found = [
        {**dict(zip(names, row, strict=True)), "known_at": NOON, "end_known_at": NOON, "source": "polygon"}
        for row in ((name, symbol, day(start), end and day(end)) for name, symbol, start, end in rows)
    ]
    return Securities(pa.Table.from_pylist(found, schema=table_schema("core/listings").schema), as_of=LATER)


def test_a_ticker_given_away_after_a_silence_is_two_columns(tmp_path: Path) -> None:
    found = panels(tmp_path, OLD, YOUNG, CLOCK)
    assert found.bars.symbols == ("ABC", "XYZ", "XYZ~2007-06")
    assert traded_on(found, "XYZ~2007-06") == ["2007-01-01", "2007-06-29", str(len(OLD))]
    assert traded_on(found, "XYZ") == ["2008-01-01", "2008-03-31", str(len(YOUNG))]
    assert np.nanmin(found.bars.close[:, 2]) == 40.0
    assert np.nanmax(found.bars.close[:, 1]) == 5.0


@pytest.mark.parametrize(("silent", "n_columns"), [(180, 1), (181, 2)])
def test_a_silence_cuts_where_it_cuts_listings(tmp_path: Path, silent: int, n_columns: int) -> None:
    back = day("2007-06-29") + dt.timedelta(days=silent)
    found = panels(tmp_path, OLD, [("XYZ", str(back), 5.0)])
    assert found.bars.n_assets == n_columns
    assert (built(OLD, [("XYZ", str(back), 5.0)]).num_rows) == n_columns


def test_a_renamed_company_is_one_column_and_the_earlier_holder_of_its_new_ticker_another(tmp_path: Path) -> None:
    securities = Securities(built(FUND, FB, NEW, histories=[META]), as_of=LATER)
    found = panels(tmp_path, FUND, FB, NEW, securities=securities)
    # The fund left its ticker five months before: too short a silence to tell by itself.
    assert found.bars.symbols == ("META", "META~2022-01")
    assert traded_on(found, "META") == ["2022-01-03", "2022-12-30", str(len(FB) + len(NEW))]
    close = found.bars.close[:, 0]
    assert close[found.sessions == np.datetime64("2022-06-08")] == 200.0
    assert close[found.sessions == np.datetime64("2022-06-09")] == 150.0
    assert traded_on(found, "META~2022-01")[1] == "2022-01-28"
    rows = bars_table([*FUND, *FB, *NEW])
    assets = found.assets.on(rows.column("symbol"), days(rows.column("session")))
    assert assets.tolist() == [1] * len(FUND) + [0] * (len(FB) + len(NEW))


def test_what_listings_do_not_tell_of_is_a_security_of_its_own(tmp_path: Path) -> None:
    # The second company's first bar comes three days after the first one's last: no silence could tell.
    early, late = traded("XYZ", "2007-01-01", "2007-03-02"), traded("XYZ", "2007-03-05", "2007-04-30")
    securities = listings(("cik:1", "XYZ", "2007-03-05", None))
    found = panels(tmp_path, early, late, securities=securities)
    assert found.bars.symbols == ("XYZ", "XYZ~2007-03")
    assert traded_on(found, "XYZ")[0] == "2007-03-05"


def test_a_ticker_held_by_three_within_a_month_has_three_names(tmp_path: Path) -> None:
    rows = traded("XYZ", "2007-03-01", "2007-03-30")
    securities = listings(
        ("a", "XYZ", "2007-03-01", "2007-03-08"),
        ("b", "XYZ", "2007-03-08", "2007-03-20"),
        ("c", "XYZ", "2007-03-20", None),
    )
    found = panels(tmp_path, rows, securities=securities)
    assert found.bars.symbols == ("XYZ", "XYZ~2007-03", "XYZ~2007-03-07")


def test_two_spellings_of_one_listing_are_one_column_if_they_do_not_meet(tmp_path: Path) -> None:
    securities = listings(("b", "BRK.B", "2000-01-03", None), ("b", "BRK-B", "2000-01-03", None))
    apart = panels(
        tmp_path / "apart",
        traded("BRK.B", "2007-01-01", "2007-01-31"),
        traded("BRK-B", "2007-02-01", "2007-02-28"),
        securities=securities,
    )
    assert apart.bars.symbols == ("BRK-B",)
    both = traded("BRK.B", "2007-01-01", "2007-01-31") + traded("BRK-B", "2007-01-31", "2007-02-28")
    with pytest.raises(BadRows, match=r"BRK-B has two bars on 2007-01-31, under BRK-B and BRK\.B; keep one source's"):
        panels(tmp_path / "both", both, securities=securities)


def test_actions_go_to_whom_the_ticker_belonged(tmp_path: Path) -> None:
    found = panels(tmp_path, OLD, YOUNG, CLOCK)
    actions = actions_table(
        [
            ("XYZ", "2007-03-01", "dividend", 0.5),
            ("XYZ", "2007-08-01", "delisting", -0.3),
            ("XYZ", "2008-02-01", "split", 2.0),
            ("ABC", "2007-05-01", "dividend", 0.1),
        ]
    )
    named = found.assets.named_actions(actions)
    assert named["symbol"].tolist() == ["XYZ~2007-06", "XYZ~2007-06", "XYZ", "ABC"]
    assert found.assets.held("ABD", 0, is_end=False) == NO_ASSET


def test_a_delisting_is_the_holders_of_the_day_before(tmp_path: Path) -> None:
    rows = traded("XYZ", "2007-03-01", "2007-03-30")
    delisting = actions_table([("XYZ", "2007-03-12", "delisting", -1.0)])
    split = actions_table([("XYZ", "2007-03-12", "split", 2.0)])
    for name, part in (("both", rows), ("first", rows[:7])):
        securities = listings(("a", "XYZ", "2007-03-01", "2007-03-12"), ("b", "XYZ", "2007-03-12", None))
        found = panels(tmp_path / name, part, securities=securities)
        earlier = "XYZ~2007-03" if name == "both" else "XYZ"
        assert found.assets.named_actions(delisting)["symbol"].tolist() == [earlier]
        assert found.assets.named_actions(split)["symbol"].tolist() == (["XYZ"] if name == "both" else [])


def test_what_is_told_of_a_renamed_company_under_both_tickers_counts_once(tmp_path: Path) -> None:
    securities = listings(("c", "OLDN", "2007-01-01", "2007-03-01"), ("c", "NEWN", "2007-03-01", None))
    rows = traded("OLDN", "2007-01-01", "2007-02-28") + traded("NEWN", "2007-03-01", "2007-04-30")
    found = panels(tmp_path, rows, securities=securities)
    actions = actions_table(
        [
            ("OLDN", "2007-03-01", "dividend", 0.4),
            ("NEWN", "2007-03-01", "dividend", 0.5),
            ("OLDN", "2007-04-02", "dividend", 0.6),
        ]
    )
    named = found.assets.named_actions(actions)
    assert named[["symbol", "value"]].to_numpy().tolist() == [["NEWN", 0.5], ["NEWN", 0.6]]


def test_bars_after_a_delisting_are_another_security_unless_they_are_the_vendors_delay(tmp_path: Path) -> None:
    ended = delistings_in(actions_table([("XYZ", "2007-07-02", "delisting", -1.0)]))
    later = panels(tmp_path / "later", OLD, traded("XYZ", "2007-08-01", "2007-08-31"), CLOCK, delistings=ended)
    assert later.bars.symbols == ("ABC", "XYZ", "XYZ~2007-06")
    stray = panels(tmp_path / "stray", OLD, traded("XYZ", "2007-07-02", "2007-07-03"), CLOCK, delistings=ended)
    assert stray.bars.symbols == ("ABC", "XYZ")


def test_columns_of_symbols_that_are_one_security_each_are_as_they_were(tmp_path: Path) -> None:
    found = panels(tmp_path, CLOCK, OLD)
    again = panels(tmp_path, CLOCK, OLD, securities=listings(("x", "XYZ", "2007-01-01", None)))
    assert found.bars.symbols == again.bars.symbols == ("ABC", "XYZ")
    assert np.array_equal(found.bars.close, again.bars.close, equal_nan=True)
    assert len(found.sessions) == len(business_days("2007-01-01", "2008-03-31"))
