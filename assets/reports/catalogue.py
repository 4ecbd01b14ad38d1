"""Which metrics a tear sheet knows: their group, words and unit. Others are shown all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assets.reports.text import money, number, percent

GROUPS = ("Return", "Risk", "Ratios", "Statistics", "Trading", "Against the benchmark", "Other")


@dataclass(frozen=True)
class Entry:
    """How one metric is shown; `unit` is rate (a fraction), ratio, count, bars, years, bps or ccy."""

    group: str
    label: str
    unit: str


CATALOGUE: Mapping[str, Entry] = {
    "total_return": Entry("Return", "Total return", "rate"),
    "cagr": Entry("Return", "Growth a year (CAGR)", "rate"),
    "mean_return": Entry("Return", "Mean return a bar", "rate"),
    "best_return": Entry("Return", "Best bar", "rate"),
    "worst_return": Entry("Return", "Worst bar", "rate"),
    "volatility": Entry("Risk", "Volatility a year", "rate"),
    "max_drawdown": Entry("Risk", "Maximum drawdown", "rate"),
    "max_drawdown_bars": Entry("Risk", "Longest drawdown", "bars"),
    "var_95": Entry("Risk", "Value at risk 95 %", "rate"),
    "cvar_95": Entry("Risk", "Expected shortfall 95 %", "rate"),
    "sharpe": Entry("Ratios", "Sharpe", "ratio"),
    "sortino": Entry("Ratios", "Sortino", "ratio"),
    "calmar": Entry("Ratios", "Calmar", "ratio"),
    "omega": Entry("Ratios", "Omega", "ratio"),
    "tail_ratio": Entry("Ratios", "Tail ratio", "ratio"),
    "sharpe_error": Entry("Statistics", "Standard error of the Sharpe", "ratio"),
    "probabilistic_sharpe": Entry("Statistics", "Probability that Sharpe > 0", "rate"),
    "deflated_sharpe": Entry("Statistics", "Deflated Sharpe (probability)", "rate"),
    "minimum_track_record": Entry("Statistics", "Minimum track record", "bars"),
    "pbo": Entry("Statistics", "Probability of overfitting", "rate"),
    "minimum_years": Entry("Statistics", "Minimum track record", "years"),
    "skew": Entry("Statistics", "Skewness", "ratio"),
    "kurtosis": Entry("Statistics", "Kurtosis (normal: 3)", "ratio"),
    "n_trades": Entry("Trading", "Round trips", "count"),
    "n_open_trades": Entry("Trading", "Still open", "count"),
    "n_fills": Entry("Trading", "Fills", "count"),
    "win_rate": Entry("Trading", "Winners", "rate"),
    "profit_factor": Entry("Trading", "Profit factor", "ratio"),
    "expectancy": Entry("Trading", "Expectancy a trade", "ccy"),
    "sqn": Entry("Trading", "System quality (SQN)", "ratio"),
    "turnover": Entry("Trading", "Turnover a year", "times"),
    "time_in_market": Entry("Trading", "Time in the market", "rate"),
    "exposure": Entry("Trading", "Mean gross exposure", "rate"),
    "alpha": Entry("Against the benchmark", "Alpha a year", "rate"),
    "beta": Entry("Against the benchmark", "Beta", "ratio"),
    "information_ratio": Entry("Against the benchmark", "Information ratio", "ratio"),
    "tracking_error": Entry("Against the benchmark", "Tracking error a year", "rate"),
    "correlation": Entry("Against the benchmark", "Correlation", "ratio"),
}

# What a name's ending says about its unit, where the catalogue does not know the name.
_ENDINGS = {
    "_rate": "rate", "_return": "rate", "_bps": "bps", "_bars": "bars", "_ccy": "ccy", "_years": "years",
}  # fmt: skip


def entry(name: str) -> Entry:
    """Return how a metric is shown; other names go to `Other`, the unit told by the ending."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    unit = next((unit for ending, unit in _ENDINGS.items() if name.endswith(ending)), "ratio")
    if name.startswith("n_"):
        unit = "count"
    words = name.removeprefix("n_").removesuffix("_rate").removesuffix("_ccy").replace("_", " ").strip()
    return Entry("Other", words[:1].upper() + words[1:] or name, unit)


def written(value: float, unit: str, currency: str = "") -> str:
    """Return a metric's value in its unit; `undefined` where it is not finite."""
    if unit == "rate":
        return percent(value)
    if unit == "ccy":
        return money(value, currency)
    if unit == "count":
        return number(value, 0)
    text = number(value, 0 if unit == "bars" else 1 if unit in ("bps", "years") else 2)
    ending = {"bars": " bars", "bps": " bps", "years": " years", "times": "\N{MULTIPLICATION SIGN}"}.get(unit, "")
    return text if text == "undefined" else text + ending.replace(" ", "\N{NO-BREAK SPACE}")
