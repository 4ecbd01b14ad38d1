"""The security master: symbols that change, that are given away, and that are silent for a while."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse import Lake
from lakehouse.adjusting import adjust_bars
from lakehouse.errors import BadRows, UnknownSymbol
from lakehouse.listing import (
    CompanyTicker,
    one_spelling,
)
from lakehouse.schemas import table_schema
from lakehouse.securities import Securities, build_listings
from tests.lakehouse.listed import CLOCK, FB, FUND, META, NEW, built, history, rows_of
from tests.lakehouse.priced import LATER, actions_table, bars_table, business_days, column, day, moment, traded


def test_listings_are_rows_of_their_table(tmp_path: Path) -> None:
    listings = built(FB, NEW, CLOCK, histories=[META])
    assert listings.schema == table_schema("core/listings").schema
    lake = Lake(tmp_path)
    lake.replace("core/listings", listings, batch_id="listings")
    assert lake.scan("core/listings").equals(listings)


def test_a_renamed_security_stays_one() -> None:
    listings = built(FB, NEW, CLOCK, histories=[META])
    assert rows_of(listings) == [
        ("cik:1326801", "FB", "2012-05-18", "2022-06-09"),
        ("cik:1326801", "META", "2022-06-09", None),
        ("sym:SPY@2021-01-04", "SPY", "2021-01-04", None),
    ]
    assert listings.column("name").to_pylist()[:2] == ["Meta Platforms, Inc. Class A Common Stock"] * 2
    assert listings.column("source").to_pylist() == ["polygon", "polygon", "files"]
    securities = Securities(listings, as_of=LATER)
    assert securities.resolve("FB", day("2022-06-08")) == "cik:1326801"
    assert securities.resolve("META", day("2022-06-09")) == "cik:1326801"
    assert securities.symbols_of("cik:1326801", day("2022-06-08")) == ("FB",)
    assert securities.symbols_of("cik:1326801", day("2030-01-01")) == ("META",)
    assert securities.symbols_of("cik:1326801", day("2012-05-17")) == ()


def test_the_bars_of_a_renamed_security_are_one_series() -> None:
    bars = bars_table([*NEW, *FB, *CLOCK, *FUND])
    securities = Securities(build_listings(bars, as_of=LATER, histories=[META]), as_of=LATER)
    own = securities.bars_of("cik:1326801", bars)
    assert own.column("session").to_pylist() == [day(text) for text in business_days("2022-01-03", "2022-12-30")]
    assert set(own.column("security_id").to_pylist()) == {"cik:1326801"}
    change = own.column("session").to_pylist().index(day("2022-06-09"))
    assert own.column("symbol").to_pylist()[change - 1 : change + 1] == ["FB", "META"]
    assert own.drop_columns(["security_id"]).schema == bars.schema


def test_a_symbol_that_was_another_securitys_before_does_not_join_them() -> None:
    bars = bars_table([*FUND, *FB, *NEW, *CLOCK])
    listings = build_listings(bars, as_of=LATER, histories=[META])
    assert rows_of(listings)[2] == ("sym:META@2021-06-30", "META", "2021-06-30", "2022-01-29")
    securities = Securities(listings, as_of=LATER)
    assert securities.resolve("META", day("2022-01-28")) == "sym:META@2021-06-30"
    assert set(column(securities.bars_of("sym:META@2021-06-30", bars))) == {15.0}
    with pytest.raises(UnknownSymbol, match="META meant no security on 2022-01-29"):
        securities.resolve("META", day("2022-01-29"))
    with pytest.raises(BadRows, match="knows no security META on 2022-01-31"):
        securities.with_ids(bars_table([("META", "2022-01-31", 15.0)]))
    with pytest.raises(
        UnknownSymbol, match=r"META meant no security on 2022-03-01; it did over \[2021-06-30, 2022-01-29\)"
    ):
        securities.resolve("META", day("2022-03-01"))


def test_returns_go_on_across_a_renaming() -> None:
    bars = bars_table([("FB", "2022-06-08", 200.0), ("META", "2022-06-09", 90.0), ("META", "2022-06-10", 99.0)])
    actions = actions_table([("META", "2022-06-09", "split", 2.0)])
    securities = Securities(build_listings(bars, as_of=LATER, histories=[META]), as_of=LATER)
    named = securities.with_ids(bars), securities.with_ids(actions, day="ex_date")
    assert named[1].column("security_id").to_pylist() == ["cik:1326801"]
    index = adjust_bars(*named, how="forward", as_of=LATER, by="security_id")
    assert column(index) == pytest.approx([200.0, 180.0, 198.0], rel=1e-12)


def test_a_long_silence_makes_two_securities_and_a_short_one_does_not() -> None:
    clock = traded("SPY", "2010-01-04", "2020-12-31")
    two = built(traded("S", "2010-01-04", "2013-07-09"), traded("S", "2018-01-02", "2020-12-31"), clock)
    assert rows_of(two)[:2] == [
        ("sym:S@2010-01-04", "S", "2010-01-04", "2013-07-10"),
        ("sym:S@2018-01-02", "S", "2018-01-02", None),
    ]
    one = built(traded("S", "2010-01-04", "2013-07-09"), traded("S", "2013-12-02", "2020-12-31"), clock)
    assert rows_of(one)[0] == ("sym:S@2010-01-04", "S", "2010-01-04", None)
    assert len(one) == 2


def test_the_number_of_the_company_joins_what_silence_took_apart() -> None:
    """The same company listed anew; of another company the number keeps it apart."""
    parts = traded("S", "2010-01-04", "2013-07-09"), traded("S", "2018-01-02", "2020-12-31")
    first, second = (
        CompanyTicker("S", cik, moment(f"{text} 09:00"), "edgar")
        for cik, text in ((7, "2012-01-02"), (7, "2020-06-01"))
    )
    assert [row[0] for row in rows_of(built(*parts, companies=[first, second]))] == ["cik:7", "cik:7"]
    other = CompanyTicker("S", 8, moment("2020-06-01 09:00"), "edgar")
    assert [row[0] for row in rows_of(built(*parts, companies=[first, other]))] == ["cik:7", "cik:8"]


def test_a_number_told_today_says_nothing_of_who_had_the_symbol_long_ago() -> None:
    told = CompanyTicker("S", 8, moment("2020-06-01 09:00"), "edgar", "New", "NYSE")
    listings = built(traded("S", "2010-01-04", "2013-07-09"), traded("S", "2018-01-02", "2020-12-31"), companies=[told])
    assert [row[0] for row in rows_of(listings)] == ["cik:8", "sym:S@2010-01-04"]
    assert listings.column("exchange").to_pylist() == ["NYSE", None]
    # nor of one whose bars stopped long before, without a sign of its end
    assert rows_of(built(traded("S", "2010-01-04", "2013-07-09"), companies=[told]))[0][0] == "sym:S@2010-01-04"


def test_a_delisting_ends_a_security_and_what_follows_is_another() -> None:
    gone = actions_table([("Q", "2011-04-01", "delisting", -0.1), ("Q", "2010-06-01", "dividend", 0.1)])
    bars = [*traded("Q", "2010-01-04", "2011-03-31"), *traded("Q", "2011-05-02", "2011-12-30")]
    assert rows_of(built(bars, delistings=gone)) == [
        ("sym:Q@2010-01-04", "Q", "2010-01-04", "2011-04-01"),
        ("sym:Q@2011-05-02", "Q", "2011-05-02", None),
    ]
    assert len(built(bars)) == 1


def test_a_delisting_ends_the_security_of_its_time_and_not_an_earlier_one() -> None:
    gone = actions_table([("S", "2019-01-02", "delisting", -0.1)])
    bars = [*traded("S", "2010-01-04", "2013-07-09"), *traded("S", "2018-01-02", "2018-12-31")]
    assert [row[2:] for row in rows_of(built(bars, delistings=gone))] == [
        ("2010-01-04", "2013-07-10"),
        ("2018-01-02", "2019-01-02"),
    ]


def test_a_history_is_stronger_than_a_delisting() -> None:
    gone = actions_table([("FB", "2022-03-01", "delisting", -0.1), ("META", "2022-12-01", "delisting", -0.1)])
    listings = built(FB, traded("META", "2022-06-09", "2022-11-30"), histories=[META], delistings=gone)
    assert rows_of(listings) == [
        ("cik:1326801", "FB", "2012-05-18", "2022-06-09"),
        ("cik:1326801", "META", "2022-06-09", "2022-12-01"),
    ]


def test_a_delisting_after_a_security_has_left_the_symbol_ends_the_next_one() -> None:
    gone = actions_table([("FB", "2025-06-30", "delisting", 0.0)])
    listings = built(FB, NEW, traded("FB", "2025-01-02", "2025-06-27"), histories=[META], delistings=gone)
    assert rows_of(listings)[2] == ("sym:FB@2025-01-02", "FB", "2025-01-02", "2025-06-30")
    assert rows_of(listings)[0] == ("cik:1326801", "FB", "2012-05-18", "2022-06-09")


def test_a_symbol_handed_over_without_a_gap() -> None:
    """Class A moved from GOOG to GOOGL on 2014-04-03; class C took GOOG the same day."""
    class_a = history(("2004-08-19", "GOOG"), ("2014-04-03", "GOOGL"), cik=1652044, name="Class A")
    bars = [*traded("GOOG", "2013-01-02", "2014-12-31"), *traded("GOOGL", "2014-04-03", "2014-12-31")]
    told = CompanyTicker("GOOG", 1652044, moment("2014-12-31 22:00"), "edgar")
    listings = built(bars, histories=[class_a], companies=[told])
    assert rows_of(listings) == [
        ("cik:1652044", "GOOG", "2004-08-19", "2014-04-03"),
        ("cik:1652044", "GOOGL", "2014-04-03", None),
        ("cik:1652044:GOOG", "GOOG", "2014-04-03", None),
    ]
    securities = Securities(listings, as_of=LATER)
    assert securities.resolve("GOOG", day("2014-04-02")) == securities.resolve("GOOGL", day("2014-04-03"))


def test_a_history_written_anew_under_the_later_symbol_is_one_security() -> None:
    """Yahoo has all of Facebook's bars under META."""
    bars = bars_table(traded("META", "2012-05-18", "2023-12-29"))
    securities = Securities(build_listings(bars, as_of=LATER, histories=[META]), as_of=LATER)
    assert securities.resolve("META", day("2015-01-02")) == "cik:1326801"
    assert securities.resolve("FB", day("2015-01-02")) == "cik:1326801"
    assert len(securities.bars_of("cik:1326801", bars)) == len(bars)
    # not so where the other symbol's bars are there: then the earlier ones are another security's
    both = bars_table([*traded("META", "2012-05-18", "2023-12-29"), *traded("FB", "2012-05-18", "2022-06-10")])
    apart = Securities(build_listings(both, as_of=LATER, histories=[META]), as_of=LATER)
    assert apart.resolve("META", day("2015-01-02")) == "sym:META@2012-05-18"


