"""Inside a bar: which of the levels that it touches comes first, and at what price it fills."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.engine.reference.matching import Entry, leave, trade_together
from tests.engine.reference.orders import STOPS, Begin, Order
from tests.engine.reference.paths import Path, Slice

START = (0, 0.0)
LAST = math.inf  # take profits come after limit orders
INSIDE_KINDS = ("limit", *STOPS)


@dataclass
class Event:
    """Something touched. `price` None: a stop_limit is triggered without a fill."""

    rank: tuple
    place: tuple
    what: object  # an order, or the kind of an exit of Risk
    price: float | None
    limit: float | None = None


def is_passed(side, level, price):
    """Whether a stop of a side is triggered at a price; a limit with the side reversed is marketable there."""
    return side * (price - level) >= 0.0


def walk_bar(book):
    """Take every asset through this bar."""
    t, s = book.bar, book.settings
    has_levels = s.stop_loss_rate > 0.0 or s.take_profit_rate > 0.0 or s.trailing_stop_rate > 0.0
    first, then = [], []
    for asset in range(len(book.units)):
        if book.inputs.close[t][asset] is None or asset in book.delisted:
            continue
        numbers = [o.number for o in book.orders if o.asset == asset and o.kind in INSIDE_KINDS and o.works_at(t)]
        holding = book.holding[asset]
        if has_levels and holding is not None and holding.active_bar <= t:
            first.append(asset)
        else:
            then.append((min(numbers) if numbers else len(book.orders), asset))
    for asset in first + [asset for _, asset in sorted(then)]:
        walk_asset(book, asset)
        trail(book, asset)


def walk_asset(book, asset):
    t, inputs = book.bar, book.inputs
    finer = inputs.finer_bars(t, asset)
    if not finer:
        bar = Slice(inputs.open[t][asset], inputs.high[t][asset], inputs.low[t][asset], inputs.close[t][asset])
        held = book.units[asset]
        rule = book.settings.intrabar
        walk_slice(book, asset, bar, Path.of(bar, rule, held) if rule in ("ohlc", "olhc", "adaptive") else None)
        return
    for place, part in enumerate(finer):
        bar = Slice(part.open, part.high, part.low, part.close)
        book.stage, book.place, book.is_within = "open", START, place > 0
        if book.holding[asset] is not None and book.holding[asset].begin is None:
            leave_at_open(book, asset, bar.open, has_time_stop=False)
        entries = [gap_entry(book, order, bar.open) for order in working(book, asset) if order.begin is None]
        passed = [entry for entry in entries if entry is not None]
        trade_together(book, passed, book.prices(inputs.open))
        walk_slice(book, asset, bar, None)
        book.is_within = False


def walk_slice(book, asset, bar, path):
    """Fill what the slice touches, one after the other, then let trailing stops follow it."""
    done = []
    while True:
        events = risk_events(book, asset, bar, path)
        for order in working(book, asset):
            if order.number not in done:
                event = order_event(book, order, bar, path)
                if event is not None:
                    events.append(event)
        if not events:
            break
        event = min(events, key=lambda e: e.rank)
        book.stage, book.place = "inside", event.place
        if isinstance(event.what, Order):
            done.append(event.what.number)
            fill_event(book, event, bar)
        else:
            leave_event(book, asset, event, bar)
    for item in [book.holding[asset], *working(book, asset)]:
        if item is not None:
            item.begin = None


def trail(book, asset):
    """Let what trails follow the bar after its test; what began inside the bar knows only its close."""
    t, inputs = book.bar, book.inputs
    high, low, close = inputs.high[t][asset], inputs.low[t][asset], inputs.close[t][asset]
    for order in book.orders:
        if order.asset == asset and order.works_at(t):
            is_on_close = book.settings.trail_on_close or order.inside_bar == t
            order.follow(close if is_on_close else (high if order.side < 0 else low))
    holding = book.holding[asset]
    if holding is not None and holding.active_bar <= t:
        choose, best = (max, high) if book.units[asset] > 0.0 else (min, low)
        holding.extreme = choose(holding.extreme, close if holding.inside_bar == t else best)


def working(book, asset):
    t = book.bar
    return [
        order
        for order in book.orders
        if order.asset == asset and order.kind in INSIDE_KINDS and order.works_at(t) and order.skips_bar != t
    ]


def fill_event(book, event, bar):
    order = event.what
    if event.price is None:
        order.is_triggered = True
        return
    units, side = book.units[order.asset], order.side
    partner = ambiguous_partner(book, order, bar) if units * side < 0.0 else None
    level = order.limit if order.is_limit else order.stop_level()
    before, rest, order.is_triggered = order.filled, abs(order.rest), True
    trade_together(book, [Entry(order, order.asset, event.price, event.limit)], book.prices(book.inputs.open))
    if partner is not None and order.filled > before:
        other = partner.limit if partner.is_limit else partner.stop_level()
        note_ambiguity(book, order.asset, rest, level, other)


def ambiguous_partner(book, order, bar):
    """The other exit of an OCO group that the slice touches too: a limit beside a stop, a stop beside a limit."""
    if order.group is None or not is_touched(book, order, bar):
        return None
    for other in working(book, order.asset):
        is_exit = other is not order and other.group == order.group and other.side == order.side
        if is_exit and other.is_limit != order.is_limit and is_touched(book, other, bar):
            return other
    return None


def is_touched(book, order, bar):
    """Whether the slice touches an order's level inside, having not begun beyond it."""
    level, side = (order.limit, -order.side) if order.is_limit else (order.stop_level(), order.side)
    if level is None or (order.begin is not None and is_passed(side, level, order.begin.price)):
        return False
    is_strict = order.is_limit and not book.settings.limit_touch
    return bar.passes(level, side) if is_strict else bar.reaches(level, side)


