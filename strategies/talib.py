"""Any function of TA-Lib on panels, asset by asset, and as a feature.

    from strategies.talib import talib_feature, talib_panel

    talib_panel("RSI", window.index, timeperiod=14)
    talib_panel("MACD", window.index, output="macdhist")
    FEATURES = {"adx_14": talib_feature("ADX", timeperiod=14)}

TA-Lib knows nothing of missing values: one inside an array makes everything after it missing. So each asset's own bars
are taken out, computed on, and put back; where one of the inputs is missing the result is missing, and the next bar
goes on from the one before. Splits it knows as little, so a feature gives it prices on the scale of the forward
total-return index, and volumes so that price times volume stays what was traded.

A strategy may use `talib_panel` like any other operation. TA-Lib is an extra: `pip install "quantlake[talib]"`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from strategies.errors import StrategyError
from strategies.features.feature import Feature
from strategies.features.prices import on_index_scale
from strategies.features.smoothing import FORGOTTEN
from strategies.panel import Panel, values_of
from strategies.window import Window

Floats = NDArray[np.float64]
_TRIAL_BARS = 4000
_TRIAL_STARTS = (400, 700, 1100, 1600)
_PRICES = ("open", "high", "low", "close", "volume")


def talib_panel(function: str, *inputs: Panel, output: str | None = None, **parameters: float) -> Panel:
    """Return what a function of TA-Lib makes of panels, one for each of its inputs in TA-Lib's order.

    Its first values, as many as its lookback, are missing on each asset. A function that looks back on all bars, such
    as EMA or RSI, depends on where the window begins: see `warmup_bars`.

    Parameters
    ----------
    output : the name of the wanted result, of a function with several
    parameters : of the function, such as timeperiod=14

    Raises
    ------
    StrategyError : TA-Lib is not installed, or has no such function, result or parameter; names the nearest
    """
    make = _function(function, output, parameters)
    panels = list(inputs)
    if not panels or not all(isinstance(panel, Panel) for panel in panels):
        raise StrategyError(f"{function} needs panels, such as window.index, was {inputs!r}")
    for panel in panels:
        panels[0]._operand(panel)  # refuses panels of two windows
    arrays = [np.asarray(values_of(panel), np.float64) for panel in panels]
    is_there: NDArray[np.bool_] = np.logical_and.reduce([~np.isnan(values) for values in arrays])
    result = np.full(arrays[0].shape, np.nan)
    for asset in range(is_there.shape[1]):
        own = is_there[:, asset]
        if own.any():
            result[own, asset] = make(*(np.ascontiguousarray(values[own, asset]) for values in arrays))
    return panels[0]._like(result)


def talib_feature(function: str, *, output: str | None = None, unit: str = "", **parameters: float) -> Feature:
    """Return a feature of a function of TA-Lib, on the bar's prices that TA-Lib itself would take.

    Its warm-up is measured, see `warmup_bars`; bars before it has passed have no value.

    Raises
    ------
    StrategyError : as `talib_panel`; or the function never forgets where history began, as a running total
    """
    talib = _talib()
    _function(function, output, parameters)
    compute: Callable[[Window], Panel] = partial(
        _on_window,
        function=function,
        output=output,
        parameters=tuple(sorted(parameters.items())),
        warmup=warmup_bars(function, output=output, **parameters),
        version=str(talib.__version__),
    )
    shown = ", ".join([f"{name}={value}" for name, value in sorted(parameters.items())] + ([output] if output else []))
    name = talib.abstract.Function(function).info["display_name"]
    return Feature(compute, compute.keywords["warmup"], unit, f"{name} ({shown})", f"TA-Lib {function}")  # type: ignore[attr-defined]


def warmup_bars(function: str, *, output: str | None = None, **parameters: float) -> int:
    """Return how many bars back a function of TA-Lib looks, until what lies before changes nothing that shows.

    It is TA-Lib's lookback, or more where a value turns out to depend on earlier bars. That is measured: on made-up
    prices, the same for everybody, history is begun at several bars, and the values are compared with those of all of
    it, to 1e-8 of the largest; a quarter more is added, since other prices move otherwise. What TA-Lib says itself is
    not enough: it calls some of its recursive functions unstable, MACD it does not.

    Raises
    ------
    StrategyError : as `talib_panel`; or the values still differ after thousands of bars
    """
    make = _function(function, output, parameters)
    names = _input_names(function)
    prices = _trial_prices()
    whole = make(*(prices[name] for name in names))
    if np.isnan(whole).all():
        raise StrategyError(
            f"{function} of TA-Lib has no value at common prices: use talib_panel on what it is meant for"
        )
    tolerance = FORGOTTEN * float(np.nanmax(np.abs(whole)))
    needed = _lookback(function, parameters)
    for start in _TRIAL_STARTS:
        late = make(*(np.ascontiguousarray(prices[name][start:]) for name in names))
        is_same = np.isclose(late, whole[start:], rtol=0.0, atol=tolerance, equal_nan=True)
        if not is_same[-1]:
            raise StrategyError(
                f"{function} depends on all bars since history began, so it is no feature: use talib_panel on the "
                "bars you mean, or a change of it over some bars"
            )
        differing = np.flatnonzero(~is_same)
        n_differing = int(differing[-1]) + 1 if differing.size else 0
        if n_differing > needed:
            needed = n_differing + n_differing // 4
    return needed


def _on_window(
    window: Window,
    function: str,
    output: str | None,
    parameters: tuple[tuple[str, float], ...],
    warmup: int,
    version: str,
) -> Panel:
    """Return a function of TA-Lib on a window's prices; the version is part of what the feature is."""
    inputs = [_price(window, name) for name in _input_names(function)]
    n_before = inputs[0].is_valid().expanding_sum()
    return talib_panel(function, *inputs, output=output, **dict(parameters)).where(n_before > warmup)


