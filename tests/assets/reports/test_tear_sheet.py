"""The tear sheet: self-contained, escaped, honest about what it does not know."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from assets.reports import TearSheet, TearSheetError, ValidityRow, WindowRow, render
from assets.reports.catalogue import CATALOGUE
from assets.reports.periods import calendar_returns, drawdowns, worst_drawdowns

START = np.datetime64("2000-01-03T21:00", "us")
VOID = {"meta", "br", "hr", "img", "link", "input", "line", "circle", "rect", "path"}


def days(n: int) -> np.ndarray:
    return START + np.arange(n) * np.timedelta64(1, "D")


def walk(n: int) -> np.ndarray:
    return 1e5 * np.exp(np.cumsum(np.random.default_rng(7).normal(2e-4, 0.01, n)))


@pytest.fixture
def sheet() -> TearSheet:
    n = 6300
    rows = [
        WindowRow(f"{y}", f"{y - 4} to {y - 1}", f"{y}", {"lookback": 252, "skip": 21}, 1.1, 0.6, 0.08)
        for y in range(2004, 2029)
    ]
    return TearSheet(
        title="Momentum",
        bar_end=days(n),
        equity=walk(n),
        initial_cash=1e5,
        currency="USD",
        is_oos=True,
        benchmark=walk(n)[::-1],
        benchmark_name="SPY",
        metrics=dict.fromkeys(CATALOGUE, 0.5),
        costs={"commission": 100.0, "spread": 300.0, "total": 400.0},
        trades={"Round trips": 12},
        windows=rows,
        n_trials=640,
        validity=[ValidityRow("Trials", "640", "ok", "all counted")],
        provenance={"run": "7c1e", "seed": 20260101},
        warnings=["SURVIVORSHIP BIASED: only companies that still exist."],
    )


class Page(HTMLParser):
    """Collects the visible text, and fails on a tag that is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())


def test_a_quarter_of_a_century_is_one_small_page_that_asks_for_nothing(sheet: TearSheet) -> None:
    html = render(sheet)
    assert len(html.encode()) < 300_000
    page = Page(html)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"https?:|src=|url\(|@import|\bon\w+=", html)


def test_the_headline_comes_first_with_error_and_trials(sheet: TearSheet) -> None:
    metrics = {"sharpe": 0.71, "sharpe_error": 0.29, "deflated_sharpe": 0.8734, "cagr": 0.061}
    text = Page(render(replace(sheet, metrics=metrics))).text
    assert "Sharpe ratio 0.71 ± 0.29 ± one standard error, out of sample" in text
    assert "Deflated Sharpe 87.3 % chance that it beats the luck of 640 trials" in text
    assert "Out-of-sample equity, stitched from 25 windows" in text
    assert text.index("Sharpe ratio") < text.index("Returns by month") < text.index("Can I believe this?")


def test_a_probability_is_never_rounded_to_certainty(sheet: TearSheet) -> None:
    assert "Deflated Sharpe 99.9 %" in Page(render(replace(sheet, metrics={"deflated_sharpe": 0.99997}))).text


HOSTILE = "<script>alert('x')</script>&\"'"


def test_everything_from_outside_is_escaped(sheet: TearSheet) -> None:
    hostile = replace(
        sheet,
        title=HOSTILE,
        subtitle=HOSTILE,
        period=HOSTILE,
        currency=HOSTILE,
        benchmark_name=HOSTILE,
        metrics={HOSTILE: 1.0, "sharpe": math.nan, "sortino": math.nan, "expectancy": 1.0},
        undefined={"sharpe": HOSTILE, "sortino": HOSTILE},
        costs={HOSTILE: 1.0},
        trades={HOSTILE: HOSTILE},
        windows=[WindowRow(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, 1.0, 1.0, 0.1)],
        validity=[ValidityRow(HOSTILE, HOSTILE, "fail", HOSTILE)],
        provenance={HOSTILE: HOSTILE},
        warnings=[HOSTILE, f"a: {HOSTILE}"],
    )
    html = render(hostile)
    page = Page(html)
    assert "script" not in page.tags
    assert "<script" not in html
    assert page.text.count("alert('x')") >= 18


@pytest.mark.parametrize(
    "equity",
    [
        np.empty(0),
        np.array([1e5]),
        np.array([1e5, 1.1e5]),
        np.full(500, 1e5),
        np.full(500, np.nan),
        np.linspace(1e5, -5e4, 500),
        np.zeros(3),
    ],
    ids=["none", "one", "two", "flat", "nan", "ruin", "zero"],
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0])
@pytest.mark.filterwarnings("error")
def test_a_degenerate_run_still_gets_its_page(sheet: TearSheet, equity: np.ndarray, value: float) -> None:
    bare = TearSheet(
        title="Degenerate",
        bar_end=days(len(equity)),
        equity=equity,
        initial_cash=1e5,
        metrics=dict.fromkeys((*CATALOGUE, "custom_rate"), value),
        costs={"commission": value},
        windows=[WindowRow("2009", "a", "b", {}, value, value, value)],
    )
    for each in (bare, replace(bare, benchmark=equity, metrics={}, costs={}, windows=())):
        text = Page(render(each)).text
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)


