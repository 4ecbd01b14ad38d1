"""Settings under which the engine does what another backtesting package does.

A profile is an `Execution`; where a package's rules are costs or belong to the account, `profile_costs` and
`profile_account` hold its defaults. `tests/parity` runs the packages themselves and agrees with them to 1e-9 in
fixed units; `tests/parity/README.md` lists where no setting can agree, and why. `engine.adapters` runs the same
decisions in the package that is installed.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.account import Account
from engine.costs import Costs
from engine.execution import Execution
from engine.settings import listed, shown


def vectorbt() -> Execution:
    """Return the rules of vectorbt 1.2, `Portfolio.from_signals` and `from_orders`.

    Reproduced: fills at the close of the signal's bar (price=inf), sizes in units or in fractions of the group's
    value before the bar's orders, shared cash, fees of value plus a fixed one, slippage on signals; stop loss,
    trailing stop and take profit from the bar after the entry, at the open beyond a level, free of slippage
    (stop_exit_price="stoplimit"), measured from the fill price (stop_entry_price="fillprice"), the stop tested
    before the profit. For fills at the next open shift signals by a bar there and take `timing="next_open"` here.

    Not reproduced: a signal on the bar on which a stop was hit is dropped there and traded here; where cash is
    short for several buys vectorbt serves them one by one and we scale all; levels from the signal bar's close
    (stop_entry_price="close", its default) differ by the slippage of the entry.
    """
    return Execution(
        timing="same_close",
        intrabar="stops_first",
        children_from="next_bar",
        stop_slippage=False,
        limit_slippage=False,
    )


def backtrader() -> Execution:
    """Return the rules of backtrader 1.9's `BackBroker`.

    Reproduced: market orders at the next open; limits and stops at their price, at the open where it is beyond;
    stop-limit and trailing orders; brackets whose exits work from the bar after the entry, the stop first; OCO
    groups; slippage that stays within the bar (slip_out=False) and off the fills of limits inside the bar.
    `timing="same_close"` is its cheat-on-close.

    Not reproduced: orders are tested in the order of their submission, whatever their kind, and cash is checked
    one order after another and once more at submission, at the decision's close; a sale at a limit that gaps may
    slip below the bar's low; a triggered stop-limit slips beyond its limit, and one with the limit on the far
    side of the stop waits for the next bar where the bar's body points away from the limit; Close orders.
    """
    return Execution(
        cash_policy="reject",
        intrabar="stops_first",
        children_from="next_bar",
        slip_within_bar=True,
        trail_on_close=True,
    )


def backtesting_py() -> Execution:
    """Return the rules of backtesting.py 0.6.

    Reproduced: whole units; market orders at the next open (`timing="same_close"`: trade_on_close=True); limit,
    stop and stop-limit entries; stop loss and take profit of an entry, from the entry's own bar after a market
    order, the stop first.

    Not reproduced: its spread is paid by entries alone; fixed commissions are charged by trade, not by order;
    opposite orders close single trades first in first out and take their exits with them, which here are orders
    of their own; sizes below 1 are fractions of the margin left.
    """
    return Execution(
        lot_size=1.0,
        cash_policy="reject",
        intrabar="stops_first",
        children_from="market",
    )


def zipline() -> Execution:
    """Return the rules of zipline-reloaded 3.2 with daily bars and its default slippage.

    Reproduced: whole shares; an order fills at the CLOSE of the bar after its decision, and limits and stops look
    at closes only; at most 10 % of the bar's volume, the rest the bar after; no check of cash
    (`profile_account`: without a limit in practice); splits with cash for fractions, dividends on their pay date.
    Its older default, VolumeShareSlippage(0.025, 0.1), is participation_rate=0.025 with
    Costs(volume_share_impact=0.1, volume_share_limit=0.025).

    Not reproduced: fractions of a split are paid at the cost basis rounded to cents; prices of resting orders are
    rounded to cents by a split; a limit order whose impact would pass the limit waits there, and pays less impact
    here; several orders of one asset in one bar share its volume in the order of their placement, and each
    pays the impact of all before it; a bar without volume fills nothing even without a limit on participation.
    """
    return Execution(
        timing="next_close",
        participation_rate=0.1,
        lot_size=1.0,
        cash_policy="margin",
        children_from="next_bar",
        cash_in_lieu=True,
    )


def lean() -> Execution:
    """Return the rules of LEAN's equity fill model with daily bars.

    Reproduced: whole shares; market orders at the next open; stops at their price less slippage, at the open
    where it is beyond; limits only where the bar trades through them, free of slippage; trailing stops that follow
    the bar's extreme after its test; orders beyond the buying power refused (`profile_account`: twice the equity).

    Not reproduced: fills from quotes; a triggered stop-limit, which LEAN fills at min(high, limit) once the
    close is below the limit; settlement; its margin calls at 110 % of the margin.
    """
    return Execution(
        lot_size=1.0,
        cash_policy="margin",
        children_from="next_bar",
        limit_touch=False,
        limit_slippage=False,
    )


PROFILES: dict[str, Callable[[], Execution]] = {
    "backtesting.py": backtesting_py,
    "backtrader": backtrader,
    "lean": lean,
    "vectorbt": vectorbt,
    "zipline": zipline,
}
# Interactive Brokers' schedule as LEAN has it: its minimum beats its maximum. All others but zipline charge nothing.
_COSTS = {
    "lean": Costs(
        commission_per_share=0.005, commission_min=1.0, commission_max_rate=0.005, commission_min_beats_max=True
    ),
    "zipline": Costs(commission_per_share=0.001, slippage_bps=5.0),
}
_ACCOUNTS = {
    "backtesting.py": Account(cash=10_000.0),
    "backtrader": Account(cash=10_000.0),
    "lean": Account(cash=100_000.0, leverage=2.0),
    "vectorbt": Account(cash=100.0),
    "zipline": Account(cash=10_000_000.0, leverage=1e6, dividends_on="pay_date"),
}


def profile(name: str) -> Execution:
    """Return the execution rules of a package by name: backtesting.py, backtrader, lean, vectorbt or zipline.

    Raises
    ------
    InputError
        There is no such profile; the text names the nearest one.
    """
    return PROFILES[_checked(name)]()


def profile_costs(name: str) -> Costs:
    """Return the costs a package charges when nothing is said; raises `InputError` as `profile` does."""
    return _COSTS.get(_checked(name), Costs())


def profile_account(name: str) -> Account:
    """Return the account a package starts with when nothing is said; raises `InputError` as `profile` does."""
    return _ACCOUNTS[_checked(name)]


def _checked(name: str) -> str:
    return listed(f"there is no profile {shown(name)}", name, PROFILES)
