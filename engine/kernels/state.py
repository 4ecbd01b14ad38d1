"""What the kernels pass to each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.bounds import MOST_TIERS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NEXT_OPEN, SAME_CLOSE = 0, 1
SCALE, REJECT, MARGIN_POLICY = 0, 1, 2
PESSIMISTIC, OHLC, OLHC, ADAPTIVE, STOPS_FIRST = 0, 1, 2, 3, 4
SAME_BAR, NEXT_BAR, AFTER_MARKET = 0, 1, 2

# The moments of a bar, in order.
OPENING, IN_BAR, CLOSING, BAR_END, SAME_BAR_CLOSE = range(5)

# Ends of the bar loop.
DONE, UNPRICED, TOO_MANY_ORDERS, WRONG_ORDER, UNCOUNTABLE = range(5)

# What impact is measured by, before the bar.
LIQUIDITY = np.dtype([("sigma", np.float64), ("adv", np.float64)])  # deviation of returns, mean volume
# A bar's place in time.
CALENDAR = np.dtype([("session", np.int64), ("month", np.int64), ("nights", np.int64)])  # nights since the bar before


class Market(NamedTuple):
    """Prices float64[n_bars, n_assets], NaN where an asset has no bar, and the calendar of the bars."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    liquidity: NDArray[Any]  # [n_bars, n_assets] LIQUIDITY; [0, 0] where no impact is charged
    calendar: NDArray[Any]  # [n_bars] CALENDAR; [0] where nothing asks
    has_gaps: bool


class Finer(NamedTuple):
    """Finer bars and, for each bar, the first of them and the one after the last; empty where there are none."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    start: Integers  # [n_bars + 1]
    is_used: bool


class Plan(NamedTuple):
    """Targets: the bars that hold any, the row of each bar in `values`, and float64[n_rows, n_assets] values."""

    bar: Integers
    row: Integers
    values: Floats  # NaN: leave alone
    is_weight: bool


# Settings of account, costs, execution and risk as plain numbers; rates are fractions.
RULES = np.dtype(
    [
        ("cash", np.float64),
        ("leverage", np.float64),
        ("allow_short", np.bool_),
        ("maintenance_margin", np.float64),
        ("cash_rate", np.float64),  # a night, as are the two below
        ("debit_rate", np.float64),
        ("borrow_rate", np.float64),
        ("pays_on_ex_date", np.bool_),
        ("commission_rate", np.float64),
        ("commission_fixed", np.float64),
        ("commission_per_share", np.float64),
        ("commission_min", np.float64),
        ("commission_max_rate", np.float64),
        ("min_beats_max", np.bool_),
        ("sell_fee_rate", np.float64),
        ("sell_fee_per_share", np.float64),
        ("sell_fee_max", np.float64),
        ("spread_rate", np.float64),  # half the quoted spread
        ("slippage_rate", np.float64),
        ("slippage_ccy", np.float64),  # ticks x tick size
        ("impact", np.float64),
        ("volume_share_impact", np.float64),
        ("volume_share_limit", np.float64),
        ("timing", np.int64),
        ("latency", np.int64),
        ("participation", np.float64),
        ("lot_size", np.float64),
        ("tick_size", np.float64),
        ("cash_policy", np.int64),
        ("intrabar", np.int64),
        ("children_from", np.int64),
        ("limit_touch", np.bool_),
        ("stop_slippage", np.bool_),
        ("limit_slippage", np.bool_),
        ("slip_within_bar", np.bool_),
        ("trail_on_close", np.bool_),
        ("cash_in_lieu", np.bool_),
        ("stop_loss", np.float64),
        ("take_profit", np.float64),
        ("trailing", np.float64),
        ("time_stop", np.int64),
        ("has_risk", np.bool_),
        ("has_financing", np.bool_),
        ("is_linear", np.bool_),  # costs of a buy grow in proportion to it, but for a fixed part
        ("is_plain", np.bool_),  # spread and slippage in proportion to the price, no other move of it
        ("is_proportional", np.bool_),  # a commission without tiers, minimum and maximum
        ("trades_at_opens", np.bool_),  # what is decided fills at the next open, and nothing else ever happens
        ("n_tiers", np.int64),
        ("tiers", np.float64, (MOST_TIERS, 2)),  # units a month from which, ccy a share
    ],
    align=True,
)
Rules = Any  # a record of RULES


class Records(NamedTuple):
    """What a run writes down; a record past the end of its array is counted, not written."""

    fills: NDArray[Any]
    cash_flows: NDArray[Any]
    rejections: NDArray[Any]


class Curves(NamedTuple):
    """The account at each bar's end, float64[n_bars] ccy."""

    equity: Floats
    cash: Floats
    exposure: Floats  # sum of |position x mark|


