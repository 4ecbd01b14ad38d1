"""The upper half of a tear sheet: title, warnings, headline, charts and metrics."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assets.reports.catalogue import GROUPS, entry, written
from assets.reports.charts import Line, drawdown_chart, line_chart
from assets.reports.markup import UNDEFINED, count, row, section, table
from assets.reports.periods import drawdowns
from assets.reports.text import money, number, percent, plain

if TYPE_CHECKING:
    from assets.reports.tear_sheet import TearSheet

_NO_REASON = "no finite value: too few bars, or nothing varied"


def header(sheet: TearSheet) -> str:
    """Title, subtitle, and the period it covers."""
    subtitle = f"<p>{escape(sheet.subtitle)}</p>" if sheet.subtitle else ""
    return (
        f"<header><div><h1>{escape(sheet.title)}</h1>{subtitle}</div>"
        f'<p class="when">{escape(sheet.period or _period(sheet))}<br>'
        f"{count(len(sheet.equity), 'bar')}</p></header>"
    )


def banners(sheet: TearSheet) -> str:
    """What must not be overlooked: the caller's warnings, and bars the parameters had already seen."""
    warnings = list(sheet.warnings)
    seen, n = int((~sheet.oos).sum()), len(sheet.equity)
    if n and seen == n:
        warnings.append("IN SAMPLE: the parameters may have been chosen on these very bars.")
    elif seen:
        warnings.append(f"PARTLY IN SAMPLE: {seen:,} of {n:,} bars, shaded in the chart.")
    return "".join(f'<p class="banner" role="note">{_lead(warning)}</p>' for warning in warnings)


def headline(sheet: TearSheet) -> str:
    """Six numbers: the Sharpe ratio with its error first, then what is left of it after the search."""
    figures = sheet.metrics
    error = figures.get("sharpe_error", math.nan)
    spread = f"<i>± {number(error)}</i>" if math.isfinite(error) else ""
    trials = "trials not counted" if sheet.n_trials is None else count(sheet.n_trials, "trial")
    depth = drawdowns(sheet.equity, sheet.initial_cash)
    deepest = float(np.nanmin(depth)) if np.isfinite(depth).any() else math.nan
    profit = last_value(sheet.equity) - sheet.initial_cash

    def metric(name: str) -> float:
        return float(figures.get(name, math.nan))

    tiles = (
        _tile(sheet, "sharpe", "Sharpe ratio", number(metric("sharpe")) + spread, _seen(sheet), is_big=True),
        _tile(
            sheet,
            "deflated_sharpe",
            "Deflated Sharpe",
            _probability(metric("deflated_sharpe")),
            f"chance that it beats the luck of {trials}",
            is_big=True,
        ),
        _tile(sheet, "cagr", "Growth a year", percent(metric("cagr")), "compound"),
        _tile(sheet, "volatility", "Volatility", percent(metric("volatility")), "a year"),
        _tile(sheet, "", "Max drawdown", percent(deepest), "from the last peak"),
        _tile(sheet, "", "Total return", percent(profit / sheet.initial_cash), money(profit, sheet.currency)),
    )
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def equity(sheet: TearSheet) -> str:
    """The equity curve with the benchmark, and the drawdown under it."""
    values = [np.asarray(sheet.equity, dtype=np.float64)]
    if sheet.benchmark is not None:
        values.append(np.asarray(sheet.benchmark, dtype=np.float64))
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    is_log = bool(every.size and every.min() > 0 and every.max() / every.min() >= 3)
    # The benchmark lies under the strategy.
    lines = [Line(benchmark, style="other") for benchmark in values[1:]] + [Line(values[0], is_area=True)]
    is_clean = bool(len(sheet.equity) and sheet.oos.all())
    name = "Out-of-sample equity" if is_clean else "Equity"
    chart = line_chart(
        sheet.bar_end,
        lines,
        label=f"{name} of {sheet.title}, {money(last_value(sheet.equity), sheet.currency)} at the end",
        is_log=is_log,
        unit="money",
        baseline=sheet.initial_cash,
        shaded=None if is_clean else ~sheet.oos,
        height=310,
    )
    under = drawdown_chart(sheet.bar_end, drawdowns(sheet.equity, sheet.initial_cash), label="Drawdown", height=110)
    return (
        f"<section><figure><figcaption>{_legend(sheet, name, is_log)}</figcaption>{chart}</figure>"
        f"<figure><figcaption><b>Drawdown</b></figcaption>{under}</figure></section>"
    )


