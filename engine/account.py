"""The account: what it starts with, what it may do, and what its cash earns and costs."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import InputError
from engine.settings import amount, choice, finite, flag, positive

DIVIDEND_DATES = ("ex_date", "pay_date")


@dataclass(frozen=True)
class Account:
    """Cash at the start, the limits on what may be held, and interest.

    Interest is charged for the nights between two bars, date(bar_end[t]) - date(bar_end[t-1]) in days: none
    inside a day, three over a weekend. It is computed from the cash at the previous bar's end, in which the
    proceeds of short sales are contained.

    Parameters
    ----------
    cash : float
        Initial cash (ccy), positive.
    leverage : float
        At least 1. At a fill, buys may bring cash down to -(leverage - 1) x equity at that moment's prices,
        which is 0 without leverage. Proceeds of short sales are cash; the size of short positions is limited
        by `Execution(cash_policy="margin")` only, which keeps exposure within leverage x equity.
    allow_short : bool
        False: what would be held below zero is cut at zero.
    maintenance_margin : float
        Fraction of exposure (sum of |position x mark|) that equity must cover at each close; 0: no margin
        calls; at most 1 / leverage. Below it, everything that waits or works is cancelled, and each position
        is cut at the next open to position x equity x leverage / exposure, to nothing without equity.
    cash_rate : float
        Yearly rate (a fraction) that positive cash earns: cash x cash_rate x nights / day_count. Negative
        rates, as euro and franc accounts had them, cost.
    debit_rate : float
        Yearly rate that negative cash costs: |cash| x debit_rate x nights / day_count.
    day_count : float
        Days of the year that interest and borrow rates are stated for: 360 for USD and EUR, 365 for GBP.
    dividends_on : {"ex_date", "pay_date"}
        When a dividend becomes cash. Either way it is owed on what was held before the ex-date; until it is
        paid it is no part of equity.
    """

    cash: float = 100_000.0
    leverage: float = 1.0
    allow_short: bool = True
    maintenance_margin: float = 0.0
    cash_rate: float = 0.0
    debit_rate: float = 0.0
    day_count: float = 360.0
    dividends_on: str = "ex_date"

    def __post_init__(self) -> None:
        self.__dict__.update(
            cash=positive("cash", self.cash),
            leverage=finite("leverage", self.leverage, low=1.0, rule="at least 1 and finite"),
            allow_short=flag("allow_short", self.allow_short),
            maintenance_margin=amount("maintenance_margin", self.maintenance_margin),
            cash_rate=finite("cash_rate", self.cash_rate),
            debit_rate=amount("debit_rate", self.debit_rate),
            day_count=positive("day_count", self.day_count),
            dividends_on=choice("dividends_on", self.dividends_on, DIVIDEND_DATES),
        )
        if self.maintenance_margin > 1.0 / self.leverage:
            raise InputError(
                f"maintenance_margin must not be above 1 / leverage ({1.0 / self.leverage:g}), which a full "
                f"position would breach at once, was {self.maintenance_margin}"
            )
