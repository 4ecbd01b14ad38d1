"""The one place that configures Numba.

Compiled kernels are kept on disk in `<QUANTLAKE_HOME>/numba/<KERNELS_HASH>`. Numba's own cache notices an
edit to a kernel's file but not to a kernel it calls in another file, and would silently run the old code
(a documented limit): a folder named after the sources of all kernels cannot go stale.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from engine.hashing import KERNELS_HASH
from engine.kept_kernels import check_files

_CONFIG: Any = numba.config
Function = TypeVar("Function", bound=Callable[..., Any])


def cache_folder() -> Path | None:
    """Return the folder of the compiled kernels, or None where it cannot be written.

    `QUANTLAKE_HOME` names the home (default `./.quantlake`), `QUANTLAKE_KERNELS` another place, for homes that
    share their kernels. Both are read once, when the engine's kernels are first imported. None also when bounds
    are checked, since Numba's cache would answer with unchecked code.
    """
    if _CONFIG.BOUNDSCHECK or _CONFIG.DISABLE_JIT:
        return None
    base = os.environ.get("QUANTLAKE_KERNELS") or Path(os.environ.get("QUANTLAKE_HOME") or ".quantlake") / "numba"
    folder = Path(base).absolute() / KERNELS_HASH
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return None
    return folder


_CACHE = cache_folder()

# Without Numba's reference counts (`_nrt`) a kernel that allocates does not compile, and reading an array out of
# a named tuple is free: with them a fill costs 485 ns instead of 14.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "nogil": True}
# A step needs none of the doors that Numba would compile for callers outside: half the time of compiling.
_STEP_OPTIONS: dict[str, Any] = _OPTIONS | {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def kernel(function: Function) -> Function:
    """Compile a function over arrays and named tuples that Python calls, and keep it on disk.

    No Python objects, one thread, IEEE arithmetic: no fastmath, since NaN means something here and results are
    compared to the last bit. Division follows NumPy (x / 0 is inf or NaN) so that loops stay free of error
    checks; kernels guard their divisions themselves.
    """
    return _kept(lambda is_cached: numba.njit(cache=is_cached, **_OPTIONS)(function))  # type: ignore[no-any-return]


def kernel_of(function: Any, signature: Any) -> Any:
    """Compile a kernel for one signature at once, and keep it on disk."""
    compiled = _kept(lambda is_cached: numba.njit(cache=is_cached, **_OPTIONS)(function))
    if is_compiling():
        compiled.compile(signature)
        compiled.disable_compile()
    return compiled


def user_function(function: Any, signature: Any) -> Any:
    """Compile a user's function for one signature: it may allocate, and an index outside an array is an IndexError."""
    return numba.njit(signature, boundscheck=True, error_model="numpy", nogil=True)(function)


def is_compiling() -> bool:
    """Return whether kernels are compiled at all, or run as plain Python (NUMBA_DISABLE_JIT)."""
    return not _CONFIG.DISABLE_JIT


def _kept(compile_with: Callable[[bool], Any]) -> Any:
    """Compile with Numba's cache in our folder, or without one."""
    if _CACHE is None:
        return compile_with(False)
    # Numba reads the folder when it decorates. Set for longer, it would also redirect other libraries' caches.
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(_CACHE)
    try:
        return check_files(compile_with(True))
    finally:
        _CONFIG.CACHE_DIR = before


def step(function: Function) -> Function:
    """Compile a part of a kernel, called by kernels only: always inlined, so that passing the state is free."""
    return numba.njit(**_STEP_OPTIONS)(function)  # type: ignore[no-any-return]


def kept_step(function: Function) -> Function:
    """Compile a step of users' functions, and keep it on disk: what calls it is compiled anew in each process."""
    return _kept(lambda is_cached: numba.njit(cache=is_cached, **_STEP_OPTIONS)(function))  # type: ignore[no-any-return]
