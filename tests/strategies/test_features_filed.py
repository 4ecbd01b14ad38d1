"""Figures as filed: known from their filing on, over four quarters, on the shares of the day; against real filings."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.bars import Bars
from strategies.features import compute
from strategies.features.filed import Company, Fact, Split, day_number, known_figures, on_bars
from strategies.features.trailing import last_four_quarters
from strategies.window import Window

APPLE, SNOWFLAKE = 320193, 1640147
ALWAYS = (-(1 << 40), 1 << 40)


def day(text: str) -> int:
    return day_number(dt.date.fromisoformat(text))


def end_of_day(text: str) -> int:
    """Midnight in New York that ends the day, in microseconds."""
    midnight = dt.datetime.fromisoformat(text) + dt.timedelta(days=1)
    return int(midnight.replace(tzinfo=ZoneInfo("America/New_York")).timestamp() * 1e6)


def recorded(shared_data: Path, cik: int) -> list[Fact]:
    """Return all facts of a company, read by hand from the SEC's answer."""
    answer = json.loads(gzip.decompress((shared_data / f"edgar_companyfacts/CIK{cik:010d}.json.gz").read_bytes()))
    return [
        Fact(
            end_of_day(row["filed"]), cik, concept, unit, day(row.get("start", row["end"])), day(row["end"]), row["val"]
        )
        for concepts in answer["facts"].values()
        for concept, found in concepts.items()
        for unit, rows in found["units"].items()
        for row in rows
        if row["val"] is not None
    ]


def closes(days: list[str]) -> np.ndarray:
    return np.array([f"{text}T20:00" for text in days], "datetime64[us]")


def window(days: list[str], close: list[float], facts: list[Fact], cik: int, splits: list[Split]) -> Window:
    prices = np.array(close, np.float64)[:, None]
    bars = Bars(prices, prices, prices, prices, prices, closes(days), ("ONE",))
    companies = {"ONE": [Company(*ALWAYS, cik)]}
    figures = on_bars(known_figures(facts), companies, {"ONE": splits}, bar_end=bars.bar_end, symbols=bars.symbols)
    return Window(bars, features=figures)


def test_apples_ratios_are_those_computed_by_hand_and_change_the_day_after_a_filing(shared_data: Path) -> None:
    # The 10-Q of 2014-04-24 tells of the half-year to 2014-03-29; seven shares for one from 2014-06-09 on.
    days = ["2014-04-23", "2014-04-24", "2014-04-25", "2014-06-06", "2014-06-09", "2014-07-23", "2014-07-24"]
    close = [524.75, 567.77, 571.94, 645.57, 93.70, 97.19, 97.03]
    shown = window(days, close, recorded(shared_data, APPLE), APPLE, [Split(day("2014-06-09"), 7.0)])
    found = {name: values[:, 0] for name, values in compute(shown, FUNDAMENTAL).items()}
    # Fiscal 2013 37,037 + first quarter 13,072 - 13,078; then half-year 23,295 - 22,625; then 31,043 - 29,525.
    income = np.array([37031.0, 37031.0, 37707.0, 37707.0, 37707.0, 37707.0, 38555.0]) * 1e6
    equity = np.array([129684.0, 129684.0, 120179.0, 120179.0, 120179.0, 120179.0, 120940.0]) * 1e6
    profit = 64304.0 + np.array([21846.0 - 21060.0] * 2 + [39793.0 - 37409.0] * 4 + [54528.0 - 50433.0])
    assets = np.array([225184.0] * 2 + [205989.0] * 4 + [222520.0])
    # Counted on 2014-01-10, 2014-04-11 and, after the split, 2014-07-11.
    shares = np.array([891.989, 891.989, 861.381, 861.381, 861.381 * 7, 861.381 * 7, 5987.867]) * 1e6
    size = np.array(close) * shares
    np.testing.assert_allclose(found["market_value"], size, rtol=1e-12)
    np.testing.assert_allclose(found["earnings_yield"], income / size, rtol=1e-12)
    np.testing.assert_allclose(found["book_to_price"], equity / size, rtol=1e-12)
    np.testing.assert_allclose(found["return_on_equity"], income / equity, rtol=1e-12)
    np.testing.assert_allclose(found["gross_profitability"], profit / assets, rtol=1e-12)


