"""The security master: what was known when, and names that stay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.errors import LakeError, UnknownSymbol
from lakehouse.listing import (
    CompanyTicker,
)
from lakehouse.securities import Securities, build_listings
from tests.lakehouse.listed import CLOCK, FB, FUND, META, NEW, built, history, rows_of
from tests.lakehouse.priced import LATER, actions_table, bars_table, day, moment, traded


def test_a_renaming_is_not_known_before_its_day() -> None:
    facts = {"histories": [META]}
    before = built(FUND, FB, NEW, CLOCK, as_of=moment("2022-06-08 22:00"), **facts)
    assert rows_of(before)[:2] == [
        ("cik:1326801", "FB", "2012-05-18", None),
        ("sym:META@2021-06-30", "META", "2021-06-30", None),
    ]
    # Polygon's day is the 11th, so its fact is known at the open of Monday the 13th
    between = built(FUND, FB, NEW, CLOCK, as_of=moment("2022-06-13 13:29"), **facts)
    assert rows_of(between)[:2] == rows_of(before)[:2]
    after = built(FUND, FB, NEW, CLOCK, as_of=moment("2022-06-13 13:30"), **facts)
    assert rows_of(after)[1] == ("cik:1326801", "META", "2022-06-09", None)


def test_a_later_table_read_as_of_a_moment_tells_what_was_known_then() -> None:
    listings = built(FUND, FB, NEW, CLOCK, histories=[META])
    then = Securities(listings, as_of=moment("2022-06-13 13:29"))
    assert then.resolve("FB", day("2022-06-10")) == "cik:1326801"
    assert then.resolve("META", day("2022-06-10")) == "sym:META@2021-06-30"
    now = Securities(listings, as_of=moment("2022-06-13 13:30"))
    assert now.resolve("META", day("2022-06-10")) == "cik:1326801"
    with pytest.raises(
        UnknownSymbol, match=r"FB meant no security on 2022-06-10; it did over \[2012-05-18, 2022-06-09\)"
    ):
        now.resolve("FB", day("2022-06-10"))
    with pytest.raises(UnknownSymbol, match="no listing has the symbol 'SPY'"):
        Securities(listings, as_of=moment("2012-06-01")).resolve("SPY", day("2022-01-03"))


@pytest.mark.parametrize(
    "text",
    [
        "2011-03-31",
        "2011-04-15",
        "2011-05-02",
        "2011-06-01",
        "2011-06-29",
        "2011-06-30",
        "2011-07-01",
        "2011-12-30",
        "2012-06-01",
    ],
)
def test_a_table_read_as_of_a_moment_has_no_row_that_could_not_be_built_then(text: str) -> None:
    as_of = moment(f"{text} 23:00")
    bars = bars_table(
        [
            *traded("Q", "2010-01-04", "2011-03-31"),
            *traded("Q", "2011-05-02", "2012-12-31"),
            *traded("R", "2010-01-04", "2010-12-31"),
            *traded("R", "2011-11-01", "2012-12-31"),
            *traded("FB", "2010-01-04", "2011-05-31"),
            *traded("ME", "2011-06-01", "2012-12-31"),
            *CLOCK,
        ]
    )
    facts: dict[str, Any] = {
        "delistings": actions_table([("Q", "2011-04-01", "delisting", -0.1, moment("2011-05-20"))]),
        "histories": [history(("2010-01-04", "FB"), ("2011-06-02", "ME"))],
        "companies": [CompanyTicker("R", 5, moment("2012-12-31"), "edgar")],
    }
    whole = build_listings(bars, as_of=LATER, **facts).to_pylist()
    then = build_listings(bars, as_of=as_of, **facts).to_pylist()
    seen = {
        (row["symbol"], row["start"], row["end"] if row["end"] and row["end_known_at"] <= as_of else None)
        for row in whole
        if row["known_at"] <= as_of
    }
    assert seen <= {(row["symbol"], row["start"], row["end"]) for row in then}
    assert all(row["known_at"] <= as_of for row in then)
    Securities(build_listings(bars, as_of=LATER, **facts), as_of=as_of)


def test_the_end_by_silence_is_known_after_the_silence() -> None:
    """180 days after 1 April 2020 is a session, Monday 28 September: more have passed with the next one."""
    bars = traded("S", "2020-01-02", "2020-04-01"), traded("SPY", "2020-01-02", "2021-12-31")
    row = built(*bars).to_pylist()[0]
    assert (row["end"], row["end_known_at"]) == (day("2020-04-02"), moment("2020-09-29 21:00"))
    before = Securities(built(*bars), as_of=moment("2020-09-29 20:59"))
    assert before.resolve("S", day("2020-09-01")) == "sym:S@2020-01-02"
    assert built(*bars, as_of=moment("2020-09-29 20:59")).to_pylist()[0]["end"] is None
    assert built(*bars, as_of=moment("2020-09-29 21:00")).to_pylist()[0]["end"] == day("2020-04-02")


def test_a_row_after_a_renaming_is_known_with_the_renaming_though_its_bars_came_before() -> None:
    known = {row["symbol"]: row["known_at"] for row in built(FB, NEW, CLOCK, histories=[META]).to_pylist()}
    assert known["FB"] == moment("2012-05-18 13:30")
    assert known["META"] == moment("2022-06-13 13:30")
    assert known["SPY"] == moment("2021-01-04 21:00")


def test_facts_known_later_are_not_used() -> None:
    told = [CompanyTicker("FB", 1326801, moment("2022-06-01"), "edgar")]
    assert rows_of(built(FB, as_of=moment("2022-05-01"), companies=told))[0][0] == "sym:FB@2022-01-03"
    assert rows_of(built(FB, as_of=moment("2022-06-02"), companies=told))[0][0] == "cik:1326801"
    with pytest.raises(LakeError, match="timezone-aware"):
        built(FB, as_of=dt.datetime(2022, 1, 1))


def test_a_name_once_given_stays_when_the_company_becomes_known() -> None:
    first = built(FB, CLOCK, as_of=moment("2022-05-01"))
    told = [CompanyTicker("FB", 1326801, moment("2022-06-01"), "edgar", "Facebook")]
    later = built(FB, CLOCK, companies=told, previous=first)
    assert rows_of(later)[0][0] == "sym:FB@2022-01-03"
    assert later.column("name").to_pylist()[0] == "Facebook"


def test_a_name_once_given_stays_when_earlier_bars_come() -> None:
    first = built(FB, CLOCK)
    again = built(traded("FB", "2021-02-01", "2022-06-08"), CLOCK, previous=first)
    assert rows_of(again)[0][:3] == ("sym:FB@2022-01-03", "FB", "2021-02-01")


def test_a_name_once_given_stays_when_a_renaming_joins_two() -> None:
    apart = built(FB, NEW, CLOCK)
    assert [row[0] for row in rows_of(apart)][:2] == ["sym:FB@2022-01-03", "sym:META@2022-06-09"]
    joined = built(FB, NEW, CLOCK, histories=[META], previous=apart)
    assert [row[:2] for row in rows_of(joined)][:2] == [("sym:FB@2022-01-03", "FB"), ("sym:FB@2022-01-03", "META")]


def test_a_name_is_not_given_to_another_security() -> None:
    """What was one turns out to be two: the elder keeps the name."""
    bars = [*traded("Q", "2010-01-04", "2011-03-31"), *traded("Q", "2011-05-02", "2011-12-30")]
    told = [CompanyTicker("Q", 5, moment("2010-06-01"), "edgar"), CompanyTicker("Q", 5, moment("2011-10-03"), "edgar")]
    one = built(bars, companies=told[:1])
    gone = actions_table([("Q", "2011-04-01", "delisting", -0.1)])
    two = built(bars, delistings=gone, companies=[told[0]], previous=one)
    assert [(row[0], row[2]) for row in rows_of(two)] == [("cik:5", "2010-01-04"), ("sym:Q@2011-05-02", "2011-05-02")]
    retired = one.set_column(0, one.schema.field(0), pa.array(["cik:9"]))
    fresh = built(
        traded("X", "2010-01-04", "2011-03-31"),
        companies=[CompanyTicker("X", 9, moment("2010-06-01"), "edgar")],
        previous=retired,
    )
    assert rows_of(fresh)[0][0] == "cik:9:X"