def _price(window: Window, name: str) -> Panel:
    traded = window.close.is_valid()
    if name == "close":
        return window.index.where(traded)
    if name == "volume":
        return window.volume * (window.close / window.index)
    return on_index_scale(window, {"open": window.open, "high": window.high, "low": window.low}[name]).where(traded)


def _function(function: str, output: str | None, parameters: dict[str, float]) -> Callable[..., Floats]:
    """Return a function from arrays without missing values to one result."""
    talib = _talib()
    if function not in talib.get_functions():
        raise StrategyError(f"TA-Lib has no function {function!r}{nearest(function, talib.get_functions())}")
    info = talib.abstract.Function(function).info
    for name in parameters:
        if name not in info["parameters"]:
            raise StrategyError(f"{function} of TA-Lib has no parameter {name!r}{nearest(name, info['parameters'])}")
    outputs = info["output_names"]
    if output is not None and output not in outputs:
        raise StrategyError(f"{function} of TA-Lib has no result {output!r}{nearest(output, outputs)}")
    if output is None and len(outputs) > 1:
        raise StrategyError(f"{function} of TA-Lib has several results: name one as output, of {', '.join(outputs)}")
    place = outputs.index(output) if output is not None else 0
    lookback = _lookback(function, parameters)

    def make(*arrays: Floats) -> Floats:
        try:
            found = getattr(talib, function)(*arrays, **parameters)
        except Exception as error:
            raise StrategyError(f"{function} of TA-Lib failed on {len(arrays)} inputs: {error}") from error
        chosen = found[place] if isinstance(found, tuple) else found
        values: Floats = np.array(chosen, np.float64)
        values[:lookback] = np.nan  # whole numbers, such as those of candlesticks, are 0 there
        return values

    return make


def _lookback(function: str, parameters: dict[str, float]) -> int:
    return int(_talib().abstract.Function(function, **parameters).lookback)


def _input_names(function: str) -> list[str]:
    """Return the prices that a function takes, in its order."""
    names: list[str] = []
    for value in _talib().abstract.Function(function).input_names.values():
        names += [value] if isinstance(value, str) else list(value)
    unknown = [name for name in names if name not in _PRICES]
    if unknown:
        raise StrategyError(f"{function} of TA-Lib takes {', '.join(unknown)}, which bars do not have: use talib_panel")
    return names


def _trial_prices() -> dict[str, Floats]:
    """Return made-up prices, the same each time."""
    random = np.random.default_rng(20240101)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.015, _TRIAL_BARS)))
    open_ = close * np.exp(random.normal(0.0, 0.006, _TRIAL_BARS))
    spread = np.exp(np.abs(random.normal(0.0, 0.006, (2, _TRIAL_BARS))))
    return {
        "open": open_,
        "high": np.maximum(open_, close) * spread[0],
        "low": np.minimum(open_, close) / spread[1],
        "close": close,
        "volume": random.lognormal(13.0, 0.5, _TRIAL_BARS),
    }


def _talib() -> Any:
    try:
        talib = import_module("talib")
        import_module("talib.abstract")
    except ImportError as error:
        raise StrategyError(
            'functions of TA-Lib need the extra of that name: pip install "quantlake[talib]"'
        ) from error
    return talib
