"""Fundamentals: prices against figures of the company as filed by then, never as restated later.

The figures come into a window as features of their own (`filed.net_income` and so on, see `filed`), each knowable at
its bar's end, so that cutting the window cuts them too. Where no company, or no figure young enough, is known for a
symbol the value is NaN.
"""

from __future__ import annotations

from strategies.errors import StrategyError
from strategies.features.feature import FILINGS, Feature
from strategies.features.filed import FIGURES, window_name
from strategies.panel import Panel
from strategies.window import Window


def filed(window: Window, figure: str) -> Panel:
    """Return a figure as known at each bar's end; NaN on bars the asset did not trade.

    Raises
    ------
    StrategyError : the window was made without figures; says what to do
    """
    try:
        return window.feature(window_name(figure)).where(window.close.is_valid())
    except StrategyError as error:
        raise StrategyError(
            f"this window holds no filed figures ({error}): take the feature from features/daily, or give the window "
            f"{', '.join(map(window_name, FIGURES))} as features (`strategies.features.filed.on_bars`)"
        ) from error


def market_value(window: Window) -> Panel:
    """Return the close as traded times the shares outstanding, splits since they were counted included."""
    return window.close * filed(window, "shares")


def earnings_yield(window: Window) -> Panel:
    """Return the net income of the last four quarters by the market value."""
    return filed(window, "net_income") / market_value(window)


def book_to_price(window: Window) -> Panel:
    """Return the stockholders' equity by the market value."""
    return filed(window, "equity") / market_value(window)


def return_on_equity(window: Window) -> Panel:
    """Return the net income of the last four quarters by the stockholders' equity; NaN without positive equity."""
    equity = filed(window, "equity")
    return (filed(window, "net_income") / equity).where(equity > 0.0)


def gross_profitability(window: Window) -> Panel:
    """Return the gross profit of the last four quarters by the total assets; NaN without positive assets."""
    assets = filed(window, "assets")
    return (filed(window, "gross_profit") / assets).where(assets > 0.0)


FEATURES = {
    "market_value": Feature(
        market_value,
        0,
        "USD",
        "close times the shares outstanding as last filed, splits since then included",
        "Banz 1981",
        FILINGS,
    ),
    "earnings_yield": Feature(
        earnings_yield, 0, "rate", "net income of the last four quarters by the market value", "Basu 1977", FILINGS
    ),
    "book_to_price": Feature(
        book_to_price, 0, "ratio", "stockholders' equity by the market value", "Fama, French 1992", FILINGS
    ),
    "return_on_equity": Feature(
        return_on_equity,
        0,
        "rate",
        "net income of the last four quarters by the stockholders' equity",
        "Haugen, Baker 1996; Hou, Xue, Zhang 2015",
        FILINGS,
    ),
    "gross_profitability": Feature(
        gross_profitability,
        0,
        "rate",
        "gross profit of the last four quarters by the total assets",
        "Novy-Marx 2013",
        FILINGS,
    ),
}