FUNDAMENTAL = ["market_value", "earnings_yield", "book_to_price", "return_on_equity", "gross_profitability"]


def test_a_restated_year_counts_from_the_restatement_on(shared_data: Path) -> None:
    # Fiscal 2009 was 5,704 in the 10-K of 2009-10-27 and 8,235 in the amendment of 2010-01-25, on which day the
    # first quarter of 2010 was filed, too: 8,235 + 3,378 - 2,255.
    days = ["2009-10-27", "2009-10-28", "2010-01-25", "2010-01-26"]
    shown = window(days, [197.37, 192.40, 203.07, 205.94], recorded(shared_data, APPLE), APPLE, [])
    found = compute(shown, ["earnings_yield", "market_value"])
    income = found["earnings_yield"][:, 0] * found["market_value"][:, 0] / 1e6
    np.testing.assert_allclose(income, [np.nan, 5704.0, 5704.0, 9358.0], rtol=1e-12)


@pytest.mark.parametrize("cik", [APPLE, SNOWFLAKE])
@pytest.mark.parametrize(("figure", "concept"), [("net_income", "NetIncomeLoss"), ("gross_profit", "GrossProfit")])
def test_four_quarters_add_up_however_they_are_told(shared_data: Path, cik: int, figure: str, concept: str) -> None:
    facts = recorded(shared_data, cik)
    steps = known_figures(facts)[cik, figure]
    n_compared = 0
    for known_at, about, value in zip(*steps, strict=True):
        told = {
            (fact.start, fact.end): fact.value
            for fact in sorted(facts)
            if (fact.concept, fact.unit) == (concept, "USD") and fact.known_at <= known_at
        }
        added = quarters_to(int(about), told)
        # Apple restated fiscal 2009, but not all of its quarters: for a year their sum mixes old and new figures.
        is_mixed = cik == APPLE and day("2010-01-01") < about < day("2010-12-01")
        if added is not None and not is_mixed:
            assert value == pytest.approx(added, rel=1e-9), (about, known_at)
            n_compared += 1
    assert n_compared >= 10 and len(steps.value) >= n_compared


def quarters_to(end: int, told: dict[tuple[int, int], float]) -> float | None:
    """The sum of four quarters, a fourth one being the year less three; None where one of them is not told."""
    total = 0.0
    for _ in range(4):
        quarter = [(start, value) for (start, last), value in told.items() if last == end and 80 <= last - start <= 100]
        if not quarter:
            years = [
                (start, value) for (start, last), value in told.items() if last == end and 350 < last - start < 380
            ]
            quarter = [
                (last + 1, value - part)
                for begin, value in years
                for (start, last), part in told.items()
                if start == begin and 260 <= last - start <= 290
            ]
        if not quarter:
            return None
        start, value = quarter[0]
        total, end = total + value, start - 1
    return total


def test_what_is_filed_later_changes_nothing_known_before(shared_data: Path) -> None:
    facts = recorded(shared_data, APPLE)
    whole = known_figures(facts)
    for cut in (end_of_day("2012-06-30"), end_of_day("2014-04-24"), end_of_day("2019-01-29")):
        then = known_figures([fact for fact in facts if fact.known_at <= cut])
        for key, steps in then.items():
            n = len(steps.value)
            assert n == (whole[key].known_at <= cut).sum()
            for before, after in zip(steps, whole[key], strict=True):
                np.testing.assert_array_equal(before, after[:n])


def test_the_order_of_the_facts_does_not_matter(shared_data: Path) -> None:
    facts = recorded(shared_data, SNOWFLAKE)
    for key, steps in known_figures(facts).items():
        for one, other in zip(steps, known_figures(reversed(facts))[key], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("periods", "answer"),
    [
        ({730: {366: 40.0}}, (730, 40.0)),
        ({365: {1: 40.0}, 456: {366: 12.0}, 91: {1: 10.0}}, (456, 42.0)),
        ({365: {1: 40.0}, 456: {366: 12.0}, 98: {1: 10.0}}, (456, 42.0)),  # a week's shift of the fiscal calendar
        ({365: {1: 40.0}, 456: {366: 12.0}}, (365, 40.0)),  # nothing to take away: the year it is
        ({365: {1: 40.0}, 456: {366: 12.0}, 120: {1: 10.0}}, (365, 40.0)),
        ({456: {366: 12.0}, 91: {1: 10.0}}, None),
        ({365: {1: 40.0}, 546: {366: 20.0, 457: 8.0}, 181: {1: 15.0, 91: 7.0}}, (546, 45.0)),
    ],
)
def test_the_last_four_quarters_are_made_of_years_and_parts_of_years(periods, answer) -> None:
    assert last_four_quarters(periods) == answer


