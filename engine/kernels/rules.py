"""Indicators of the rules, one asset at a time, and where they change their mind.

An asset is seen on its own bars: `own` are the bars at which it has a price, and n bars are n of these.
"""

from __future__ import annotations

import numpy as np

from engine.actions import Events
from engine.jit import kernel, step
from engine.kernels.state import Floats, Integers

# What a rule says at a bar.
STAY, ENTER, LEAVE = 0, 1, -1


@kernel
def total_return_prices_nb(close: Floats, events: Events, scratch: Floats, prices_out: Floats) -> None:
    """Write what one unit of each asset's first bar has become, dividends reinvested at the close of their bar.

    Splits and dividends on bars that the asset misses count at its next close; NaN from a delisting on. Where there
    was no action yet, prices are the closes to the last bit. `scratch` float64[3, n_assets] is modified in place.
    """
    factor, shares, paid = scratch[0], scratch[1], scratch[2]
    for asset in range(close.shape[1]):
        factor[asset], shares[asset], paid[asset] = 1.0, 1.0, 0.0
    event = 0
    for t in range(close.shape[0]):
        while event < events.bar.size and events.bar[event] == t:
            asset = events.asset[event]
            paid[asset] += events.dividend[event] * shares[asset]
            shares[asset] *= events.split[event]
            if not np.isnan(events.delisting[event]):
                factor[asset] = np.nan
            event += 1
        for asset in range(close.shape[1]):
            price = close[t, asset]
            if not np.isnan(price) and (shares[asset] != 1.0 or paid[asset] != 0.0):
                factor[asset] *= shares[asset] + paid[asset] / price
                shares[asset], paid[asset] = 1.0, 0.0
            prices_out[t, asset] = price * factor[asset]


@step
def gather_nb(prices: Floats, asset: int, own_out: Integers, values_out: Floats) -> int:
    """Write the bars at which an asset has a price, and its prices there; return how many."""
    n = 0
    for t in range(prices.shape[0]):
        price = prices[t, asset]
        own_out[n] = t
        values_out[n] = price
        n += price == price
    return n


@kernel
def rolling_mean_nb(values: Floats, n: int, tails: Floats, mean_out: Floats) -> None:
    """Write the mean of the last n of float64[n_bars] values, NaN before there are n.

    A window is the tail of one block of n values and the head of the next, so that running sums inside blocks,
    backwards and forwards, give every window without ever taking anything away (van Herk 1992; Gil and Werman
    1993); the sums, and with them every bit, are those of `strategies.rolling`. `tails` is scratch, float64[n_bars].
    """
    size = values.size
    if n > size:
        for t in range(size):
            mean_out[t] = np.nan
        return
    start = 0
    while start + 4 * n <= size:
        sum_blocks_nb(values, n, start, tails, mean_out)
        start += 4 * n
    while start < size:
        sum_block_nb(values[start : start + n], n, tails[start : start + n], mean_out[start : start + n])
        start += n
    for t in range(n - 1):
        mean_out[t] = np.nan
    # A window that is a block itself has no tail: -0.0, to which its head is added, leaves it what it is.
    for first in range(0, size, n):
        tails[first] = -0.0
    heads = mean_out[n - 1 :]
    for i in range(heads.size):
        heads[i] = (tails[i] + heads[i]) / n


@step
def sum_blocks_nb(values: Floats, n: int, start: int, tails_out: Floats, heads_out: Floats) -> None:
    """Write the running sums of four whole blocks, forwards and backwards.

    One addition waits for the one before it: eight sums at a time keep the processor busy.
    """
    second, third, fourth, end = start + n, start + 2 * n, start + 3 * n, start + 4 * n
    values_1, values_2, values_3, values_4 = (
        values[start:second],
        values[second:third],
        values[third:fourth],
        values[fourth:end],
    )
    heads_1, heads_2, heads_3, heads_4 = (
        heads_out[start:second],
        heads_out[second:third],
        heads_out[third:fourth],
        heads_out[fourth:end],
    )
    tails_1, tails_2, tails_3, tails_4 = (
        tails_out[start:second],
        tails_out[second:third],
        tails_out[third:fourth],
        tails_out[fourth:end],
    )
    # What is added to -0.0 stays what it is, also a zero's sign.
    head_1, head_2, head_3, head_4 = -0.0, -0.0, -0.0, -0.0
    tail_1, tail_2, tail_3, tail_4 = -0.0, -0.0, -0.0, -0.0
    for i in range(n):
        head_1 += values_1[i]
        head_2 += values_2[i]
        head_3 += values_3[i]
        head_4 += values_4[i]
        heads_1[i], heads_2[i], heads_3[i], heads_4[i] = head_1, head_2, head_3, head_4
        last = n - 1 - i
        tail_1 += values_1[last]
        tail_2 += values_2[last]
        tail_3 += values_3[last]
        tail_4 += values_4[last]
        tails_1[last], tails_2[last], tails_3[last], tails_4[last] = tail_1, tail_2, tail_3, tail_4


@step
def sum_block_nb(values: Floats, n: int, tails_out: Floats, heads_out: Floats) -> None:
    """Write the running sums of a block, backwards only where it is whole."""
    head, tail = -0.0, -0.0
    for i in range(values.size):
        head += values[i]
        heads_out[i] = head
    if values.size == n:
        for i in range(n):
            tail += values[n - 1 - i]
            tails_out[n - 1 - i] = tail


