"""Recursions along time and choices within a bar, for which numpy has no function or only a slow one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel, step


@kernel
def ema_nb(values: NDArray[np.float64], n: int, average: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Fill `out` with exponential averages of each column.

    Missing values leave the average where it was and show NaN; the first n - 1 valid values show NaN too.

    Parameters
    ----------
    values : float64[n_bars, n_assets]
    n : int, span in bars
    average : float64[2, n_assets], zeros; modified in place: the averages, and how many values each was made of
    out : float64[n_bars, n_assets], modified in place
    """
    weight = 2.0 / (n + 1.0)
    mean, n_seen = average[0], average[1]
    for t in range(values.shape[0]):
        row, shown = values[t], out[t]
        for j in range(row.size):
            value = row[j]
            is_there = value == value
            moved = value if n_seen[j] == 0.0 else mean[j] + weight * (value - mean[j])
            mean[j] = moved if is_there else mean[j]
            n_seen[j] += is_there
            shown[j] = mean[j] if is_there and n_seen[j] >= n else np.nan


@kernel
def expanding_std_nb(values: NDArray[np.float64], ddof: int, out: NDArray[np.float64]) -> None:
    """Fill `out` with the standard deviation of all valid values so far (Welford 1962).

    Parameters
    ----------
    values : float64[n_bars, n_assets]
    ddof : int
    out : float64[n_bars, n_assets], modified in place; NaN until more than ddof values were seen
    """
    n_bars, n_assets = values.shape
    for j in range(n_assets):
        mean = 0.0
        squares = 0.0
        n_seen = 0
        for t in range(n_bars):
            value = values[t, j]
            if not np.isnan(value):
                n_seen += 1
                step = value - mean
                mean += step / n_seen
                squares += step * (value - mean)
            out[t, j] = np.sqrt(squares / (n_seen - ddof)) if n_seen > ddof else np.nan


@kernel
def growth_nb(
    close: NDArray[np.float64],
    split: NDArray[np.float64],
    dividend: NDArray[np.float64],
    delisting: NDArray[np.float64],
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Fill `out` with each asset's growth from its previous close; see `total_return.growth`.

    Parameters
    ----------
    close, split, dividend, delisting : float64[n_bars, n_assets]
    scratch : float64[5, n_assets], modified in place
    out : float64[n_bars, n_assets], modified in place
    """
    shares, paid, then_close, then_shares, then_paid = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    shares[:], paid[:], then_close[:], then_shares[:], then_paid[:] = 1.0, 0.0, np.nan, 1.0, 0.0
    for t in range(close.shape[0]):
        price, splits, dividends, ends, grown = close[t], split[t], dividend[t], delisting[t], out[t]
        for j in range(price.size):
            paid[j] += dividends[j] * shares[j]
            shares[j] *= splits[j]
            now = (price[j] * (shares[j] / then_shares[j]) + (paid[j] - then_paid[j]) / then_shares[j]) / then_close[j]
            is_first, has_ended, has_price = np.isnan(then_close[j]), not np.isnan(ends[j]), not np.isnan(price[j])
            grown[j] = np.nan if is_first else (1.0 + ends[j] if has_ended else now)
            then_close[j] = price[j] if has_price else then_close[j]
            then_shares[j] = shares[j] if has_price else then_shares[j]
            then_paid[j] = paid[j] if has_price else then_paid[j]


@kernel
def forward_index_nb(
    close: NDArray[np.float64], growth: NDArray[np.float64], has_begun: NDArray[np.bool_], out: NDArray[np.float64]
) -> None:
    """Fill `out` with each asset's first price, grown; see `total_return.forward_index`.

    Parameters
    ----------
    close, growth : float64[n_bars, n_assets]
    has_begun : bool[n_assets], all False; modified in place
    out : float64[n_bars, n_assets], modified in place
    """
    for t in range(close.shape[0]):
        price, grown, index = close[t], growth[t], out[t]
        before = out[max(t - 1, 0)]
        for j in range(price.size):
            if has_begun[j]:
                index[j] = before[j] * (1.0 if np.isnan(grown[j]) else grown[j])
            else:
                has_begun[j] = not np.isnan(price[j])
                index[j] = price[j]


@kernel
def top_nb(
    values: NDArray[np.float64],
    taking_part: NDArray[np.bool_],
    k: int,
    keys: NDArray[np.uint64],
    out: NDArray[np.bool_],
) -> None:
    """Fill `out` with who is among the k highest; see `crosssection.top`.

    Looks for a number that k keys are above by halving an interval, since counting needs no branch and runs on
    several keys at once, which no sort does.

    Parameters
    ----------
    values : float64[n_bars, n_assets]
    taking_part : bool[n_bars, n_assets]
    k : int
    keys : uint64[n_assets], scratch
    out : bool[n_bars, n_assets], modified in place
    """
    for t in range(values.shape[0]):
        line, members, chosen = values[t], taking_part[t], out[t]
        fill_keys_nb(line, members, keys)
        low, high, n_above = np.uint64(0), np.uint64(0), 0
        for j in range(keys.size):
            high = max(high, keys[j])
        floor = low
        if count_above_nb(keys, low) > k:
            floor = high
            while high - low > np.uint64(1):
                middle = low + ((high - low) >> np.uint64(1))
                n = count_above_nb(keys, middle)
                if n > k:
                    low = middle
                else:
                    high, floor, n_above = middle, middle, n
                    if n == k:
                        break
        else:
            n_above = k
        for j in range(keys.size):
            chosen[j] = keys[j] > floor
        # Of those equal to the floor, the first fill up.
        for j in range(keys.size):
            if n_above >= k:
                break
            if keys[j] == floor:
                chosen[j] = True
                n_above += 1


@step
def fill_keys_nb(line: NDArray[np.float64], members: NDArray[np.bool_], keys: NDArray[np.uint64]) -> None:
    """Fill `keys` with whole numbers in the order of the values; 0 for who takes no part or has no value."""
    for j in range(line.size):
        # Adding zero makes a zero of -0.0, so that equal values have one key.
        bits = np.float64(line[j] + 0.0).view(np.uint64)
        sign = np.uint64(1) << np.uint64(63)
        key = ~bits if bits & sign != np.uint64(0) else bits | sign
        keys[j] = key if members[j] and not np.isnan(line[j]) else np.uint64(0)


@step
def count_above_nb(keys: NDArray[np.uint64], floor: np.uint64) -> int:
    """Return how many keys are above a number."""
    n = 0
    for j in range(keys.size):
        n += keys[j] > floor
    return n