def simple(*moments: tuple[str, str, float], concept: str = "StockholdersEquity", unit: str = "USD") -> list[Fact]:
    return [Fact(end_of_day(filed), 7, concept, unit, day(about), day(about), value) for filed, about, value in moments]


def test_the_latest_day_counts_and_its_latest_word() -> None:
    facts = simple(
        ("2020-02-01", "2019-12-31", 10.0),
        ("2020-05-01", "2020-03-31", 11.0),
        ("2020-05-01", "2019-12-31", 9.0),
        ("2020-06-01", "2020-03-31", 12.0),
    )
    steps = known_figures(facts)[7, "equity"]
    np.testing.assert_array_equal(steps.value, [10.0, 11.0, 12.0])
    np.testing.assert_array_equal(steps.about, [day("2019-12-31"), day("2020-03-31"), day("2020-03-31")])


def test_a_figure_of_long_ago_is_no_value() -> None:
    facts = [
        *simple(("2020-02-01", "2019-12-31", 10.0)),
        *simple(("2020-02-01", "2020-01-20", 5.0), concept="EntityCommonStockSharesOutstanding", unit="shares"),
    ]
    days = ["2020-01-31", "2020-02-03", "2021-02-23", "2021-02-24", "2021-07-02", "2021-07-05"]
    figures = on_bars(known_figures(facts), {"A": [Company(*ALWAYS, 7)]}, {}, bar_end=closes(days), symbols=("A",))
    np.testing.assert_array_equal(figures["filed.equity"][:, 0], [np.nan, 10.0, 10.0, 10.0, 10.0, np.nan])
    np.testing.assert_array_equal(figures["filed.shares"][:, 0], [np.nan, 5.0, 5.0, np.nan, np.nan, np.nan])


def test_a_symbol_has_the_figures_of_the_company_it_was_at_the_time_and_none_without_one() -> None:
    facts = [
        fact._replace(cik=cik, value=float(cik)) for fact in simple(("2020-02-01", "2020-01-01", 0.0)) for cik in (1, 2)
    ]
    companies = {"META": [Company(0, day("2020-03-02"), 1), Company(day("2020-03-04"), 1 << 40, 2)], "B": []}
    days = ["2020-02-28", "2020-03-02", "2020-03-03", "2020-03-04"]
    figures = on_bars(known_figures(facts), companies, {}, bar_end=closes(days), symbols=("B", "META", "C"))
    np.testing.assert_array_equal(figures["filed.equity"][:, 1], [1.0, np.nan, np.nan, 2.0])
    assert np.isnan(figures["filed.equity"][:, [0, 2]]).all()


def test_shares_grow_by_the_splits_since_they_were_counted_only() -> None:
    facts = simple(
        ("2020-02-10", "2020-02-05", 100.0),
        ("2020-05-10", "2020-05-05", 390.0),
        concept="EntityCommonStockSharesOutstanding",
        unit="shares",
    )
    splits = {"A": [Split(day("2020-02-05"), 9.0), Split(day("2020-02-07"), 2.0), Split(day("2020-03-02"), 2.0)]}
    days = ["2020-02-11", "2020-02-28", "2020-03-02", "2020-05-08", "2020-05-11"]
    figures = on_bars(known_figures(facts), {"A": [Company(*ALWAYS, 7)]}, splits, bar_end=closes(days), symbols=("A",))
    np.testing.assert_array_equal(figures["filed.shares"][:, 0], [200.0, 200.0, 400.0, 400.0, 390.0])


def test_figures_in_other_units_and_other_concepts_are_left_alone() -> None:
    facts = [
        *simple(("2020-02-01", "2019-12-31", 10.0), unit="EUR"),
        *simple(("2020-02-01", "2019-12-31", 1.0), concept="X"),
    ]
    assert known_figures(facts) == {}
