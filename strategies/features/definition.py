"""The definition of a feature as a hash: its numbers, its function, and whatever of this project that calls.

Two definitions with one hash compute the same. What counts is code: a comment or a docstring changed is no change. A
function counts with all it names in the project, however deep, and nothing else of its file, so that an edit to one
feature leaves its neighbours alone. What every feature stands on (windows, panels and what they compute with) counts
as whole files, `FOUNDATION`; that it is complete, a test shows by watching which files run.

Not part of it are the versions of Python, numpy and Numba: they may change last digits, not definitions.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from strategies.errors import StrategyError
from strategies.features.feature import Feature

_ROOT = Path(__file__).resolve().parents[2]
_OURS = ("strategies", "engine")
FOUNDATION = (
    *("strategies/window.py", "strategies/panel.py", "strategies/elementwise.py", "strategies/rolling.py"),
    "strategies/rolling_kernels.py",
    *("strategies/crosssection.py", "strategies/total_return.py", "strategies/kernels.py", "strategies/closed.py"),
    *("engine/bars.py", "engine/actions.py", "engine/panels.py", "engine/jit.py"),
)


def definition_hash(feature: Feature) -> str:
    """Return the sha256 (hex) of all that decides a feature's values but its inputs.

    Raises
    ------
    StrategyError : something in it cannot be named by its code, such as an object made when the program runs
    """
    own = inspect.unwrap(getattr(feature.function, "func", feature.function))
    if not _is_ours(getattr(own, "__module__", None)):
        raise StrategyError(f"a feature's function must be one of this project, was {own!r}")
    digest = hashlib.sha256(repr((feature.warmup_bars, feature.reads)).encode())
    digest.update(files_hash(FOUNDATION).encode())
    for part in sorted(set(_parts(feature.function))):
        digest.update(part.encode())
    return digest.hexdigest()


@cache
def files_hash(paths: tuple[str, ...]) -> str:
    """Return the sha256 (hex) of the code of Python files, named from the project's root."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.encode() + _code((_ROOT / path).read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def _parts(function: Any) -> Iterator[str]:
    """Yield a text for each function, class and constant that a function leads to, itself included."""
    waiting: list[tuple[str, Any]] = [("the feature", function)]
    seen: set[int] = set()
    while waiting:
        name, thing = waiting.pop()
        thing = inspect.unwrap(getattr(thing, "py_func", thing))  # of a compiled or cached function its Python
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, functools.partial):
            yield f"{name} called with {thing.args!r} {sorted(thing.keywords.items())!r}"
            _check_plain(name, (*thing.args, *thing.keywords.values()))
            waiting.append((name, thing.func))
        elif isinstance(thing, types.ModuleType):
            if _is_ours(thing.__name__):
                yield f"{thing.__name__}: {files_hash((_path_of(thing),))}"
        elif isinstance(thing, types.FunctionType | type):
            if _is_ours(thing.__module__) and _file(thing) not in FOUNDATION:
                source = _source(thing)
                yield f"{thing.__module__}.{thing.__qualname__}: {_code(source)}"
                waiting.extend(_named(thing, source))
        elif callable(thing):
            if _is_ours(type(thing).__module__):
                raise StrategyError(f"{name} is an object of {type(thing).__name__}: make a feature of functions only")
        else:
            _check_plain(name, (thing,))
            yield f"{name} = {_shown(thing)}"


def _named(thing: Any, source: str) -> Iterator[tuple[str, Any]]:
    """Yield what a function's or class's code names outside itself: globals, closures, defaults, own imports."""
    known: dict[str, Any] = {}
    if isinstance(thing, types.FunctionType):
        known |= inspect.getclosurevars(thing).nonlocals
        yield from ((f"a default of {thing.__name__}", value) for value in thing.__defaults__ or ())
        yield from ((f"default {name}", value) for name, value in (thing.__kwdefaults__ or {}).items())
        outside: Mapping[str, Any] = thing.__globals__
    else:
        outside = vars(import_module(thing.__module__))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            module = import_module(node.module)
            yield from ((alias.name, getattr(module, alias.name)) for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in known:
                yield node.id, known[node.id]
            elif node.id in outside:
                yield node.id, outside[node.id]


def _source(thing: Any) -> str:
    """Return the source of a function or class; of one without a name of its own, its whole file."""
    if "<lambda>" in thing.__qualname__:
        return Path(inspect.getfile(thing)).read_text(encoding="utf-8")
    return textwrap.dedent(inspect.getsource(thing))


def _code(source: str) -> str:
    """Return the code of a source as text that comments, docstrings and layout do not change."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _is_ours(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _OURS


def _file(thing: Any) -> str:
    return Path(inspect.getfile(thing)).resolve().relative_to(_ROOT).as_posix()


def _path_of(module: types.ModuleType) -> str:
    return Path(str(module.__file__)).resolve().relative_to(_ROOT).as_posix()


def _check_plain(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        if not isinstance(value, int | float | str | bytes | bool | tuple | frozenset | Mapping | list | type(None)):
            raise StrategyError(f"{name} is {type(value).__name__}: a feature is made of functions, numbers and texts")


def _shown(value: Any) -> str:
    return repr(sorted(value.items())) if isinstance(value, Mapping) else repr(value)