def test_bars_that_stop_before_the_renaming_are_not_the_securitys_own() -> None:
    """The fund's bars, without Facebook's under its first symbol."""
    assert rows_of(built(FUND, NEW, CLOCK, histories=[META]))[1:3] == [
        ("cik:1326801", "META", "2022-06-09", None),
        ("sym:META@2021-06-30", "META", "2021-06-30", "2022-01-29"),
    ]


def test_bars_from_before_the_security_began_are_not_its_own() -> None:
    listings = built(traded("META", "2011-01-03", "2023-12-29"), histories=[META])
    assert rows_of(listings)[1:] == [
        ("cik:1326801", "META", "2022-06-11", None),
        ("sym:META@2011-01-03", "META", "2011-01-03", "2022-06-11"),
    ]


def test_share_classes_are_securities_of_one_company() -> None:
    bars = bars_table([*traded("BRK.A", "2020-01-02", "2020-12-31"), *traded("BRK.B", "2020-01-02", "2020-12-31")])
    told = [CompanyTicker(symbol, 1067983, moment("2020-06-01"), "edgar") for symbol in ("BRK-B", "BRK-A")]
    listings = build_listings(bars, as_of=LATER, companies=told)
    assert [row[:2] for row in rows_of(listings)] == [("cik:1067983.A", "BRK.A"), ("cik:1067983.B", "BRK.B")]
    securities = Securities(listings, as_of=LATER)
    assert {securities.resolve(symbol, day("2020-02-03")) for symbol in ("BRK.B", "BRK-B", "BRK_B", "BRK/B")} == {
        "cik:1067983.B"
    }
    renamed = bars.set_column(
        0, "symbol", pa.array([one_spelling(s).replace(".", "-") for s in bars.column(0).to_pylist()])
    )
    assert len(securities.bars_of("cik:1067983.B", renamed)) == len(business_days("2020-01-02", "2020-12-31"))


