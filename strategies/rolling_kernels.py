"""The passes of `strategies.rolling` over a panel: block by block, a row of assets at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel, step

Floats = NDArray[np.float64]


@kernel
def rolling_sum_nb(values: Floats, n: int, tails: Floats, out: Floats) -> None:
    """Fill `out` with the sums of each column's last n values, NaN before there are n.

    Parameters
    ----------
    values : float64[n_bars, n_assets]
    n : int, at least 1
    tails : float64[n, n_assets], scratch
    out : float64[n_bars, n_assets], modified in place
    """
    n_bars = values.shape[0]
    for start in range(0, n_bars, n):
        end = min(start + n, n_bars)
        for t in range(start, end):
            row, before, head = values[t], out[max(t - 1, 0)], out[t]
            if t == start:
                for j in range(row.size):
                    head[j] = row[j]
            else:
                for j in range(row.size):
                    head[j] = before[j] + row[j]
        # From the last bar on, since each head was made of the one before.
        for t in range(end - 1, start - 1, -1):
            if t - start < n - 1:
                join_sum_nb(tails[t - start + 1], out[t], start > 0)
        if end - start == n:
            copy_row_nb(values[end - 1], tails[n - 1])
            for t in range(end - 2, start - 1, -1):
                later, row, tail = tails[t - start + 1], values[t], tails[t - start]
                for j in range(row.size):
                    tail[j] = later[j] + row[j]


@kernel
def rolling_extreme_nb(values: Floats, n: int, sign: float, tails: Floats, out: Floats) -> None:
    """Fill `out` with the greatest (sign 1) or smallest (sign -1) of each column's last n values, as `rolling_sum_nb`.

    NaN where one of them is.
    """
    n_bars = values.shape[0]
    for start in range(0, n_bars, n):
        end = min(start + n, n_bars)
        copy_row_nb(values[start], out[start])
        for t in range(start + 1, end):
            extreme_row_nb(out[t - 1], values[t], sign, out[t])
        for t in range(end - 1, start - 1, -1):
            if t - start < n - 1:
                if start > 0:
                    extreme_row_nb(tails[t - start + 1], out[t], sign, out[t])
                else:
                    out[t] = np.nan
        if end - start == n:
            copy_row_nb(values[end - 1], tails[n - 1])
            for t in range(end - 2, start - 1, -1):
                extreme_row_nb(tails[t - start + 1], values[t], sign, tails[t - start])


@kernel
def rolling_variance_nb(values: Floats, n: int, ddof: int, tails: Floats, squares: Floats, out: Floats) -> None:
    """Fill `out` with the variances of each column's last n values, as `rolling_sum_nb`; see `rolling.rolling_std`.

    Parameters
    ----------
    tails, squares : float64[n + 1, n_assets], scratch: running sums, backwards and then forwards
    """
    n_bars = values.shape[0]
    forward, forward_squares = tails[tails.shape[0] - 1], squares[squares.shape[0] - 1]
    for start in range(0, n_bars, n):
        end = min(start + n, n_bars)
        first = values[start]
        for t in range(start, end):
            row, variance, i = values[t], out[t], t - start
            if i == 0:
                forward[:], forward_squares[:] = 0.0, 0.0
            for j in range(row.size):
                deviation = row[j] - first[j]
                forward[j] += deviation
                forward_squares[j] += deviation * deviation
            if i == n - 1:
                for j in range(row.size):
                    variance[j] = variance_nb(forward[j], forward_squares[j], n, ddof)
            elif start == 0:
                variance[:] = np.nan
            else:
                tail, tail_squares = tails[i + 1], squares[i + 1]
                for j in range(row.size):
                    total, total_squares = tail[j] + forward[j], tail_squares[j] + forward_squares[j]
                    variance[j] = variance_nb(total, total_squares, n, ddof)
        if end < n_bars:
            deviate_backwards_nb(values, start, n, values[end], tails, squares)


@step
def deviate_backwards_nb(values: Floats, start: int, n: int, first: Floats, tails: Floats, squares: Floats) -> None:
    """Write the running sums, backwards, of a block's deviations from a row, and of their squares."""
    for i in range(n - 1, -1, -1):
        row, tail, tail_squares = values[start + i], tails[i], squares[i]
        for j in range(row.size):
            deviation = row[j] - first[j]
            later = 0.0 if i == n - 1 else tails[i + 1, j]
            later_squares = 0.0 if i == n - 1 else squares[i + 1, j]
            tail[j] = later + deviation
            tail_squares[j] = later_squares + deviation * deviation


@step
def variance_nb(total: float, squares: float, n: int, ddof: int) -> float:
    """Return the variance of n values from the sums of their deviations from one number, and of these squared."""
    variance = (squares - total * total / n) / (n - ddof)
    return 0.0 if variance < 0.0 else variance


@step
def join_sum_nb(tail: Floats, head: Floats, is_there: bool) -> None:
    """Add the part of a window that lies in the block before, or make it NaN where there is none."""
    if is_there:
        for j in range(head.size):
            head[j] = tail[j] + head[j]
    else:
        head[:] = np.nan


@step
def copy_row_nb(row: Floats, out: Floats) -> None:
    """Copy a row."""
    for j in range(row.size):
        out[j] = row[j]


@step
def extreme_row_nb(one: Floats, other: Floats, sign: float, out: Floats) -> None:
    """Write the greater (sign 1) or smaller of two rows, NaN where one of them is."""
    for j in range(out.size):
        a, b = one[j], other[j]
        out[j] = a if sign * a >= sign * b or a != a else b