def note_ambiguity(book, asset, size, level, other):
    if (book.bar, asset) not in book.ambiguous:
        book.ambiguous.add((book.bar, asset))
        book.bound += size * abs(level - other)


def order_event(book, order, bar, path):
    if order.is_limit:
        return limit_event(book, order, bar, path)
    level = order.stop_level()
    if level is None or order.is_triggered:
        return None
    begin, price = order.begin, level
    is_start = begin is not None and is_passed(order.side, level, begin.price)
    if is_start:
        place, price = begin.place, begin.price
    elif path is not None:
        place = path.reach(level, begin)
    else:
        place = START if bar.reaches(level, order.side) else None
    if place is None:
        return None
    if order.kind == "stop_limit":
        return triggered_event(book, order, bar, path, place, price)
    return Event(rank_of(path, place, "stop", order.number), place, order, price)


def triggered_event(book, order, bar, path, place, price):
    """A stop_limit triggered at a price: filled there, later in the bar at its limit, or only triggered."""
    begin, limit = order.begin, order.limit
    fill, is_start = None, begin is not None and is_passed(order.side, order.stop, begin.price)
    if is_passed(-order.side, limit, price):
        fill = price
    elif is_start:
        later = limit_event(book, order, bar, path)
        if later is not None:
            place, fill = later.place, limit
    elif path is not None:
        later = path_limit(book, order, path, Begin("inside", price, place))
        if later is not None:
            place, fill = later, limit
    elif is_beyond(book, order, limit, bar.close):
        fill = limit
    return Event(rank_of(path, place, "stop", order.number), place, order, fill, limit)


def path_limit(book, order, path, begin):
    """Where the rest of a path fills a limit order, or None."""
    if book.settings.limit_touch:
        return path.reach(order.limit, begin)
    return path.passing(order.limit, -order.side, begin)


def is_beyond(book, order, limit, close):
    """Whether a bar closes at a limit or beyond it."""
    better = order.side * (limit - close)
    return better >= 0.0 if book.settings.limit_touch else better > 0.0


def limit_event(book, order, bar, path):
    limit, begin, side = order.limit, order.begin, order.side
    is_strict = not book.settings.limit_touch
    is_start = begin is not None and is_passed(-side, limit, begin.price)
    place = START
    if path is not None:
        place = path_limit(book, order, path, begin)
        if is_start and not (is_strict and limit == begin.price):
            place = begin.place
    elif begin is not None and begin.stage == "inside":
        place = START if is_beyond(book, order, limit, bar.close) else None
    elif not (bar.passes(limit, -side) if is_strict else bar.reaches(limit, -side)):
        place = None
    if place is None:
        return None
    price = begin.price if is_start else limit
    return Event(rank_of(path, place, "limit", order.number), place, order, price, limit)


def rank_of(path, place, group, number):
    """What comes first: along a path the place, then stops, then numbers; without one stops, then numbers."""
    if path is None:
        return ("risk", "stop", "limit").index(group), number
    return place, int(group == "limit"), number


