"""How large the numbers are that the engine takes; beyond these a run would end in infinities or without memory."""

from __future__ import annotations

# Prices, sizes and money: what is smaller or larger is a slip. Products of several of them still fit a float, where
# they neither become infinite nor lose their last digits.
LEAST = 1e-50
MOST = 1e50
# Equity, exposure and the value traded: their squares, and sums over all bars, still fit a float.
MOST_CCY = 1e150
# Bars of a window, a wait or a time in force, as a record of an order holds them.
MOST_BARS = 2**31 - 1
# Steps of a schedule of commissions: room in a record.
MOST_TIERS = 12
# Numbers that a policy keeps from bar to bar, and orders that it places in one run: two gigabytes of records.
MOST_MEMORY = 1_000_000
MOST_ORDERS = 2**23
# Trials of a sweep, three gigabytes of sums; and values or parameter sets that are listed one by one.
MOST_TRIALS = 20_000_000
MOST_LISTED = 2_000_000
MOST_THREADS = 1_024
# Resampled series: each is as much work as the series has bars.
MOST_SAMPLES = 10_000_000
MOST_SEED = 2**63 - 1
