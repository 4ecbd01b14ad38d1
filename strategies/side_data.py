"""Finds data a decision brings along from outside its window: tables, arrays, files.

Cutting a window shows what a decision would have been without the future; it cannot cut a table the decision
keeps to itself, and no experiment with the window can show whether that table knows the future. So such
tables are looked for in what the function can reach, and belong into the window as features, which are cut
with it.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from strategies.registry import Strategy, get_strategy

_FEW = 32  # fewer entries (weights, levels, a few symbols) hold no history worth leaking
_OURS = ("engine", "strategies")
_READERS = frozenset(
    (
        *("read_csv", "read_parquet", "read_feather", "read_json", "read_excel", "read_pickle", "read_sql"),
        *("read_table", "scan_csv", "scan_parquet", "loadtxt", "genfromtxt", "load", "memmap", "fromfile"),
        *("read_text", "read_bytes", "urlopen"),
    )
)
_GLOBAL_READERS = _READERS | {"open"}  # as an attribute, `open` is the window's
_DEPTH = 8

Reached = tuple[str, Any]


def find_side_data(decide: object) -> str | None:
    """Return in words the first table or file a decision function can reach on its own, None where it has
    none.

    Looked through are closures, defaults, globals and modules it names, bound objects, `functools.partial`,
    and functions reached so, except those of installed libraries and of quantlake itself (the library
    excepted).
    """
    waiting: list[tuple[str, Any, int]] = [("the decision", decide, 0)]
    seen: set[int] = set()
    while waiting:
        name, thing, depth = waiting.pop()
        if id(thing) in seen or depth > _DEPTH:
            continue
        seen.add(id(thing))
        found = _table(name, thing) or _reader(name, thing)
        if found is not None:
            return found
        waiting.extend((inner, value, depth + 1) for inner, value in _reached(name, thing))
    return None


def _table(name: str, thing: object) -> str | None:
    """Return words for a table: anything array-like, or a collection of numbers or dates, of `_FEW` entries
    or more."""
    kind = type(thing).__name__
    shape = getattr(thing, "shape", None)
    if isinstance(shape, tuple) and shape and all(isinstance(n, int) for n in shape):
        return f"{name} ({kind} of {' x '.join(map(str, shape))})" if max(shape) >= _FEW else None
    if kind in ("Panel", "Window", "Bars"):
        return f"{name} ({kind})"
    if isinstance(thing, Mapping | list | tuple | set | frozenset) and len(thing) >= _FEW:
        entries = [*thing.keys(), *thing.values()] if isinstance(thing, Mapping) else list(thing)
        n_values = sum(not isinstance(entry, str | type) and not callable(entry) for entry in entries)
        return f"{name} ({kind} of {len(thing)})" if n_values >= _FEW else None
    return None


def _reader(name: str, thing: object) -> str | None:
    """Return words for a function that reads a file."""
    if not isinstance(thing, types.FunctionType) or _is_known(thing.__module__):
        return None
    for instruction in _instructions(thing.__code__):
        readers = _GLOBAL_READERS if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") else _READERS
        if instruction.opname.startswith("LOAD_") and instruction.argval in readers:
            return f"what {name} reads with {instruction.argval}()"
    return None


def _reached(name: str, thing: object) -> Iterator[Reached]:
    """Yield what a thing leads to, each with a name for people."""
    if isinstance(thing, types.FunctionType):
        if not _is_known(thing.__module__):
            yield from _of_function(thing)
    elif isinstance(thing, types.MethodType):
        yield from [(name, thing.__func__), (name, thing.__self__)]
    elif isinstance(thing, functools.partial):
        yield from [(name, thing.func), *((name, value) for value in thing.args), *thing.keywords.items()]
    elif isinstance(thing, Strategy):
        yield thing.name, thing.function
    elif type(thing).__name__ == "Spec":
        yield name, get_strategy(getattr(thing, "strategy", ""))
    elif isinstance(thing, types.ModuleType):
        if not _is_known(thing.__name__):
            yield from ((f"{thing.__name__}.{key}", value) for key, value in vars(thing).items() if key[:2] != "__")
    elif isinstance(thing, Mapping):
        yield from ((f"{name}[{key!r}]", value) for key, value in thing.items())
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from ((name, value) for value in thing)
    elif not isinstance(thing, type) and not _is_known(type(thing).__module__):
        yield from ((f"{name}.{key}", value) for key, value in getattr(thing, "__dict__", {}).items())


def _of_function(function: types.FunctionType) -> Iterator[Reached]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a variable that is not assigned yet
            continue
    for instruction in _instructions(function.__code__):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and instruction.argval in function.__globals__:
            yield instruction.argval, function.__globals__[instruction.argval]
    yield from ((f"a default of {function.__name__}", value) for value in function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()


def _instructions(code: types.CodeType) -> Iterator[dis.Instruction]:
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _instructions(constant)


def _is_known(module: str | None) -> bool:
    """Return whether a module is Python's, an installed library's, or one of ours that decides nothing."""
    if not module or module.startswith("strategies.library."):
        return False
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names and root != "__main__":
        return True
    path = getattr(sys.modules.get(root), "__file__", None) or ""
    return root in _OURS or "site-packages" in path
