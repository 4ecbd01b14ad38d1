"""Interest and borrow fees on what was held overnight."""

from __future__ import annotations

from engine.jit import step
from engine.kernels.book import move_cash_nb
from engine.kernels.state import (
    HELD,
    SHORT,
    Book,
    Records,
    Rules,
)
from engine.records import BORROW, CASH_INTEREST, DEBIT_INTEREST


@step
def note_overnight_nb(book: Book) -> None:
    """Keep the cash and the short positions of the previous close; `book` is modified in place."""
    book.state.overnight_cash = book.state.cash
    n_short = 0
    for i in range(book.state.n_held):
        asset = book.lists[HELD, i]
        if book.position[asset] < 0.0:
            book.lists[SHORT, n_short] = asset
            book.holding[asset]["short_units"] = book.position[asset]
            book.holding[asset]["short_mark"] = book.mark[asset]
            n_short += 1
    book.state.n_short = n_short


@step
def charge_overnight_nb(book: Book, nights: int, t: int, rules: Rules, records_out: Records) -> None:
    """Charge borrow fees and interest for some nights on what `note_overnight_nb` kept; rates are a night's."""
    if rules.borrow_rate > 0.0:
        for i in range(book.state.n_short):
            asset = book.lists[SHORT, i]
            units = book.holding[asset]["short_units"]
            rate = book.holding[asset]["short_mark"] * rules.borrow_rate * nights
            move_cash_nb(book, asset, BORROW, units * rate, units, rate, t, records_out)
    cash = book.state.overnight_cash
    if cash > 0.0 and rules.cash_rate != 0.0:
        rate = rules.cash_rate * nights
        move_cash_nb(book, -1, CASH_INTEREST, cash * rate, cash, rate, t, records_out)
    elif cash < 0.0 and rules.debit_rate != 0.0:
        rate = rules.debit_rate * nights
        move_cash_nb(book, -1, DEBIT_INTEREST, cash * rate, cash, rate, t, records_out)