@kernel
def rolling_means_nb(values: Floats, windows: Integers, tails: Floats, means_out: Floats) -> None:
    """Write the mean over each of int64[n_windows] windows: float64[n_windows, n_bars]."""
    for i in range(windows.size):
        rolling_mean_nb(values, windows[i], tails, means_out[i])


@step
def note_changes_nb(is_on: np.ndarray, n: int, own: Integers, asset: int, change_out: np.ndarray) -> None:
    """Write where a switch, off before the first of n own bars, turns on or off."""
    before = False
    for i in range(n):
        now = is_on[i] != 0
        if now != before:
            change_out[own[i], asset] = ENTER if now else LEAVE
            before = now


@kernel
def crossing_changes_nb(
    prices: Floats, fast: int, slow: int, scratch: Floats, own: Integers, is_on: np.ndarray, change_out: np.ndarray
) -> None:
    """Write where the fast average of each asset crosses the slow one, int8[n_bars, n_assets] that is zero before.

    `scratch` float64[4, n_bars], `own` int64[n_bars] and `is_on` uint8[n_bars] are modified in place.
    """
    for asset in range(prices.shape[1]):
        n = gather_nb(prices, asset, own, scratch[0])
        values, tails, quick, calm = scratch[0, :n], scratch[1, :n], scratch[2, :n], scratch[3, :n]
        rolling_mean_nb(values, fast, tails, quick)
        rolling_mean_nb(values, slow, tails, calm)
        for i in range(n):
            is_on[i] = quick[i] > calm[i]
        note_changes_nb(is_on, n, own, asset, change_out)


@kernel
def threshold_changes_nb(
    prices: Floats,
    lookback: int,
    enter: float,
    leave: float,
    scratch: Floats,
    own: Integers,
    is_on: np.ndarray,
    change_out: np.ndarray,
) -> None:
    """Write where the change over `lookback` own bars rises above `enter` or, after that, falls below `leave`.

    `change_out` int8[n_bars, n_assets] is zero before; `scratch` float64[4, n_bars], `own` and `is_on` as above.
    """
    for asset in range(prices.shape[1]):
        n = gather_nb(prices, asset, own, scratch[0])
        values = scratch[0]
        now = False
        for i in range(min(lookback, n)):
            is_on[i] = 0
        for i in range(lookback, n):
            change = values[i] / values[i - lookback] - 1.0
            now = change > enter or (now and not change < leave)
            is_on[i] = now
        note_changes_nb(is_on, n, own, asset, change_out)


@kernel
def crossing_events_nb(
    prices: Floats, fast: int, slow: int, scratch: Floats, is_on: np.ndarray, bar_out: Integers, row_out: Integers
) -> int:
    """Write the bars at which the averages of one asset without gaps cross, and 1 or 0 for on or off; return how many.

    `scratch` float64[3, n_bars] and `is_on` uint8[n_bars up to whole eights] are modified in place.
    """
    tails, quick, calm = scratch[0], scratch[1], scratch[2]
    rolling_mean_nb(prices, fast, tails, quick)
    rolling_mean_nb(prices, slow, tails, calm)
    return events_nb(quick, calm, is_on, bar_out, row_out)


@step
def events_nb(quick: Floats, calm: Floats, is_on: np.ndarray, bar_out: Integers, row_out: Integers) -> int:
    """Write the bars at which one series rises above another, or no longer is; return how many.

    `is_on` uint8[n_bars up to whole eights] is zero behind the last bar.
    """
    for t in range(quick.size):
        is_on[t] = quick[t] > calm[t]
    return changes_nb(is_on, quick.size, bar_out, row_out)


@step
def threshold_events_nb(
    prices: Floats,
    lookback: int,
    enter: float,
    leave: float,
    is_on: np.ndarray,
    bar_out: Integers,
    row_out: Integers,
) -> int:
    """Write the bars at which the change of one asset without gaps passes `enter`, then `leave`; return how many.

    `is_on` uint8[n_bars up to whole eights] is zero behind the last bar.
    """
    now = False
    for t in range(min(lookback, prices.size)):
        is_on[t] = 0
    for t in range(lookback, prices.size):
        change = prices[t] / prices[t - lookback] - 1.0
        now = change > enter or (now and not change < leave)
        is_on[t] = now
    return changes_nb(is_on, prices.size, bar_out, row_out)


@step
def changes_nb(is_on: np.ndarray, n_bars: int, bar_out: Integers, row_out: Integers) -> int:
    """Write the bars at which a switch, off before the first, turns on (1) or off (0); return how many.

    Eight bars are looked at together: what has not changed since the bar before is a byte of zeros in their word.
    `is_on` is zero behind the last bar.
    """
    words = is_on.view(np.uint64)
    n, before = 0, np.uint64(0)
    for i in range(words.size):
        word = words[i]
        changed = word ^ ((word << np.uint64(8)) | before)
        before = word >> np.uint64(56)
        while changed != np.uint64(0):
            lowest = changed & (~changed + np.uint64(1))
            # The place of a single bit is the exponent of its float.
            place = (np.float64(lowest).view(np.int64) >> 52) - 1023
            bar_out[n] = 8 * i + (place >> 3)
            row_out[n] = 1 - (n & 1)
            n += 1
            changed ^= lowest
    # The zeros that fill up the last word may look like a change after the last bar.
    return n - 1 if n > 0 and bar_out[n - 1] == n_bars else n
