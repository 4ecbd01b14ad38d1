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

from engine.bounds import MOST_MEMORY, MOST_ORDERS
from engine.errors import InputError
from engine.jit import is_compiling, kernel_of, user_function
from engine.kernels.desk import BAR, COUNT, IS_FULL, AccountSeen, BarsSeen, Desk, Seen, new_desk
from engine.kernels.state import DONE, TOO_MANY_ORDERS, UNCOUNTABLE, WRONG_ORDER
from engine.policy_faults import fault_text
from engine.policy_function import plain_function
from engine.policy_orders import (
    NONE,
    bracket,
    cancel,
    cancel_all,
    cancel_asset,
    is_filled,
    is_open,
    is_rejected,
    limit,
    market,
    moc,
    moo,
    stop,
    stop_limit,
    target,
    trailing_stop,
    units_filled,
)
from engine.records import BARS, DAY, GTC, IOC
from engine.settings import number, shown, whole

if TYPE_CHECKING:
    from engine.play import Capacity, Played, Setting

__all__ = [
    "BARS",
    "DAY",
    "GTC",
    "IOC",
    "NONE",
    "Policy",
    "bracket",
    "cancel",
    "cancel_all",
    "cancel_asset",
    "is_filled",
    "is_open",
    "is_rejected",
    "limit",
    "market",
    "moc",
    "moo",
    "stop",
    "stop_limit",
    "target",
    "trailing_stop",
    "units_filled",
]

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
        How many numbers the function may keep from bar to bar, at most a million.

    Raises
    ------
    InputError
        It is no plain function of six arguments, or one that calls itself; a parameter is no number. When it runs: it
        does not compile (with its name, the line and what is not supported), looks outside its arrays, raises an
        error, places what is no order, or more than 8 million of them.
    """

    function: Function
    parameters: Mapping[str, float] = field(default_factory=dict)
    n_memory: int = 16

    def __post_init__(self) -> None:
        self.__dict__["function"] = plain_function(self.name, self.function)
        self.__dict__["n_memory"] = whole("n_memory", self.n_memory, low=0, high=MOST_MEMORY)
        if not isinstance(self.parameters, Mapping):
            raise InputError(f"parameters must be a mapping of names to numbers, was {shown(self.parameters)}")
        for name, value in self.parameters.items():
            _check_parameter(name, value)

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
            if n_orders == MOST_ORDERS:
                raise InputError(f"policy {self.name!r} must place at most {MOST_ORDERS} orders in a run, placed more")
            n_orders = min(8 * n_orders, MOST_ORDERS)

    def _play(self, setting: Setting, capacity: Capacity, n_orders: int) -> Played | None:
        from engine.play import Played, book_of, new_curves, no_plan

        n_bars, n_assets = setting.bars.close.shape
        book = book_of(n_assets, n_orders, setting.n_late, setting.events.bar.size)
        desk = new_desk(n_orders, n_assets, book.live)
        seen = Seen(np.empty(n_assets), np.empty(n_assets), np.zeros(self.n_memory))
        parameters = np.array(list(self.parameters.values()), dtype=np.float64)
        records, curves = capacity.records(), new_curves(n_bars)
        head = (book, setting.market, setting.finer, setting.events, no_plan())
        tail = (desk, seen, parameters, setting.rules, records, curves)
        function = compiled(self.function, self.name)
        try:
            status, bar, number = _loop(head, function, tail)(*head, function, *tail)
        except Exception as error:
            if desk.numbers[IS_FULL] == 1:
                return None
            bar = min(max(int(desk.numbers[BAR]), 0), n_bars - 1)
            at = setting.bars.bar_end[bar]
            if not isinstance(error, IndexError):
                words = f"raised {type(error).__name__} at {at}{f': {error}' if str(error) else ''}"
                raise InputError(f"policy {self.name!r} {words}") from error
            raise InputError(
                f"policy {self.name!r} looked outside its arrays at {at}: "
                f"bars have rows 0 to t ({bar}) there, memory has {self.n_memory} places, "
                f"parameters {parameters.size}, assets are 0 to {n_assets - 1}"
            ) from None
        if status == TOO_MANY_ORDERS:
            return None
        if status == WRONG_ORDER:
            raise InputError(f"policy {self.name!r} {fault_text(desk, number, setting.bars, bar)}")
        if status == UNCOUNTABLE:
            setting.refuse_money(curves)
        assert status == DONE
        orders = desk.orders[: desk.numbers[COUNT]].copy()
        return Played(book.state.copy(), book.mark.copy(), orders, records, curves)


def _check_parameter(name: Any, value: Any) -> None:
    if not isinstance(name, str):
        raise InputError(f"a parameter's name must be a text, was {shown(name)}")
    # A NaN or an infinity may mean something to the function; what becomes one by its size does not.
    if not isinstance(value, (float, np.floating)) or np.isfinite(value):
        number(f"the parameter {name} of a policy", value, rule="a number")


def compiled(function: Function, name: str) -> Any:
    """Return the compiled function, once a function; raises `InputError` with the line and what is not supported."""
    if not is_compiling():
        return function
    if function in _COMPILED:
        return _COMPILED[function]
    try:
        _COMPILED[function] = user_function(function, _signature())
    except Exception as error:
        # What Numba cannot compile ends in errors of many kinds, not all of them its own.
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
    desk = numba.typeof(new_desk(1, 1, np.empty(1, dtype=np.int64)))
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
    lines_said = (line.strip() for line in text.splitlines() if not line.startswith("During"))
    said = [line for line in lines_said if any(map(str.isalnum, line))] or ["Numba gives no reason"]
    telling = ("Unknown", "No impl", "No conversion", "Untyped", "Cannot", "Use of", "Invalid")
    what = next((line for line in said if line.startswith(telling)), said[-1])
    return (
        f"policy {name!r} does not compile, {where}: {what}; a policy may use numbers, arrays, loops, NumPy functions "
        "and the functions of engine.policy, and no other Python object"
    )
