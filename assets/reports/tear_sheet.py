"""The tear sheet: one run on one self-contained HTML page, together with the reasons to doubt it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from assets.reports import sections, tables
from assets.reports.charts import CHART_CSS
from engine.errors import QuantlakeError

_STYLE = Path(__file__).with_name("tear_sheet.css")

Verdict = Literal["ok", "caution", "fail", "unknown"]


class TearSheetError(QuantlakeError):
    """The data of a tear sheet contradict each other; nothing was rendered."""


@dataclass(frozen=True)
class WindowRow:
    """One window of a walk-forward: what was chosen on its training bars and what came of it.

    Sharpe ratios are annual, the return is a rate; NaN is shown as "undefined".
    """

    key: str
    train: str
    test: str
    parameters: Mapping[str, object]
    train_sharpe: float
    test_sharpe: float
    test_return: float


@dataclass(frozen=True)
class ValidityRow:
    """One answer to "Can I believe this?": what was asked, the value, the verdict, and why in words."""

    label: str
    value: str
    verdict: Verdict
    reason: str

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise TearSheetError(f"verdict must be one of {get_args(Verdict)}, was {self.verdict!r}")


@dataclass(frozen=True, kw_only=True)
class TearSheet:
    """Everything a tear sheet shows, as plain data. Arrays share one axis, the bars.

    Parameters
    ----------
    bar_end : datetime64[n_bars] UTC, increasing.
    equity : float64[n_bars], account value at each bar's end in `currency`.
    initial_cash : the account before the first bar; it counts as a peak and as the first month's start.
    is_oos : bool[n_bars] or one bool: whether the parameters in force at a bar were chosen without seeing it.
        Bars where it is false are shaded, and the page says so at its top.
    benchmark : float64[n_bars] of the same start value, or None.
    metrics : name -> value; NaN and inf become the word "undefined" with the reason in `undefined`, by name.
        The headline takes `sharpe`, `sharpe_error` (both annual), `deflated_sharpe`, `cagr` and `volatility`
        from here; the maximum drawdown and the total return come from `equity`.
    costs : name -> amount paid in `currency`, positive; `total` is left out, being their sum.
    trades : label -> value, a summary of the round trips, shown in the order given.
    n_trials : how many parameter sets were ever tried for this result, None where nobody counted.
    """

    title: str
    bar_end: NDArray[np.datetime64]
    equity: NDArray[np.float64]
    initial_cash: float
    subtitle: str = ""
    period: str = ""
    currency: str = ""
    is_oos: NDArray[np.bool_] | bool = False
    benchmark: NDArray[np.float64] | None = None
    benchmark_name: str = "benchmark"
    metrics: Mapping[str, float] = field(default_factory=dict)
    undefined: Mapping[str, str] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    trades: Mapping[str, object] = field(default_factory=dict)
    windows: Sequence[WindowRow] = ()
    n_trials: int | None = None
    validity: Sequence[ValidityRow] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        n = len(self.equity)
        for name in ("bar_end", "benchmark", "is_oos"):
            given = getattr(self, name)
            if given is not None and np.ndim(given) and len(given) != n:
                raise TearSheetError(f"{name} must have one value a bar ({n}), had {len(given)}")
        if n > 1 and not (np.diff(np.asarray(self.bar_end).astype("datetime64[us]").astype(np.int64)) > 0).all():
            raise TearSheetError("bar_end must increase from bar to bar")
        if not self.initial_cash > 0:
            raise TearSheetError(f"initial_cash must be positive, was {self.initial_cash}")

    @property
    def oos(self) -> NDArray[np.bool_]:
        """`is_oos` for every bar: bool[n_bars]."""
        return np.broadcast_to(np.asarray(self.is_oos, dtype=bool), len(self.equity))


def render(sheet: TearSheet) -> str:
    """Return the tear sheet as one HTML document below 300 kB that asks nothing of the network.

    Every text that came from outside is escaped. A metric without a value reads "undefined", with the reason.
    """
    parts = (
        sections.header(sheet),
        sections.banners(sheet),
        sections.headline(sheet),
        sections.equity(sheet),
        sections.metrics(sheet),
        tables.months(sheet),
        '<div class="pair">' + tables.worst(sheet) + tables.costs(sheet) + "</div>",
        tables.windows(sheet),
        tables.validity(sheet),
        tables.footer(sheet),
    )
    style = CHART_CSS + _STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(sheet.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )
