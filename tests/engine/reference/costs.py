"""What a fill costs: spread, slippage, impact; commission over an order's fills; fees of a sale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise


@dataclass
class Quote:
    """The price of a fill and its parts, each ccy a unit."""

    price: float
    spread: float
    slippage: float
    impact: float


def is_free(settings, kind):
    """Whether a fill pays no spread, slippage and impact; a stop_limit is a stop and a limit."""
    is_stop = kind in ("stop", "stop_limit", "trailing_stop", "stop_loss", "trailing_loss")
    is_limit = kind in ("limit", "stop_limit", "take_profit")
    return (is_stop and not settings.stop_slippage) or (is_limit and not settings.limit_slippage)


def quote(book, asset, quantity, reference, kind, limit=None, before=0.0):
    """Return the price of a fill; `before`: units of this bar's volume taken by what is not filled yet."""
    s, side = book.settings, 1 if quantity > 0 else -1
    if is_free(s, kind):
        return Quote(reference, 0.0, 0.0, 0.0)
    spread = reference * s.spread_bps / 20_000.0
    slippage = reference * s.slippage_bps / 10_000.0 + s.slippage_ticks * s.tick_size
    impact = reference * impact_rate(book, asset, abs(quantity), book.taken[asset] + before)
    room = math.inf if side > 0 else reference
    if limit is not None:
        room = min(room, side * (limit - reference))
    if s.slip_within_bar:
        low, high = book.inputs.low[book.bar][asset], book.inputs.high[book.bar][asset]
        room = min(room, high - reference if side > 0 else reference - low)
    excess = spread + slippage + impact - max(room, 0.0)
    if excess > 0.0:
        cut = min(impact, excess)
        impact, excess = impact - cut, excess - cut
        cut = min(slippage, excess)
        slippage, excess = slippage - cut, excess - cut
        spread -= min(spread, excess)
    return Quote(reference + side * (spread + slippage + impact), spread, slippage, impact)


def impact_rate(book, asset, size, taken):
    s, rate = book.settings, 0.0
    if s.impact_coefficient > 0.0:
        if asset not in book.recent:
            book.recent[asset] = recent(book, asset)
        sigma, volume = book.recent[asset]
        if sigma is not None and volume > 0.0:
            rate += s.impact_coefficient * sigma * math.sqrt(size / volume)
    if s.volume_share_impact > 0.0:
        volume = book.inputs.volume[book.bar][asset]
        share = s.volume_share_limit if volume == 0.0 else min((taken + size) / volume, s.volume_share_limit)
        rate += s.volume_share_impact * share * share
    return rate


def recent(book, asset):
    """Deviation of returns and mean volume over the last own bars before this one, in units of this one."""
    bars = [bar for bar in range(book.bar) if book.inputs.close[bar][asset] is not None]
    closes, volumes = {}, {}
    for bar in bars:
        ratio = 1.0
        for later in range(bar + 1, book.bar + 1):
            ratio *= book.inputs.splits[later][asset]
        closes[bar] = book.inputs.close[bar][asset] / ratio
        volumes[bar] = book.inputs.volume[bar][asset] * ratio
    returns = {bar: closes[bar] / closes[before] - 1.0 for before, bar in pairwise(bars)}
    window = bars[-book.settings.impact_bars :]
    values = [returns[bar] for bar in window if bar in returns]
    if len(values) < 2:
        return None, 0.0
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance), sum(volumes[bar] for bar in window) / len(window)


def due(settings, size, value, tiers):
    """The commission of an order that has filled so much."""
    s = settings
    if size == 0.0:
        return 0.0
    fee = s.commission_fixed + s.commission_bps / 1e4 * value + s.commission_per_share * size + tiers
    most = math.inf if math.isinf(s.commission_max_rate) else s.commission_max_rate * value
    if s.commission_min_beats_max:
        return max(min(fee, most), s.commission_min)
    return min(max(fee, s.commission_min), most)


def tier_cost(settings, before, size):
    """The cost by unit of the next `size` units of a month in which `before` units were traded."""
    tiers, total = settings.commission_tiers, 0.0
    for i, (start, per_share) in enumerate(tiers):
        end = tiers[i + 1][0] if i + 1 < len(tiers) else math.inf
        total += per_share * max(0.0, min(end, before + size) - max(start, before))
    return total


def commission_and_fees(settings, meter, quantity, price, traded):
    """Commission and fees of a fill, and its cost by tiers, `traded` units into the month."""
    s, size = settings, abs(quantity)
    value = size * price
    tiers = tier_cost(s, traded, size)
    after = due(s, meter.size + size, meter.value + value, meter.tiers + tiers)
    commission = max(0.0, after - due(s, meter.size, meter.value, meter.tiers))
    fees = 0.0
    if quantity < 0:
        fees = s.sell_fee_rate * value + min(s.sell_fee_per_share * size, s.sell_fee_max)
    return commission, fees, tiers
