"""What a run is given: settings under the engine's names, the market and the decisions as lists."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Settings:
    cash: float = 100_000.0
    leverage: float = 1.0
    allow_short: bool = True
    maintenance_margin: float = 0.0
    cash_rate: float = 0.0
    debit_rate: float = 0.0
    day_count: float = 360.0
    dividends_on: str = "ex_date"

    commission_bps: float = 0.0
    commission_fixed: float = 0.0
    commission_per_share: float = 0.0
    commission_min: float = 0.0
    commission_max_rate: float = math.inf
    commission_tiers: tuple = ()
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

    timing: str = "next_open"
    latency_bars: int = 0
    participation_rate: float = math.inf
    lot_size: float = 0.0
    tick_size: float = 0.0
    cash_policy: str = "scale"
    intrabar: str = "pessimistic"
    children_from: str = "same_bar"
    limit_touch: bool = True
    stop_slippage: bool = True
    limit_slippage: bool = True
    slip_within_bar: bool = False
    trail_on_close: bool = False
    cash_in_lieu: bool = False

    stop_loss_rate: float = 0.0
    take_profit_rate: float = 0.0
    trailing_stop_rate: float = 0.0
    time_stop_bars: int = 0


@dataclass
class OrderInput:
    """One row of orders, in their order; `parent` is the number of another row."""

    bar: int
    asset: int
    quantity: float
    kind: str = "market"
    limit: float | None = None
    stop: float | None = None
    trail: float | None = None
    trail_rate: float | None = None
    tif: str = "gtc"
    tif_bars: int = 0
    group: int | None = None
    parent: int | None = None
    cancel_bar: int | None = None  # told to end at this bar's close, at the bar of its decision or after


@dataclass
class FinerBar:
    bar_end: datetime
    asset: int
    open: float
    high: float
    low: float
    close: float


@dataclass
class Inputs:
    bar_end: list[datetime]
    open: list[list]
    high: list[list]
    low: list[list]
    close: list[list]
    volume: list[list]
    splits: list[list]
    dividends: list[list]
    delistings: list[list]
    pay_bars: list[list]  # the bar a dividend is paid at; past the end: never
    targets: list[list] | None = None
    is_weight: bool = False
    orders: list[OrderInput] = field(default_factory=list)
    finer: list[FinerBar] | None = None

    @property
    def n_bars(self):
        return len(self.close)

    @property
    def n_assets(self):
        return len(self.close[0])

    def nights(self, bar):
        """Days between the dates of a bar's end and of the one before."""
        return (self.bar_end[bar].date() - self.bar_end[bar - 1].date()).days if bar > 0 else 0

    def is_first_of_session(self, bar):
        return bar == 0 or self.nights(bar) != 0

    def is_last_of_session(self, bar):
        return bar == self.n_bars - 1 or self.nights(bar + 1) != 0

    def finer_bars(self, bar, asset):
        """The asset's finer bars that end in (end of the bar before, end of the bar], in time."""
        if self.finer is None:
            return []
        after = self.bar_end[bar - 1] if bar > 0 else datetime.min
        found = [f for f in self.finer if f.asset == asset and after < f.bar_end <= self.bar_end[bar]]
        return sorted(found, key=lambda f: f.bar_end)
