"""Costs of trading."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from engine.errors import InputError
from engine.panels import number


@dataclass(frozen=True)
class Costs:
    """What an order pays. No arguments: nothing.

    commission = min(max(fixed + bps x value + per_share x quantity, commission_min), max_rate x value), with
    value = quantity x fill price: the maximum beats the minimum, as in retail brokers' public schedules.
    Half the spread and the slippage move the fill price against the order; both are taken of the bar's price
    and add up: fill price = price x (1 +- (spread_bps / 2 + slippage_bps) / 10,000).

    Parameters
    ----------
    commission_bps : float
        Basis points of the value traded.
    commission_fixed, commission_per_share, commission_min : float
        Ccy an order, ccy a unit, and the least ccy an order.
    commission_max_rate : float
        The most an order pays, as a fraction of the value traded; inf: no maximum.
    spread_bps : float
        Full quoted spread, of which an order pays half.
    slippage_bps : float
        Adverse move of the fill price beyond the half spread.
    """

    commission_bps: float = 0.0
    commission_fixed: float = 0.0
    commission_per_share: float = 0.0
    commission_min: float = 0.0
    commission_max_rate: float = math.inf
    spread_bps: float = 0.0
    slippage_bps: float = 0.0

    def __post_init__(self) -> None:
        largest = math.nextafter(math.inf, 0.0)
        for field in fields(self):
            is_rate = field.name == "commission_max_rate"
            value = number(
                field.name,
                getattr(self, field.name),
                low=0.0,
                high=math.inf if is_rate else largest,
                rule="zero or positive" if is_rate else "zero or positive, and finite",
            )
            object.__setattr__(self, field.name, value)
        if self.spread_bps / 2.0 + self.slippage_bps >= 10_000.0:
            raise InputError(
                "spread_bps / 2 + slippage_bps must stay below 10000 (a sale would bring nothing), "
                f"was {self.spread_bps / 2.0 + self.slippage_bps}"
            )