def metrics(sheet: TearSheet) -> str:
    """All metrics in groups, in their units; then the summary of the trades."""
    groups: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name, value in sheet.metrics.items():
        shown = entry(name)
        label = f"<th>{escape(shown.label)}</th>"
        groups[shown.group].append(row(label, _value(sheet, name, float(value), shown.unit)))
    groups["Round trips"] = [
        row(f"<th>{escape(str(label))}</th>", f'<td class="words">{escape(plain(value))}</td>')
        for label, value in sheet.trades.items()
    ]
    filled = {group: rows for group, rows in groups.items() if rows}
    if not filled:
        return ""
    body = "".join(f'<div class="group"><h3>{group}</h3>{table(rows)}</div>' for group, rows in filled.items())
    return section("Metrics", f'<div class="groups">{body}</div>', kind="flow")


def last_value(values: NDArray[np.float64]) -> float:
    """Return the last finite value, NaN where there is none."""
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if finite.size else math.nan


def day(sheet: TearSheet, at: int) -> str:
    """Return the date (UTC) of a bar by its row, as 2020-03-04."""
    return str(np.asarray(sheet.bar_end)[at].astype("datetime64[D]"))


def _tile(sheet: TearSheet, name: str, label: str, shown: str, note: str, *, is_big: bool = False) -> str:
    kind = ""
    if shown.startswith("undefined"):
        shown, kind = "undefined", ' class="undefined"'
        note = sheet.undefined.get(name, "not measured" if name and name not in sheet.metrics else _NO_REASON)
    below = f"<p>{escape(note)}</p>" if note else ""
    return f'<div class="tile{" big" if is_big else ""}"><dt>{label}</dt><dd{kind}>{shown}</dd>{below}</div>'


def _probability(rate: float) -> str:
    """In percent; 99.96 % must not be rounded to certainty."""
    return percent(min(rate, 0.999) if rate <= 1 else math.nan)


def _seen(sheet: TearSheet) -> str:
    if not len(sheet.equity):
        return "no bars"
    if sheet.oos.all():
        return "± one standard error, out of sample"
    return "± one standard error, in sample" if not sheet.oos.any() else "± one standard error, partly in sample"


def _legend(sheet: TearSheet, name: str, is_log: bool) -> str:
    stitched = f", stitched from {count(len(sheet.windows), 'window')}" if sheet.windows else ""
    keys = [_key("", name + stitched, sheet.equity, sheet.currency)]
    if sheet.benchmark is not None:
        keys.append(_key("other", sheet.benchmark_name, sheet.benchmark, sheet.currency))
    if (~sheet.oos).any():
        keys.append('<span class="key"><span class="swatch shade"></span>in sample</span>')
    keys.append(f"<span>{'logarithmic' if is_log else 'linear'} scale</span>")
    return "".join(keys)


def _key(style: str, name: str, values: NDArray[np.float64], currency: str) -> str:
    value = last_value(values)
    amount = f" <b>{escape(money(value, currency))}</b>" if math.isfinite(value) else ""
    return f'<span class="key"><span class="swatch {style}"></span><span>{escape(name)}{amount}</span></span>'


def _value(sheet: TearSheet, name: str, value: float, unit: str) -> str:
    text = written(value, unit, sheet.currency)
    if text != "undefined":
        return f"<td>{escape(text)}</td>"
    why = escape(sheet.undefined.get(name, _NO_REASON))
    return f'<td class="has-why">{UNDEFINED}<span class="why">{why}</span></td>'


def _lead(warning: str) -> str:
    """A warning with its part before the first colon in bold."""
    head, colon, rest = warning.partition(":")
    return f"<b>{escape(head)}{colon}</b>{escape(rest)}" if colon else escape(warning)


def _period(sheet: TearSheet) -> str:
    return f"{day(sheet, 0)} to {day(sheet, -1)}" if len(sheet.equity) else "no bars"