def test_only_a_single_letter_after_a_separator_is_a_share_class() -> None:
    kept = ["BTC-USD", "ES=F", "^GSPC", "BAC-PB", "BRKB", "A", "NA", "TRUE"]
    assert [one_spelling(symbol) for symbol in kept] == kept
    assert one_spelling("BF_B") == "BF.B"


def test_further_securities_of_a_company_stay_apart() -> None:
    """The SEC lists preferred shares under the same number."""
    bars = [*traded("BAC-PB", "2019-01-02", "2020-12-31"), *traded("BAC", "2019-01-02", "2020-12-31")]
    told = [CompanyTicker(symbol, 70858, moment("2020-06-01"), "edgar") for symbol in ("BAC-PB", "BAC")]
    assert [row[:2] for row in rows_of(built(bars, companies=told))] == [
        ("cik:70858", "BAC"),
        ("cik:70858:BAC-PB", "BAC-PB"),
    ]


def test_securities_of_a_company_that_overlap_or_differ_in_class_are_not_joined() -> None:
    def ids(first: str, then: str, begins: str) -> list[str]:
        bars = [*traded(first, "2010-01-04", "2011-12-30"), *traded(then, begins, "2013-12-31")]
        told = [
            CompanyTicker(first, 5, moment("2011-12-15"), "edgar"),
            CompanyTicker(then, 5, moment("2013-12-31"), "edgar"),
        ]
        return sorted({row[0] for row in rows_of(built(bars, companies=told))})

    assert ids("XA", "XB", "2012-01-02") == ["cik:5"]
    assert ids("XA", "XB", "2011-12-01") == ["cik:5", "cik:5:XB"]
    assert ids("X.A", "X.B", "2012-01-02") == ["cik:5.A", "cik:5.B"]
    assert ids("X.A", "X-A", "2012-01-02") == ["cik:5.A"]


