"""Policies: strategies as compiled bar functions that place orders of any kind.

    from engine.policy import Policy, bracket

    def breakout(t, bars, account, desk, memory, parameters):
        n = int(parameters[0])
        if t >= n and account.position[0] == 0.0 and bars.close[-1, 0] > bars.high[-n - 1 : -1, 0].max():
            price = bars.close[-1, 0]
            bracket(desk, 0, 100.0, price * 0.98, price * 1.04)

    simulate(bars, Policy(breakout, parameters={"n": 20}))

The function is called at the close of every bar t, after the bar's fills, and returns nothing. It sees

bars        open, high, low, close, volume as float64[t + 1, n_assets]: what follows is not in them, and an index
            outside of them is an error
account     cash and equity (ccy), position (units) and mark (ccy) as float64[n_assets]
desk        where the functions of this module put its orders and targets
memory      float64[n_memory], zeros at first, kept from bar to bar: its only state
parameters  float64[n], in the order they were given

and is compiled by Numba: numbers, arrays, loops, NumPy functions, no other Python objects; what it has to keep stands
in `memory`. The engine calls it by its address, so a new
policy compiles in the fraction of a second that the function itself takes, and the bar loop not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.jit import is_compiling, kernel_of, step, user_function
from engine.kernels.desk import BAR, COUNT, AccountSeen, BarsSeen, Desk, Seen, new_order_nb
from engine.kernels.state import DONE, TOO_MANY_ORDERS, WRONG_ORDER
from engine.panels import place
from engine.records import LIMIT, MARKET, ORDER, STOP, STOP_LIMIT, TARGET, TRAILING_STOP

if TYPE_CHECKING:
    from engine.play import Capacity, Played, Setting

Floats = NDArray[np.float64]
Function = Callable[[int, BarsSeen, AccountSeen, Desk, Floats, Floats], None]
_FIRST_ORDERS = 1024
_NO_TARGETS = np.empty((0, 0))


@dataclass(frozen=True)
class Policy:
    """A bar function with its parameters.

    Parameters
    ----------
    function : callable
        As the module says; compiled when it first runs.
    parameters : mapping of name to number
        Handed to the function as float64[n], in this order.
    n_memory : int
        How many numbers the function may keep from bar to bar.

    Raises
    ------
    InputError
        When it runs: the function does not compile (with its name, the line and what is not supported), looks
        outside its arrays, or places what is no order.
    """

    function: Function
    parameters: Mapping[str, float] = field(default_factory=dict)
    n_memory: int = 16

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"a policy needs a function, was {type(self.function).__name__}")
        if not isinstance(self.n_memory, int) or self.n_memory < 0:
            raise InputError(f"n_memory must be zero or a positive whole number, was {self.n_memory!r}")
        for name, value in self.parameters.items():
            if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
                raise InputError(f"a parameter of a policy must be a number, {name} was {value!r}")

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def play(self, setting: Setting, capacity: Capacity) -> Played:
        """Return the state and the records after all bars; starts anew with more room where orders need it."""
        n_orders = _FIRST_ORDERS
        while True:
            played = self._play(setting, capacity, n_orders)
            if played is not None:
                return played
            n_orders *= 8

    def _play(self, setting: Setting, capacity: Capacity, n_orders: int) -> Played | None:
        from engine.play import Played, book_of, new_curves, no_plan

        n_bars, n_assets = setting.bars.close.shape
        book = book_of(n_assets, n_orders, int(setting.rules.latency), setting.events.bar.size)
        desk = Desk(np.empty(n_orders, dtype=ORDER), np.empty(n_assets), np.array([0, 0, 0, -1]))
        seen = Seen(np.empty(n_assets), np.empty(n_assets), np.zeros(self.n_memory))
        parameters = np.array(list(self.parameters.values()), dtype=np.float64)
        records, curves = capacity.records(), new_curves(n_bars)
        head = (book, setting.market, setting.finer, setting.events, no_plan())
        tail = (desk, seen, parameters, setting.rules, records, curves)
        function = compiled(self.function, self.name)
        try:
            status, bar, number = _loop(head, function, tail)(*head, function, *tail)
        except IndexError:
            bar = int(desk.numbers[BAR])
            raise InputError(
                f"policy {self.name!r} looked outside its arrays at {setting.bars.bar_end[bar]}: "
                f"bars have rows 0 to t ({bar}) there, memory has {self.n_memory} places, "
                f"parameters {parameters.size}, assets are 0 to {n_assets - 1}"
            ) from None
        if status == TOO_MANY_ORDERS:
            return None
        if status == WRONG_ORDER:
            raise InputError(_wrong_order(self.name, desk.orders[number], setting, bar))
        assert status == DONE
        orders = desk.orders[: desk.numbers[COUNT]].copy()
        return Played(book.state.copy(), book.mark.copy(), orders, records, curves)


@step
def market(desk: Desk, asset: int, quantity: float) -> int:
    """Order signed units at the next open; return the order's number."""
    return new_order_nb(desk, asset, quantity, MARKET)


@step
def limit(desk: Desk, asset: int, quantity: float, limit_price: float) -> int:
    """Order signed units at a price (ccy) or better; return the order's number."""
    number = new_order_nb(desk, asset, quantity, LIMIT)
    if number >= 0:
        desk.orders[number]["limit_price"] = limit_price
    return number


@step
def stop(desk: Desk, asset: int, quantity: float, stop_price: float) -> int:
    """Order signed units once the market has moved to a price (ccy) against them; return the order's number."""
    number = new_order_nb(desk, asset, quantity, STOP)
    if number >= 0:
        desk.orders[number]["stop_price"] = stop_price
    return number