# Rows of Book.lists: assets held, where each stands there, with a pending target, short, to be looked into.
HELD, HELD_AT, PENDING, SHORT, AGENDA = range(5)
N_LISTS = 5
# Rows of Book.work.
N_PASSES = 8

# The account, the sums of what it paid (ccy), and the lengths of its lists and of its records.
STATE = np.dtype(
    [
        ("cash", np.float64),
        ("n_held", np.int64),
        ("n_pending", np.int64),
        ("n_live", np.int64),
        ("n_fills", np.int64),
        ("traded", np.float64),  # value of all fills
        ("commission", np.float64),
        ("fees", np.float64),
        ("spread", np.float64),
        ("slippage", np.float64),
        ("impact", np.float64),
        ("month_units", np.float64),  # units traded in `month`
        ("month", np.int64),
        ("overnight_cash", np.float64),  # at the previous close
        ("n_short", np.int64),
        ("n_late", np.int64),
        ("n_liquidations", np.int64),
        ("n_cash_flows", np.int64),
        ("n_rejections", np.int64),
        ("n_ambiguous", np.int64),
        ("ambiguous_ccy", np.float64),
        ("next_order", np.int64),  # the first order that was not decided yet
        ("n_orders", np.int64),
        ("n_children", np.int64),
        ("next_payment", np.int64),  # place in Events.pay_order
        ("n_unpaid", np.int64),
        ("n_delisted", np.int64),
    ],
    align=True,
)

# What is kept of an asset beside its position, mark and target.
HOLDING = np.dtype(
    [
        ("entry_price", np.float64),  # average fill price of the position, kept where Risk asks
        ("extreme", np.float64),  # highest high since entry (lowest low if short), at least the entry price
        ("entry_bar", np.int64),
        ("entered", np.int64),  # when in its bar the position was entered: BEFORE, AT_OPEN, INSIDE
        ("began_bar", np.int64),  # the bar it was enlarged in last, and when in it
        ("began", np.int64),
        ("begin_price", np.float64),  # and the market's price then
        ("exit_kind", np.int64),  # an exit of Risk that volume has limited, -1: none
        ("liquidation", np.float64),  # units to come down to, NaN: none
        ("used", np.float64),  # units filled in bar `used_bar`
        ("used_bar", np.int64),
        ("size_filled", np.float64),  # of the pending target, as are the two below
        ("value_filled", np.float64),
        ("tiers", np.float64),
        ("exit_size", np.float64),  # the same of an exit of Risk or a liquidation
        ("exit_value", np.float64),
        ("exit_tiers", np.float64),
        ("queued", np.float64),  # units that wait with the group of their moment
        ("ahead", np.float64),  # scratch: units and position after what stands before in the group
        ("projected", np.float64),
        ("entry_kind", np.int64),  # kind of the fill that entered the position
        ("ambiguous_bar", np.int64),  # the last bar counted as ambiguous
        ("visited_bar", np.int64),  # the last bar whose inside was put on the agenda
        ("short_units", np.float64),  # units and mark at the previous close, where it was short
        ("short_mark", np.float64),
        ("is_listed", np.bool_),
    ],
    align=True,
)
# When in its bar something began to work; WITHIN: inside an earlier one of its finer bars.
BEFORE, AT_OPEN, INSIDE, WITHIN = range(4)
# A stop limit that was triggered in this bar without meeting its limit: a limit from the next bar on.
TRIGGERED_NOW = 2

# A buy (under the margin policy: whatever raises a position) that waits for the others of its moment.
QUEUED = np.dtype(
    [
        ("asset", np.int64),
        ("order", np.int64),
        ("kind", np.int64),
        ("quantity", np.float64),
        ("reference", np.float64),
        ("limit", np.float64),
    ],
    align=True,
)


class Book(NamedTuple):
    """The state of a run. Every array is modified in place.

    What is held, pending, live or short is also kept as a list, so that a bar costs what happens in it and not
    the number of assets.
    """

    state: Any  # record of STATE
    position: Floats  # [n_assets] units
    mark: Floats  # [n_assets] last price, NaN before an asset's first
    target: Floats  # [n_assets] pending units, NaN: none
    lists: Integers  # [N_LISTS, n_assets] of assets, by the rows named above
    holding: NDArray[Any]  # [n_assets] HOLDING
    late: Floats  # [latency, n_assets] targets that are not active yet, by decision bar modulo latency
    live: Integers  # [n_orders] numbers of the orders that have not ended, ascending
    group: NDArray[Any]  # [n_assets + n_orders] QUEUED, scratch
    due: Floats  # [n_events] dividends of the events, ccy, until they are paid
    work: Floats  # [N_PASSES, n_assets] what passes over all assets leave each other, scratch
