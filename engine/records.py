"""The records of a run: one structured type an event, of which everything else is derived."""

from __future__ import annotations

import numpy as np

ORDER, DELISTING = 0, 1
FILL_KINDS = ("order", "delisting")
DIVIDEND = 0
CASH_FLOW_KINDS = ("dividend",)

# One execution. Cash falls by quantity x reference_price + commission + spread + slippage.
FILL = np.dtype(
    [
        ("bar", np.int64),
        ("asset", np.int32),
        ("kind", np.int32),  # index into FILL_KINDS
        ("quantity", np.float64),  # signed units: bought > 0
        ("price", np.float64),  # ccy a unit, spread and slippage included
        ("reference_price", np.float64),  # the bar's own price
        ("commission", np.float64),  # ccy, as are the two below; never negative
        ("spread", np.float64),
        ("slippage", np.float64),
    ]
)

# One movement of cash that is no fill: amount = quantity x rate.
CASH_FLOW = np.dtype(
    [
        ("bar", np.int64),
        ("asset", np.int32),
        ("kind", np.int32),  # index into CASH_FLOW_KINDS
        ("amount", np.float64),  # ccy: received > 0
        ("quantity", np.float64),  # units held at the previous close
        ("rate", np.float64),  # ccy a unit
    ]
)

# One round trip of a lot, first in first out, in units as of its exit (after all splits in between).
TRADE = np.dtype(
    [
        ("asset", np.int32),
        ("is_open", np.bool_),  # still held: marked at the last close, nothing paid for leaving
        ("entry_bar", np.int64),
        ("exit_bar", np.int64),
        ("quantity", np.float64),  # signed units: long > 0
        ("entry_price", np.float64),  # fill prices, spread and slippage included
        ("exit_price", np.float64),
        ("pnl", np.float64),  # ccy: quantity x (exit - entry) less the commissions of both sides
        ("commission", np.float64),  # ccy of both sides, pro rata of their fills
        ("costs", np.float64),  # ccy: commission, spread and slippage of both sides
    ],
    align=True,
)