def gap_entry(book, order, price):
    """The entry of an order that an open has passed, or None.

    What an open triggers stays triggered: a stop_limit is a limit order from then on, the rest of a stop that
    participation did not let out is a market order.
    """
    if not order.is_limit:
        if order.stop_level() is None:
            order.reference = price  # decided before the asset's first price: it trails from here on
        if not order.is_triggered and not is_passed(order.side, order.stop_level(), price):
            return None
        order.is_triggered = True
        if order.kind != "stop_limit":
            return Entry(order, order.asset, price)
    better = order.side * (order.limit - price)
    if better < 0.0 or (better == 0.0 and not book.settings.limit_touch):
        return None
    if book.settings.intrabar == "stops_first":
        order.begin = Begin("open", price)
        return None
    return Entry(order, order.asset, price, order.limit)


def risk_levels(book, asset):
    """(stop level, its kind, profit level) of a position; None where switched off."""
    s, holding = book.settings, book.holding[asset]
    side = 1 if book.units[asset] > 0.0 else -1
    stop, kind, profit = None, None, None
    if s.stop_loss_rate > 0.0:
        stop, kind = holding.entry * (1.0 - side * s.stop_loss_rate), "stop_loss"
    if s.trailing_stop_rate > 0.0:
        level = holding.extreme * (1.0 - side * s.trailing_stop_rate)
        if stop is None or side * (level - stop) > 0.0:
            stop, kind = level, "trailing_loss"
    if s.take_profit_rate > 0.0:
        profit = holding.entry * (1.0 + side * s.take_profit_rate)
    return stop, kind, profit


def leave_at_open(book, asset, price, *, has_time_stop=True):
    """Exits of Risk at an open: what participation left over, time stops, levels passed by the open."""
    holding, s = book.holding[asset], book.settings
    side = 1 if book.units[asset] > 0.0 else -1
    if holding.exit is not None:
        if has_time_stop:
            leave(book, asset, holding.exit.kind, price)
        return
    if has_time_stop and 0 < s.time_stop_bars <= book.bar - holding.entry_bar:
        leave(book, asset, "time_stop", price)
        return
    if holding.active_bar > book.bar:
        return
    stop, kind, profit = risk_levels(book, asset)
    if stop is not None and is_passed(-side, stop, price):
        leave(book, asset, kind, price)
    elif profit is not None and is_passed(side, profit, price):
        if s.intrabar == "stops_first":
            holding.begin = Begin("open", price)
            return
        leave(book, asset, "take_profit", price, profit)


def risk_events(book, asset, bar, path):
    holding = book.holding[asset]
    if holding is None or holding.exit is not None or holding.active_bar > book.bar:
        return []
    stop, kind, profit = risk_levels(book, asset)
    side = 1 if book.units[asset] > 0.0 else -1
    begin = holding.begin or Begin("open", bar.open)
    events = []
    if stop is not None and bar.reaches(stop, -side):
        is_start = is_passed(-side, stop, begin.price)
        place = START if path is None else begin.place if is_start else path.reach(stop, begin)
        if place is not None:
            price = begin.price if is_start else stop
            events.append(Event(rank_of(path, place, "risk", -1), place, kind, price))
    if profit is not None and bar.reaches(profit, side):
        event = profit_event(book, asset, bar, path, profit, begin)
        if event is not None:
            events.append(event)
    return events


def profit_event(book, asset, bar, path, profit, begin):
    side, price = 1 if book.units[asset] > 0.0 else -1, profit
    is_start = is_passed(side, profit, begin.price)
    is_new_inside = begin.stage == "inside" and book.holding[asset].inside_bar == book.bar
    place = START
    if path is not None:
        place = begin.place if is_start else path.reach(profit, begin)
        price = begin.price if is_start else profit
    elif is_new_inside and side * (bar.close - profit) < 0.0:
        place = None
    elif book.settings.intrabar == "stops_first" and is_start and not is_new_inside:
        price = begin.price
    if place is None:
        return None
    return Event(rank_of(path, place, "limit", LAST), place, "take_profit", price, profit)


def leave_event(book, asset, event, bar):
    stop, _, profit = risk_levels(book, asset)
    before = abs(book.units[asset])
    side = 1 if book.units[asset] > 0.0 else -1
    is_both = stop is not None and profit is not None and bar.reaches(stop, -side) and bar.reaches(profit, side)
    begin = book.holding[asset].begin or Begin("open", bar.open)
    if is_both and not (is_passed(-side, stop, begin.price) or is_passed(side, profit, begin.price)):
        note_ambiguity(book, asset, before, stop, profit)
    leave(book, asset, event.what, event.price, event.limit)