def test_a_company_that_follows_itself_within_days_under_another_symbol_is_one_security() -> None:
    parts = FB, NEW, CLOCK
    told = [
        CompanyTicker("FB", 1326801, moment("2022-03-01"), "edgar"),
        CompanyTicker("META", 1326801, moment("2022-09-01"), "edgar"),
    ]
    # FB's end shows after half a year of silence, so the clock has to go on
    clock = traded("SPY", "2023-01-02", "2023-03-31")
    assert [row[0] for row in rows_of(built(*parts, clock, companies=told))][:2] == ["cik:1326801"] * 2
    late = traded("META", "2022-08-01", "2022-12-30")
    assert [row[0] for row in rows_of(built(FB, late, CLOCK, clock, companies=told))][:2] == [
        "cik:1326801",
        "cik:1326801:META",
    ]


def test_histories_alone_make_listings() -> None:
    assert rows_of(built(histories=[META])) == [
        ("cik:1326801", "FB", "2012-05-18", "2022-06-11"),
        ("cik:1326801", "META", "2022-06-11", None),
    ]


def test_bars_after_a_history_was_told_may_be_anothers() -> None:
    """Told in 2013 that FB is Facebook says nothing of who has the symbol in 2025."""
    told = history(("2012-05-18", "FB"), cik=1326801, told="2013-01-02")
    listings = built(
        traded("FB", "2012-05-18", "2013-06-28"), traded("FB", "2025-01-02", "2025-06-30"), histories=[told]
    )
    assert rows_of(listings) == [
        ("cik:1326801", "FB", "2012-05-18", "2013-06-29"),
        ("sym:FB@2025-01-02", "FB", "2025-01-02", None),
    ]
    only_later = built(traded("FB", "2025-01-02", "2025-06-30"), histories=[told])
    assert rows_of(only_later)[0] == ("cik:1326801", "FB", "2012-05-18", "2025-01-02")
    Securities(only_later, as_of=LATER)


def test_two_histories_that_claim_a_symbol_at_once_are_refused() -> None:
    other = history(("2020-01-02", "FB"), name="Other")
    with pytest.raises(BadRows, match=r"claim FB on 2020-01-02: 'Meta Platforms.*' and 'Other'"):
        built(FB, histories=[META, other])


def test_misspelt_symbols_and_names_get_the_nearest() -> None:
    securities = Securities(built(FB, CLOCK), as_of=LATER)
    with pytest.raises(UnknownSymbol, match=r"no listing has the symbol 'SPYY'; did you mean 'SPY'\?"):
        securities.resolve("SPYY", day("2022-01-03"))
    with pytest.raises(UnknownSymbol, match=r"no security 'sym:FB@2022-01-04'; did you mean 'sym:FB@2022-01-03'\?"):
        securities.symbols_of("sym:FB@2022-01-04", day("2022-01-03"))
    assert repr(securities) == "Securities(2 securities, 2 symbols)"


def test_rows_without_a_listing_are_refused_by_name() -> None:
    securities = Securities(built(FB), as_of=LATER)
    with pytest.raises(BadRows, match="knows no security FB on 2012-01-03"):
        securities.with_ids(bars_table([("FB", "2022-01-03", 1.0), ("FB", "2012-01-03", 1.0)]))
    assert securities.with_ids(bars_table([])).column_names[0] == "security_id"


def test_two_bars_of_a_security_on_one_session_are_refused() -> None:
    bars = bars_table([*traded("BRK.B", "2020-01-02", "2020-12-31"), ("BRK-B", "2020-03-02", 10.0)])
    securities = Securities(build_listings(bars, as_of=LATER), as_of=LATER)
    security_id = securities.resolve("BRK.B", day("2020-03-02"))
    assert securities.symbols_of(security_id, day("2020-03-02")) == ("BRK-B", "BRK.B")
    with pytest.raises(BadRows, match="two bars on 2020-03-02, under BRK"):
        securities.bars_of(security_id, bars)


def test_a_table_in_which_a_symbol_means_two_securities_is_refused() -> None:
    row = built(FB).to_pylist()[0]
    twice = pa.Table.from_pylist([row, {**row, "security_id": "cik:1"}], schema=table_schema("core/listings").schema)
    with pytest.raises(BadRows, match=r"FB means cik:1 over .* and sym:FB@2022-01-03 over"):
        Securities(twice, as_of=LATER)
