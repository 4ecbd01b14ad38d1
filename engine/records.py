"""The records of a run: one structured type an event, of which everything else is derived."""

from __future__ import annotations

import numpy as np

FILL_KINDS = (
    "target",
    "market",
    "moo",
    "moc",
    "limit",
    "stop",
    "stop_limit",
    "trailing_stop",
    "stop_loss",
    "take_profit",
    "trailing_loss",
    "time_stop",
    "liquidation",
    "delisting",
)
(
    TARGET,
    MARKET,
    MOO,
    MOC,
    LIMIT,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_LOSS,
    TIME_STOP,
    LIQUIDATION,
    DELISTING,
) = range(len(FILL_KINDS))
ORDER_KINDS = FILL_KINDS[MARKET : TRAILING_STOP + 1]

CASH_FLOW_KINDS = ("dividend", "borrow", "debit_interest", "cash_interest", "cash_in_lieu")
DIVIDEND, BORROW, DEBIT_INTEREST, CASH_INTEREST, CASH_IN_LIEU = range(len(CASH_FLOW_KINDS))

REASONS = ("no_cash", "margin", "no_position", "delisted", "margin_call", "below_lot")
NO_CASH, MARGIN, NO_POSITION, DELISTED, MARGIN_CALL, BELOW_LOT = range(len(REASONS))

STATUSES = ("open", "working", "filled", "expired", "cancelled", "rejected")
WAITING, WORKING, FILLED, EXPIRED, CANCELLED, REJECTED = range(len(STATUSES))

TIFS = ("gtc", "day", "ioc", "bars")
GTC, DAY, IOC, BARS = range(len(TIFS))

# One execution. Cash falls by quantity x reference_price + commission + fees + spread + slippage + impact.
FILL = np.dtype(
    [
        ("bar", np.int64),
        ("asset", np.int32),
        ("kind", np.int32),  # index into FILL_KINDS
        ("order", np.int64),  # number of the order, -1: of a target, a level of Risk, a liquidation or a delisting
        ("quantity", np.float64),  # signed units: bought > 0
        ("price", np.float64),  # ccy a unit, spread, slippage and impact included
        ("reference_price", np.float64),  # the market's own price
        ("commission", np.float64),  # ccy, as are those below; never negative
        ("fees", np.float64),
        ("spread", np.float64),
        ("slippage", np.float64),
        ("impact", np.float64),
    ]
)

# One movement of cash that is no fill.
CASH_FLOW = np.dtype(
    [
        ("bar", np.int64),
        ("asset", np.int32),  # -1: of the account
        ("kind", np.int32),  # index into CASH_FLOW_KINDS
        ("amount", np.float64),  # ccy: received > 0
        ("quantity", np.float64),  # units (of the account: cash) it was computed from
        ("rate", np.float64),  # amount = quantity x rate
    ]
)

# One order, or target, or part of one that was refused.
REJECTION = np.dtype(
    [
        ("bar", np.int64),
        ("asset", np.int32),
        ("reason", np.int32),  # index into REASONS
        ("order", np.int64),  # -1: of a target
        ("quantity", np.float64),  # signed units refused
    ]
)

# One instruction and how far it came. Units and prices are those of the last bar (after all splits).
ORDER = np.dtype(
    [
        ("bar", np.int64),  # decided at
        ("asset", np.int32),
        ("kind", np.int32),  # index into FILL_KINDS, MARKET to TRAILING_STOP
        ("quantity", np.float64),  # signed units
        ("limit_price", np.float64),  # NaN where the kind has none, as are the three below
        ("stop_price", np.float64),
        ("trail", np.float64),  # ccy
        ("trail_rate", np.float64),  # fraction of the reference
        ("tif", np.int32),  # index into TIFS
        ("tif_bars", np.int32),
        ("oco_group", np.int64),  # number of the group's first order, -1: none, as is the one below
        ("parent", np.int64),
        ("status", np.int32),  # index into STATUSES
        ("is_triggered", np.int32),  # a stop_limit that became a limit
        ("active_bar", np.int64),  # the first bar it worked in, -1: none yet
        ("met_bar", np.int64),  # the last bar whose open or close it met
        ("met_slice", np.int64),  # the last bar, or finer bar, that it was met inside of
        ("rest", np.float64),  # signed units not filled
        ("reference", np.float64),  # what a trailing stop trails
        ("size_filled", np.float64),  # units and value (ccy) filled, for commissions over several fills
        ("value_filled", np.float64),
        ("commission", np.float64),  # ccy paid so far, and the part of it by tiers
        ("tiers", np.float64),
        ("is_group_filled", np.int32),  # of the first order of a group: whether one of its orders has filled
        ("began", np.int64),  # when in its first bar it began to work: 0 before, 1 at its open, 2 inside
        ("begin_price", np.float64),  # the market's price then
    ],
    align=True,
)

# One round trip of a lot in units as of its exit (after all splits in between).
TRADE = np.dtype(
    [
        ("asset", np.int32),
        ("is_open", np.bool_),  # still held: marked at the last close, nothing paid for leaving
        ("entry_kind", np.int8),  # index into FILL_KINDS
        ("exit_kind", np.int8),  # -1: still open
        ("entry_bar", np.int64),
        ("exit_bar", np.int64),
        ("n_bars", np.int64),  # exit_bar - entry_bar
        ("quantity", np.float64),  # signed units: long > 0
        ("entry_price", np.float64),  # fill prices, all costs but commission and fees included
        ("exit_price", np.float64),
        ("pnl", np.float64),  # ccy: quantity x (exit - entry) less the commissions and fees of both sides
        ("return_rate", np.float64),  # pnl / |quantity x entry_price|
        ("commission", np.float64),  # ccy of both sides, fees included, pro rata of their fills
        ("costs", np.float64),  # ccy: all costs of both sides
        ("mae", np.float64),  # ccy: worst open P&L at the lows of its bars (highs if short), at most 0
        ("mfe", np.float64),  # ccy: best, at least 0
    ],
    align=True,
)

# One fall of equity below its running peak.
DRAWDOWN = np.dtype(
    [
        ("peak_bar", np.int64),  # -1: the initial cash
        ("start_bar", np.int64),  # the first bar below the peak
        ("trough_bar", np.int64),
        ("end_bar", np.int64),  # the bar that reached the peak again, or the last bar
        ("is_open", np.bool_),
        ("depth", np.float64),  # trough / peak - 1
        ("peak", np.float64),  # ccy
        ("trough", np.float64),
    ],
    align=True,
)