def test_a_metric_without_a_value_says_why(sheet: TearSheet) -> None:
    undefined = replace(sheet, metrics={"sharpe": math.nan, "sortino": math.inf}, undefined={"sharpe": "zero variance"})
    text = Page(render(undefined)).text
    assert "Sharpe undefined zero variance" in text
    assert "Sortino undefined no finite value: too few bars, or nothing varied" in text
    assert "Volatility undefined not measured" in text


def test_bars_in_sample_are_shaded_and_announced(sheet: TearSheet) -> None:
    n = len(sheet.equity)
    partly = render(replace(sheet, is_oos=np.arange(n) >= 100))
    assert "PARTLY IN SAMPLE: 100 of 6,300 bars" in Page(partly).text
    assert 'class="ql-shade"' in partly
    assert "IN SAMPLE: the parameters may have been chosen" in Page(render(replace(sheet, is_oos=False))).text
    assert "IN SAMPLE" not in Page(render(sheet)).text
    assert 'class="ql-shade"' not in render(sheet)


def test_costs_add_up_from_gross_to_net(sheet: TearSheet) -> None:
    simple = replace(
        sheet, bar_end=days(2), equity=np.array([1e5, 1.1e5]), benchmark=None, costs={"commission": 2500.0}
    )
    text = Page(render(simple)).text
    assert "Profit before costs 12,500 USD" in text
    assert "Commission −2,500 USD −20.0 %" in text
    assert "Profit after costs 10,000 USD 80.0 %" in text


def test_verdicts_are_words_and_are_counted(sheet: TearSheet) -> None:
    rows = [
        ValidityRow("A", "1", "ok", "fine"),
        ValidityRow("B", "2", "fail", "bad"),
        ValidityRow("C", "3", "ok", "fine"),
    ]
    text = Page(render(replace(sheet, validity=rows))).text
    assert "Can I believe this? 1 fail 2 ok Question" in text
    assert "B 2 fail bad" in text


def test_a_page_without_provenance_says_so(sheet: TearSheet) -> None:
    assert "cannot be replayed" in Page(render(replace(sheet, provenance={}))).text
    assert "seed 20260101" in Page(render(sheet)).text
    nested = replace(sheet, provenance={"parameters": {"lookback": 252, "is_ranked": True, "rate": 0.25}})
    assert "parameters lookback 252, is_ranked yes, rate 0.25" in Page(render(nested)).text


def test_contradicting_data_are_refused(sheet: TearSheet) -> None:
    with pytest.raises(TearSheetError, match=r"benchmark must have one value a bar \(6300\), had 5"):
        replace(sheet, benchmark=np.ones(5))
    with pytest.raises(TearSheetError, match="bar_end must increase"):
        replace(sheet, bar_end=sheet.bar_end[::-1])
    with pytest.raises(TearSheetError, match="initial_cash must be positive"):
        replace(sheet, initial_cash=0.0)
    with pytest.raises(TearSheetError, match="verdict must be one of"):
        ValidityRow("a", "b", "fine", "c")  # type: ignore[arg-type]


def test_the_same_sheet_is_the_same_page(sheet: TearSheet) -> None:
    assert render(sheet) == render(sheet)


def test_months_by_hand() -> None:
    ends = np.array(["2019-12-30", "2019-12-31", "2020-02-03", "2020-02-28"], dtype="datetime64[us]")
    years = calendar_returns(ends, np.array([90.0, 110.0, 100.0, 121.0]), 100.0)
    assert [year.year for year in years] == [2019, 2020]
    assert years[0].months[11] == pytest.approx(0.1)
    assert years[1].months[1] == pytest.approx(0.1)
    assert [year.total for year in years] == pytest.approx([0.1, 0.1])
    assert sum(math.isfinite(rate) for year in years for rate in year.months) == 2


def test_months_and_years_compound_to_the_whole() -> None:
    equity = walk(3000)
    years = calendar_returns(days(3000), equity, 1e5)
    months = [rate for year in years for rate in year.months if math.isfinite(rate)]
    assert np.prod(1 + np.array(months)) == pytest.approx(equity[-1] / 1e5)
    assert np.prod([1 + year.total for year in years]) == pytest.approx(equity[-1] / 1e5)


def test_drawdowns_by_hand() -> None:
    equity = np.array([90.0, 100.0, 120.0, 60.0, 119.0, 120.0, 121.0, 110.0])
    assert drawdowns(equity, 100.0) == pytest.approx([-0.1, 0, 0, -0.5, -1 / 120, 0, 0, -11 / 121])
    first, second, third = worst_drawdowns(equity, 100.0)
    assert (first.peak, first.trough, first.end, first.n_bars) == (2, 3, 5, 3)
    assert first.depth == pytest.approx(-0.5)
    assert (second.peak, second.trough, second.end, second.n_bars) == (-1, 0, 1, 2)
    assert (third.peak, third.trough, third.end, third.n_bars) == (6, 7, None, 1)
    assert worst_drawdowns(np.array([1.0, 2.0, 3.0]), 1.0) == []


def test_importing_reports_is_light() -> None:
    script = (
        "import sys, assets.reports; "
        "print([m for m in ('mlflow', 'dagster', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
