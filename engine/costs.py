"""Costs of trading and of borrowing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from engine.bounds import MOST_TIERS
from engine.errors import InputError
from engine.settings import amount, flag, limit, positive, shown, whole

_AMOUNTS = (
    "commission_bps",
    "commission_fixed",
    "commission_per_share",
    "commission_min",
    "sell_fee_rate",
    "sell_fee_per_share",
    "spread_bps",
    "slippage_bps",
    "slippage_ticks",
    "impact_coefficient",
    "volume_share_impact",
    "borrow_rate",
)
_LIMITS = ("commission_max_rate", "sell_fee_max")

Tiers = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Costs:
    """What trading costs. No arguments: nothing.

    Commission of an order, over all its fills together (value = size x price, the latter with all costs of
    price): min(max(fixed + bps / 10,000 x value + per_share x size, commission_min), max_rate x value); a fill
    pays what is due after it less what was due before. Fees come on top, at each fill of a sale:
    sell_fee_rate x value + min(sell_fee_per_share x size, sell_fee_max).

    The price of a fill moves against the order, from the market's price p, by the sum of
        half the spread   p x spread_bps / 20,000
        slippage          p x slippage_bps / 10,000 + slippage_ticks x tick size
        impact            p x (impact_coefficient x sigma x sqrt(size / adv)
                               + volume_share_impact x min(taken / volume, volume_share_limit)^2)
    sigma: standard deviation (ddof 1) of the asset's close-to-close returns, adv: its mean volume, both over
    its last `impact_bars` bars before the fill's. A limit order never fills worse than its limit: impact is
    cut first, then slippage, then the spread.

    Parameters
    ----------
    commission_bps : float
        Basis points of the value traded.
    commission_fixed, commission_per_share, commission_min : float
        Ccy an order, ccy a unit, and the least ccy an order.
    commission_max_rate : float
        The most an order pays, as a fraction of the value traded; inf: no maximum.
    commission_tiers : ((from_units, per_share), ...)
        Replaces commission_per_share by a rate that depends on the units traded in the fill's calendar month
        (UTC) so far, all assets together. Marginal: a fill that crosses a threshold pays both rates.
        Thresholds start at 0 and rise strictly; at most 12.
    commission_min_beats_max : bool
        True: where minimum and maximum contradict each other (a tiny order) the minimum holds.
    sell_fee_rate, sell_fee_per_share, sell_fee_max : float
        Fraction of the value sold, ccy a unit sold, and the most ccy a fill pays by unit; as regulators charge.
    spread_bps : float
        Full quoted spread, of which an order pays half.
    slippage_bps, slippage_ticks : float
        Adverse move of the price beyond the half spread; ticks are those of `Execution.tick_size`, which they need.
    impact_coefficient, impact_bars : float, int
        Square-root impact, of the order of 1 for equities (Toth et al., "Anomalous price impact and the critical
        nature of liquidity in financial markets", 2011), and the bars sigma and adv are taken over, at least 2.
    volume_share_impact, volume_share_limit : float
        Quadratic impact of the share of the bar's volume taken, by this fill and those before it in the bar, and
        the share from which it grows no more (zipline's `VolumeShareSlippage`: 0.1 and 0.025).
    borrow_rate : float
        Yearly rate (a fraction) on the value of short positions, charged a night like interest (`Account`).
    """

    commission_bps: float = 0.0
    commission_fixed: float = 0.0
    commission_per_share: float = 0.0
    commission_min: float = 0.0
    commission_max_rate: float = math.inf
    commission_tiers: Tiers = ()
    commission_min_beats_max: bool = False
    sell_fee_rate: float = 0.0
    sell_fee_per_share: float = 0.0
    sell_fee_max: float = math.inf
    spread_bps: float = 0.0
    slippage_bps: float = 0.0
    slippage_ticks: float = 0.0
    impact_coefficient: float = 0.0
    impact_bars: int = 20
    volume_share_impact: float = 0.0
    volume_share_limit: float = 1.0
    borrow_rate: float = 0.0

    def __post_init__(self) -> None:
        values: dict[str, Any] = {name: amount(name, getattr(self, name)) for name in _AMOUNTS}
        for name in _LIMITS:
            values[name] = limit(name, getattr(self, name), low=0.0, rule="zero or positive")
        values["commission_tiers"] = _checked_tiers(self.commission_tiers)
        values["impact_bars"] = whole("impact_bars", self.impact_bars, low=2)
        values["volume_share_limit"] = positive("volume_share_limit", self.volume_share_limit)
        flag("commission_min_beats_max", self.commission_min_beats_max)
        self.__dict__.update(values)
        self._check_together()

    @classmethod
    def preset(cls, name: str) -> Costs:
        """Return the costs of a broker by its name in `engine.brokers`; a misspelt name gets the nearest."""
        from engine.brokers import preset

        return preset(name)

    def _check_together(self) -> None:
        if self.commission_tiers and self.commission_per_share != 0.0:
            raise InputError(
                f"commission_per_share must be 0 where commission_tiers replace it, was {self.commission_per_share}"
            )
        if self.sell_fee_rate >= 1.0:
            raise InputError(f"sell_fee_rate must be a fraction below 1, was {self.sell_fee_rate}")
        if self.spread_bps / 2.0 + self.slippage_bps >= 10_000.0:
            raise InputError(
                "spread_bps / 2 + slippage_bps must stay below 10000 (a sale would bring nothing), "
                f"was {self.spread_bps / 2.0 + self.slippage_bps}"
            )


def _checked_tiers(tiers: Any) -> Tiers:
    """Return tiers as a tuple of (from_units, per_share), whatever sequences they were given in."""
    pairs = []
    if not isinstance(tiers, (tuple, list)):
        raise InputError(f"commission_tiers must be pairs of (from_units, per_share), was {shown(tiers)}")
    if len(tiers) > MOST_TIERS:
        raise InputError(f"commission_tiers must be at most {MOST_TIERS}, were {len(tiers)}")
    for i, tier in enumerate(tiers):
        if not isinstance(tier, (tuple, list)) or len(tier) != 2:
            raise InputError(f"commission_tiers[{i}] must be a pair of (from_units, per_share), was {shown(tier)}")
        pairs.append((amount(f"commission_tiers[{i}] from_units", tier[0]), amount(f"commission_tiers[{i}]", tier[1])))
    if pairs and pairs[0][0] != 0.0:
        raise InputError(f"commission_tiers must start from 0 units, started from {pairs[0][0]}")
    for (before, _), (after, _) in pairwise(pairs):
        if after <= before:
            raise InputError(f"commission_tiers must rise strictly in from_units, was {after} after {before}")
    return tuple(pairs)
