"""The state before the first bar."""

from __future__ import annotations

import numpy as np

from engine.jit import step
from engine.kernels.state import Book, Rules


@step
def reset_nb(book: Book, rules: Rules) -> None:
    """Put the book into its state before the first bar; scratch and lists are left as they are."""
    state = book.state
    state.cash = rules.cash
    state.n_held = 0
    state.n_pending = 0
    state.n_live = 0
    state.n_fills = 0
    state.traded = 0.0
    state.commission = 0.0
    state.fees = 0.0
    state.spread = 0.0
    state.slippage = 0.0
    state.impact = 0.0
    state.month_units = 0.0
    state.month = -1
    state.overnight_cash = 0.0
    state.n_short = 0
    state.n_late = 0
    state.n_liquidations = 0
    state.n_cash_flows = 0
    state.n_rejections = 0
    state.n_ambiguous = 0
    state.ambiguous_ccy = 0.0
    state.next_order = 0
    state.n_orders = 0
    state.n_children = 0
    state.next_payment = 0
    state.n_unpaid = 0
    state.n_delisted = 0
    for asset in range(book.position.size):
        book.position[asset] = 0.0
        book.mark[asset] = np.nan
        book.target[asset] = np.nan
        holding = book.holding[asset]
        holding["entry_price"] = 0.0
        holding["extreme"] = 0.0
        holding["entry_bar"] = -1
        holding["entered"] = 0
        holding["began_bar"] = -1
        holding["began"] = 0
        holding["begin_price"] = 0.0
        holding["exit_kind"] = -1
        holding["liquidation"] = np.nan
        holding["used"] = 0.0
        holding["used_bar"] = -1
        holding["size_filled"] = 0.0
        holding["value_filled"] = 0.0
        holding["tiers"] = 0.0
        holding["exit_size"] = 0.0
        holding["exit_value"] = 0.0
        holding["exit_tiers"] = 0.0
        holding["queued"] = 0.0
        holding["ahead"] = 0.0
        holding["projected"] = 0.0
        holding["entry_kind"] = 0
        holding["ambiguous_bar"] = -1
        holding["visited_bar"] = -1
        holding["is_listed"] = True
    for i in range(book.late.shape[0]):
        for asset in range(book.late.shape[1]):
            book.late[i, asset] = np.nan
    for i in range(book.due.size):
        book.due[i] = 0.0


@step
def expect_orders_nb(book: Book, orders: np.ndarray) -> None:
    """Count the orders that are given in advance, and those of them that wait for a parent."""
    book.state.n_orders = orders.size
    for number in range(orders.size):
        if orders[number]["parent"] >= 0:
            book.state.n_children += 1
