"""Strategies by name: one file `strategies/library/<name>.py` holding one `@strategy` function of that name.

    @strategy
    def buy_the_dip(window, *, lookback: int = 5):
        is_down = window.index.change(lookback) < 0.0
        return is_down.equal_weight()

Adding the file is all: it is found by its name. The keyword-only arguments with their defaults are the
strategy's parameters; what a spec, a search and the command line may set is read from them.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from engine.errors import nearest
from strategies.errors import StrategyError

if TYPE_CHECKING:
    from strategies.panel import Panel
    from strategies.window import Window

Value = int | float | bool | str
LIBRARY = Path(__file__).resolve().parent / "library"
_KINDS: dict[str, type[Value]] = {"int": int, "float": float, "bool": bool, "str": str}


@dataclass(frozen=True)
class Parameter:
    """A declared parameter: its kind (int, float, bool or str) and its default."""

    name: str
    kind: type[Value]
    default: Value

    def check(self, value: object) -> Value:
        """Return a value of this parameter's kind (a whole number is a float too), else raise
        StrategyError."""
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            raise StrategyError(f"{self.name} must be {self.kind.__name__}, was {value!r} ({type(value).__name__})")
        if isinstance(value, float) and not math.isfinite(value):
            raise StrategyError(f"{self.name} must be finite, was {value!r}")
        return value


@dataclass(frozen=True, eq=False)
class Strategy:
    """A decision function with its name and declared parameters; call it with a window to get target
    weights."""

    name: str
    function: Callable[..., Panel]
    parameters: Mapping[str, Parameter]

    @property
    def description(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def defaults(self) -> dict[str, Value]:
        """The parameters' default values."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def complete(self, values: Mapping[str, object]) -> dict[str, Value]:
        """Return all parameters: the values given, checked, and defaults for the others.

        Raises
        ------
        StrategyError : a parameter is unknown (the nearest is named) or of another kind than declared
        """
        for name in values:
            if name not in self.parameters:
                hint = nearest(str(name), self.parameters) or "; it has none"
                raise StrategyError(f"strategy {self.name} has no parameter {name!r}{hint}")
        given = {name: self.parameters[name].check(value) for name, value in values.items()}
        return {name: given.get(name, parameter.default) for name, parameter in self.parameters.items()}

    def __call__(self, window: Window, **values: Value) -> Panel:
        return self.function(window, **self.complete(values))


def strategy(function: Callable[..., Panel]) -> Strategy:
    """Declare a decision function: `window` first, then keyword-only parameters with a kind and a default.

    Raises
    ------
    StrategyError : the signature is another one, or a default is not of the declared kind
    """
    name = function.__name__
    arguments = list(inspect.signature(function).parameters.values())
    is_window = [a.kind is a.POSITIONAL_OR_KEYWORD and a.default is a.empty for a in arguments[:1]]
    if is_window != [True]:
        raise StrategyError(f"strategy {name} must take the window first, took {inspect.signature(function)}")
    others = arguments[1:]
    return Strategy(name, function, MappingProxyType({other.name: _declared(name, other) for other in others}))


def _declared(strategy_name: str, argument: inspect.Parameter) -> Parameter:
    at = f"parameter {argument.name!r} of strategy {strategy_name}"
    if argument.kind is not argument.KEYWORD_ONLY:
        raise StrategyError(f"{at} must be keyword-only: put it after a *")
    annotation = argument.annotation
    kind = _KINDS.get(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", ""))
    if kind is None:
        raise StrategyError(f"{at} must be declared as int, float, bool or str")
    if argument.default is argument.empty:
        raise StrategyError(f"{at} must have a default")
    parameter = Parameter(argument.name, kind, argument.default)
    try:
        return Parameter(argument.name, kind, parameter.check(argument.default))
    except StrategyError as error:
        raise StrategyError(f"the default of {at}: {error}") from None


def strategy_names() -> list[str]:
    """Return the names of all strategies in the library, sorted."""
    return sorted(path.stem for path in LIBRARY.glob("*.py") if not path.stem.startswith("_"))


def get_strategy(name: str) -> Strategy:
    """Return a strategy of the library by name.

    Raises
    ------
    StrategyError : there is none of this name (the nearest is named), or its file does not hold it
    """
    _file_of(name)
    found = getattr(importlib.import_module(f"strategies.library.{name}"), name, None)
    if not isinstance(found, Strategy) or found.name != name:
        raise StrategyError(f"strategies/library/{name}.py must hold a @strategy function named {name}")
    return found


def source_hash(name: str) -> str:
    """Return the sha256 (hex) of a strategy's file, line ends normalised: the version a run is recorded with."""
    return hashlib.sha256(_file_of(name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _file_of(name: str) -> Path:
    path = LIBRARY / f"{name}.py"
    if not name.isidentifier() or name.startswith("_") or not path.is_file():
        raise StrategyError(f"there is no strategy {name!r}{nearest(name, strategy_names())}")
    return path
