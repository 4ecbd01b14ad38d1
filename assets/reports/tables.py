"""The lower half of a tear sheet: months, drawdowns, costs, windows, reasons to doubt, and provenance."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from assets.reports.catalogue import entry
from assets.reports.charts import heat_class
from assets.reports.markup import count, figure, row, scrolling, section, table
from assets.reports.periods import calendar_returns, worst_drawdowns
from assets.reports.sections import day, last_value
from assets.reports.text import money, percent, plain

if TYPE_CHECKING:
    from assets.reports.tear_sheet import TearSheet

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def months(sheet: TearSheet) -> str:
    """Returns by calendar month and year, deepest colour at the 95th percentile of their size."""
    years = calendar_returns(sheet.bar_end, sheet.equity, sheet.initial_cash)
    sizes = np.abs([rate for year in years for rate in year.months if math.isfinite(rate)])
    if not sizes.size:
        return ""
    scale = float(np.quantile(sizes, 0.95))
    rows = [
        row(
            f"<th>{year.year}</th>",
            *(f'<td class="{heat_class(rate, scale)}">{_bare(rate)}</td>' for rate in year.months),
            f'<td class="total">{_bare(year.total)}</td>',
        )
        for year in years
    ]
    grid = table(rows, head=("", *_MONTHS, "Year"), kind="months")
    return section("Returns by month", scrolling(grid), note="percent, net of costs", kind="flow")


def worst(sheet: TearSheet) -> str:
    """The five deepest drawdowns."""
    rows = [
        row(
            percent(each.depth),
            "start" if each.peak < 0 else day(sheet, each.peak),
            day(sheet, each.trough),
            '<span class="undefined">not yet</span>' if each.end is None else day(sheet, each.end),
            f"{each.n_bars:,}",
        )
        for each in worst_drawdowns(sheet.equity, sheet.initial_cash)
    ]
    if not rows:
        return section("Worst drawdowns", '<p class="note">Equity never fell below a former peak.</p>')
    grid = table(rows, head=("Depth", "Peak", "Trough", "Recovered", "Bars"))
    return section("Worst drawdowns", scrolling(grid))


def costs(sheet: TearSheet) -> str:
    """Where the profit before costs went."""
    if not sheet.costs:
        return ""
    paid = {name: float(amount) for name, amount in sheet.costs.items() if name != "total"}
    total = sum(paid.values())
    net = last_value(sheet.equity) - sheet.initial_cash
    gross, largest = net + total, max((abs(amount) for amount in paid.values()), default=0.0)
    rows = [row('<td class="name">Profit before costs</td>', _amount(gross, sheet), "", "")]
    for name, amount in paid.items():
        share = 100 * abs(amount) / largest if largest > 0 and math.isfinite(amount) else 0.0
        bar = f'<td class="left" style="width:22%"><span class="bar" style="width:{share:.0f}%"></span></td>'
        label = f'<td class="name">{escape(entry(name).label)}</td>'
        rows.append(row(label, _amount(-amount, sheet), _share(-amount, gross), bar))
    rows.append(row("<td>Profit after costs</td>", _amount(net, sheet), _share(net, gross), "", kind="sum"))
    grid = table(rows, head=("", "Amount", "Of gross", ""))
    return section("Costs", scrolling(grid), note=f"{_amount(total, sheet)} in all")


def windows(sheet: TearSheet) -> str:
    """What each walk-forward window chose, and how it fared before and after."""
    if not sheet.windows:
        return ""
    rows = []
    for window in sheet.windows:
        chosen = ", ".join(f"{escape(str(k))}&nbsp;{escape(plain(v))}" for k, v in window.parameters.items())
        rows.append(
            row(
                *(escape(text) for text in (window.key, window.train, window.test)),
                f'<td class="left words">{chosen or "none"}</td>',
                *(figure(value) for value in (window.train_sharpe, window.test_sharpe)),
                figure(window.test_return, is_rate=True),
            )
        )
    before = _mean([window.train_sharpe for window in sheet.windows])
    after = _mean([window.test_sharpe for window in sheet.windows])
    rows.append(row("Mean", "", "", "", figure(before), figure(after), "", kind="sum"))
    head = ("Window", "Trained on", "Tested on", '<th class="left">Chosen parameters</th>')
    grid = table(rows, head=(*head, "Sharpe in", "Sharpe out", "Return out"))
    note = f"{count(len(sheet.windows), 'window')}; parameters chosen on the training bars only"
    return section("Walk-forward", scrolling(grid), note=note, kind="flow")


def validity(sheet: TearSheet) -> str:
    """Reasons to believe or to doubt, each with a verdict in a word and the reason in a sentence."""
    if not sheet.validity:
        return ""
    rows = [
        row(
            f"<td>{escape(each.label)}</td>",
            f"<td>{escape(each.value)}</td>",
            f'<td class="left"><span class="verdict {each.verdict}">{each.verdict}</span></td>',
            f'<td class="left words">{escape(each.reason)}</td>',
        )
        for each in sheet.validity
    ]
    found = [each.verdict for each in sheet.validity]
    tally = "".join(
        f'<span class="verdict {verdict}">{found.count(verdict)} {verdict}</span>'
        for verdict in ("fail", "caution", "unknown", "ok")
        if verdict in found
    )
    head = ("Question", "Value", '<th class="left">Verdict</th>', '<th class="left">Reason</th>')
    title = f'Can I believe this?<span class="tally">{tally}</span>'
    return section(title, table(rows, head=head, kind="validity stack"), kind="flow", name="validity")


def footer(sheet: TearSheet) -> str:
    """Where every number came from."""
    items = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(plain(value))}</dd>" for name, value in sheet.provenance.items()
    )
    body = f"<dl>{items}</dl>" if items else "None was recorded: this page cannot be replayed."
    return f"<footer><h3>Provenance</h3>{body}</footer>"


def _bare(rate: float) -> str:
    """A rate in percent without its sign, nothing where there is none."""
    return percent(rate)[:-2] if math.isfinite(rate) else ""


def _amount(value: float, sheet: TearSheet) -> str:
    return escape(money(value, sheet.currency))


def _share(part: float, whole: float) -> str:
    return percent(part / whole) if whole > 0 and math.isfinite(part) else ""


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