@step
def stop_limit(desk: Desk, asset: int, quantity: float, stop_price: float, limit_price: float) -> int:
    """Order signed units at a limit once the market has reached a stop price (ccy); return the order's number."""
    number = new_order_nb(desk, asset, quantity, STOP_LIMIT)
    if number >= 0:
        desk.orders[number]["stop_price"] = stop_price
        desk.orders[number]["limit_price"] = limit_price
    return number


@step
def trailing_stop(desk: Desk, asset: int, quantity: float, trail_rate: float) -> int:
    """Order signed units at a stop that follows the best price at a fraction of it; return the order's number."""
    number = new_order_nb(desk, asset, quantity, TRAILING_STOP)
    if number >= 0:
        desk.orders[number]["trail_rate"] = trail_rate
    return number


@step
def target(desk: Desk, asset: int, units: float) -> None:
    """Want signed units of an asset from the next open on, as `TargetUnits` does."""
    if asset < 0 or asset >= desk.target.size or not abs(units) < np.inf:
        # What is no target is an order that is none, which ends the run with its words.
        new_order_nb(desk, asset, units, TARGET)
    else:
        desk.target[asset] = units


@step
def bracket(desk: Desk, asset: int, quantity: float, stop_price: float, limit_price: float) -> int:
    """Order signed units at the next open, and with their fill a stop and a target of which one cancels the other.

    Return the number of the entry; the stop has the next one, the target the one after that.
    """
    entry = new_order_nb(desk, asset, quantity, MARKET)
    loss = stop(desk, asset, -quantity, stop_price)
    profit = limit(desk, asset, -quantity, limit_price)
    if profit >= 0:
        desk.orders[loss]["parent"] = entry
        desk.orders[profit]["parent"] = entry
        desk.orders[loss]["oco_group"] = entry
        desk.orders[profit]["oco_group"] = entry
    return entry


def compiled(function: Function, name: str) -> Any:
    """Return the compiled function, once a function; raises `InputError` with the line and what is not supported."""
    if not is_compiling():
        return function
    key = getattr(function, "__code__", None)
    if key is None:
        raise InputError(f"policy {name!r} must be a plain function, was {type(function).__name__}")
    if function in _COMPILED:
        return _COMPILED[function]
    from numba.core import errors

    try:
        _COMPILED[function] = user_function(function, _signature())
    except errors.NumbaError as error:
        raise InputError(_compile_error(name, function, str(error))) from None
    return _COMPILED[function]


_COMPILED: dict[Any, Any] = {}


@lru_cache(maxsize=1)
def _signature() -> Any:
    """Return the Numba type of a policy: void(t, bars, account, desk, memory, parameters)."""
    import numba

    panel = np.empty((1, 1))
    panel.flags.writeable = False
    line = np.empty(1)
    seen = numba.typeof(BarsSeen(panel, panel, panel, panel, panel))
    account = numba.typeof(AccountSeen(1.0, 1.0, line, line))
    desk = numba.typeof(Desk(np.empty(1, dtype=ORDER), line, np.zeros(4, dtype=np.int64)))
    row = numba.typeof(line)
    return numba.types.void(numba.types.int64, seen, account, desk, row, row)


def _loop(head: tuple[Any, ...], function: Any, tail: tuple[Any, ...]) -> Any:
    """Return the bar loop for policies, compiled once for all of them."""
    from engine.kernels.bar_loop import policy_loop_nb

    if not is_compiling():
        return policy_loop_nb
    if "loop" not in _COMPILED:
        import numba

        result = numba.types.UniTuple(numba.types.int64, 3)
        types = [numba.typeof(value) for value in head]
        types += [numba.types.FunctionType(_signature()), *(numba.typeof(value) for value in tail)]
        _COMPILED["loop"] = kernel_of(policy_loop_nb, result(*types))
    return _COMPILED["loop"]


def _compile_error(name: str, function: Any, text: str) -> str:
    code = function.__code__
    lines = [
        int(line) for file, line in re.findall(r'File "([^"]+)", line (\d+)', text) if code.co_filename.endswith(file)
    ]
    where = f"line {lines[-1] if lines else code.co_firstlineno} of {code.co_filename}"
    said = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("During")]
    telling = ("Unknown", "No impl", "Untyped", "Cannot", "Use of", "Invalid")
    what = next((line for line in said if line.startswith(telling)), said[-1])
    return (
        f"policy {name!r} does not compile, {where}: {what}; a policy may use numbers, arrays, loops, NumPy functions "
        "and the functions of engine.policy, and no other Python object"
    )


def _wrong_order(name: str, order: Any, setting: Setting, bar: int) -> str:
    from engine.records import FILL_KINDS

    asset = int(order["asset"])
    kind = FILL_KINDS[order["kind"]] if 0 <= order["kind"] < len(FILL_KINDS) else f"kind {order['kind']}"
    n_assets = setting.bars.n_assets
    at = place((bar, asset), setting.bars.bar_end, setting.bars.symbols) if 0 <= asset < n_assets else f"asset {asset}"
    prices = {key: float(order[key]) for key in ("limit_price", "stop_price", "trail", "trail_rate")}
    given = ", ".join(f"{key} {value:g}" for key, value in prices.items() if not np.isnan(value))
    return (
        f"policy {name!r} placed what is no order: an order needs an asset, a quantity that is finite and not zero, "
        f"the positive prices of its kind and a parent before it; was {kind} of "
        f"{order['quantity']:g}{', ' + given if given else ''} for {at}"
    )
