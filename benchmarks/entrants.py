"""Contenders of the peers, with the modules each needs."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.peers import polars_frames
from benchmarks.runs import VECTORBT, VECTORBT_KERNELS, Contender, Prepare

POLARS_TOLERANCES = (2e-3, 3e-2)


def peer(name: str, prepare: Prepare, *needs: str) -> Contender:
    """Return the only form of a peer."""
    return Contender(name, prepare, name, needs)


def raptorbt(prepare: Prepare, name: str = "raptorbt", n_threads: int = 1) -> Contender:
    """Return a form of raptorbt."""
    return Contender(name, prepare, "raptorbt", ("raptorbt",), n_threads=n_threads)


def vectorbt_engines(form: str, prepare: Callable[[str], Prepare]) -> tuple[Contender, ...]:
    """Return a form of `vectorbt.Portfolio` on both of its engines."""
    return (
        Contender(f"vectorbt {form}, numba", prepare("numba"), VECTORBT, ("vectorbt",)),
        Contender(f"vectorbt {form}, rust", prepare("rust"), VECTORBT, ("vectorbt", "vectorbt_rust")),
    )


def vectorbt_callback(form: str, prepare: Prepare) -> Contender:
    """Return a form of `vectorbt.Portfolio` with callbacks, which need Numba."""
    return Contender(f"vectorbt {form}", prepare, VECTORBT, ("vectorbt",))


def kernel_engines(
    form: str, prepare: Callable[[str], Prepare], engines: tuple[str, ...] = ("numba", "rust")
) -> tuple[Contender, ...]:
    """Return a form of vectorbt's compiled functions on engines."""
    needs = {"numba": ("vectorbt",), "rust": ("vectorbt", "vectorbt_rust")}
    return tuple(
        Contender(f"vectorbt kernels {form}, {engine}", prepare(engine), VECTORBT_KERNELS, needs[engine])
        for engine in engines
    )


def kernel_callback(form: str, prepare: Prepare) -> Contender:
    """Return a form of vectorbt's compiled functions with callbacks."""
    return Contender(f"vectorbt kernels {form}", prepare, VECTORBT_KERNELS, ("vectorbt",))


def polars() -> tuple[Contender, ...]:
    """Return both engines over Polars frames for W4."""
    mosaic, wide = POLARS_TOLERANCES
    return (
        Contender(
            "polars_bt mosaic",
            polars_frames.mosaic,
            "polars_bt",
            ("polars", "polars_bt"),
            mosaic,
            polars_frames.MOSAIC_DIFFERS,
            n_threads=0,
        ),
        Contender(
            "polars_backtest wide",
            polars_frames.wide,
            "polars_backtest",
            ("polars", "polars_backtest"),
            wide,
            polars_frames.WIDE_DIFFERS,
            n_threads=0,
        ),
    )
