"""Orders, targets and liquidations, and how their quantities and prices are rounded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

AT_ONCE = ("market", "moo")
STOPS = ("stop", "stop_limit", "trailing_stop")


@dataclass
class Meter:
    """What an order has filled so far, for commissions over several fills."""

    size: float = 0.0
    value: float = 0.0
    tiers: float = 0.0


@dataclass
class Begin:
    """Where within a bar something began to work: on an open (`place` None) or at a place of the path inside."""

    stage: str
    price: float
    place: tuple = (0, 0.0)


@dataclass
class Target:
    units: float
    decided: int
    meter: Meter = field(default_factory=Meter)


@dataclass
class Order:
    number: int
    bar: int
    asset: int
    quantity: float
    kind: str
    limit: float | None
    stop: float | None
    trail: float | None
    trail_rate: float | None
    tif: str
    tif_bars: int
    group: int | None
    parent: int | None
    cancel_bar: int | None
    status: str = "unborn"
    active_bar: int | None = None  # None: waits for its parent
    rest: float = 0.0
    filled: float = 0.0  # size, without sign
    reference: float | None = None
    is_triggered: bool = False
    begin: Begin | None = None  # None: since before the open of the bar that is looked at
    inside_bar: int = -1  # the bar inside of which it began to work
    skips_bar: int = -1  # a bar whose open it met, so that it does not meet the rest of it
    meter: Meter = field(default_factory=Meter)

    @property
    def side(self):
        return 1 if self.quantity > 0 else -1

    def works_at(self, bar):
        return self.status == "open" and self.active_bar is not None and self.active_bar <= bar

    @property
    def is_limit(self):
        return self.kind == "limit" or (self.kind == "stop_limit" and self.is_triggered)

    def stop_level(self):
        """The price that triggers a stop, stop_limit or trailing stop; None while nothing is trailed yet."""
        if self.kind != "trailing_stop":
            return self.stop
        if self.reference is None:
            return None
        if self.trail is None:
            return self.reference * (1.0 + self.side * self.trail_rate)
        return self.reference + self.side * self.trail

    def start_trailing(self, price):
        """Trail from a price, or from where a given stop_price puts the reference."""
        if self.kind != "trailing_stop":
            return
        if self.stop is None:
            self.reference = price
        elif self.trail is not None:
            self.reference = self.stop - self.side * self.trail
        else:
            self.reference = self.stop / (1.0 + self.side * self.trail_rate)

    def follow(self, price):
        if self.kind == "trailing_stop":
            choose = max if self.side < 0 else min
            self.reference = price if self.reference is None else choose(self.reference, price)

    def expires_after(self, bar, inputs):
        if self.tif == "ioc":
            return True
        if self.tif == "bars":
            return bar >= self.active_bar + self.tif_bars - 1
        if self.tif == "day":
            return any(inputs.is_last_of_session(t) for t in range(self.active_bar, bar + 1))
        return False

    def round_prices(self, tick):
        """Limits to be no worse for the trader, stops away from the market."""
        if tick == 0.0:
            return
        if self.limit is not None:
            self.limit = down_to_tick(self.limit, tick) if self.side > 0 else up_to_tick(self.limit, tick)
        if self.stop is not None:
            self.stop = up_to_tick(self.stop, tick) if self.side > 0 else down_to_tick(self.stop, tick)

    def split(self, ratio, tick):
        self.quantity *= ratio
        self.rest *= ratio
        self.filled *= ratio
        self.meter.size *= ratio
        for name in ("limit", "stop", "trail", "reference"):
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name) / ratio)
        self.round_prices(tick)


def down_to_tick(price, tick):
    if abs(price / tick - round(price / tick)) <= 1e-9:
        return price
    return math.floor(price / tick + 1e-9) * tick


def up_to_tick(price, tick):
    if abs(price / tick - round(price / tick)) <= 1e-9:
        return price
    return math.ceil(price / tick - 1e-9) * tick


def whole_lots(units, lot):
    """Units cut towards zero to whole lots."""
    if lot == 0.0 or units == 0.0:
        return units
    return math.copysign(math.floor(abs(units) / lot + 1e-9) * lot, units)
