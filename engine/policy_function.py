"""What the function of a policy must be, before Numba is asked: a plain one, of six arguments, that ends."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dis import get_instructions
from types import CellType, FunctionType, ModuleType
from typing import Any

from engine.errors import InputError
from engine.settings import check_function

_ARGUMENTS = ("t", "bars", "account", "desk", "memory", "parameters")


def plain_function(name: str, value: Any) -> FunctionType:
    """Return the function of a policy, of one that Numba has compiled the one it was made from.

    Raises `InputError` where it is none, takes other arguments, is a generator or a coroutine, or where it or a
    function that it calls calls itself: how often is not known in advance, and a stack that is full ends the process.
    """
    function = getattr(value, "py_func", value)
    if not callable(function):
        raise InputError(f"a policy needs a function, was {type(value).__name__}")
    if not isinstance(function, FunctionType):
        raise InputError(f"policy {name!r} must be a plain function, was {type(value).__name__}")
    check_function(f"policy {name!r}", function, _ARGUMENTS)
    is_lazy = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if is_lazy or inspect.iscoroutinefunction(function):
        raise InputError(f"policy {name!r} must be a plain function, was one with yield or async")
    if inspect.signature(function).parameters.keys() - _names(function):
        raise InputError(f"policy {name!r} must be a function of ({', '.join(_ARGUMENTS)}), each of them named")
    _refuse_circles(name, function, ())
    return function


def _names(function: FunctionType) -> set[str]:
    """Return the arguments of a function that are given by place, and are neither optional nor gathered."""
    return {
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    }


def _refuse_circles(name: str, function: FunctionType, above: tuple[FunctionType, ...]) -> None:
    if function in above:
        raise InputError(f"policy {name!r} must not call itself, nor what it calls; {function.__name__!r} does")
    for called in _called_by(function):
        _refuse_circles(name, called, (*above, function))


def _called_by(function: FunctionType) -> Iterator[FunctionType]:
    """Yield the compiled functions that a function names, and itself where it does; no others would compile."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    value: Any = None
    for step in get_instructions(function):
        if step.opname == "LOAD_GLOBAL":
            value = function.__globals__.get(step.argval)
        elif step.opname == "LOAD_DEREF" and step.argval in cells:
            value = _content(cells[step.argval])
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            value = getattr(value, step.argval, None) if isinstance(value, ModuleType) else None
        else:
            continue
        called = getattr(value, "py_func", value if value is function else None)
        if isinstance(called, FunctionType) and not called.__module__.startswith("engine."):
            yield called


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # Not bound yet.
        return None
