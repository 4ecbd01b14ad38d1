"""Functions of TA-Lib on panels: asset by asset, over missing bars, and as features with a measured warm-up."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from strategies.errors import StrategyError
from strategies.features.definition import definition_hash
from strategies.lookahead import check
from strategies.panel import values_of
from strategies.talib import talib_feature, talib_panel, warmup_bars
from tests.strategies.feature_markets import market, part

talib = pytest.importorskip("talib", reason="TA-Lib is not installed: pip install 'quantlake[talib]'")


def test_each_asset_is_computed_alone_on_its_own_bars() -> None:
    window = market(300, 4, seed=1, missing=0.05)
    found = values_of(talib_panel("RSI", window.close, timeperiod=14))
    for asset in range(4):
        close = window._bars.close[:, asset]
        own = ~np.isnan(close)
        np.testing.assert_array_equal(found[own, asset], talib.RSI(close[own], 14))
        assert np.isnan(found[~own, asset]).all()


def test_a_missing_bar_poisons_talib_but_no_panel() -> None:
    window = market(200, 1, seed=2)
    holed = window.close.where(~(window.close == float(window._bars.close[50, 0])))
    assert np.isnan(talib.SMA(np.array(values_of(holed))[:, 0], 5)[50:]).all()
    found = values_of(talib_panel("SMA", holed, timeperiod=5))[:, 0]
    assert np.isnan(found[50]) and np.isfinite(found[51:]).all()
    np.testing.assert_allclose(found[51], np.delete(window._bars.close[46:52, 0], 4).mean(), rtol=1e-12)


def test_several_inputs_and_results_are_chosen_by_name() -> None:
    window = market(200, 2, seed=3)
    bars = window._bars
    found = values_of(talib_panel("MACD", window.close, output="macdhist", fastperiod=5))
    ranges = values_of(talib_panel("ATR", window.high, window.low, window.close))
    for asset in range(2):
        high, low, close = (np.ascontiguousarray(values[:, asset]) for values in (bars.high, bars.low, bars.close))
        np.testing.assert_array_equal(found[:, asset], talib.MACD(close, fastperiod=5)[2])
        np.testing.assert_array_equal(ranges[:, asset], talib.ATR(high, low, close))


def test_a_candlestick_has_no_value_before_its_lookback() -> None:
    window = market(60, 1, seed=4)
    found = values_of(talib_panel("CDLDOJI", window.open, window.high, window.low, window.close))
    assert np.isnan(found[:10]).all() and set(np.unique(found[10:])) <= {0.0, 100.0}


@pytest.mark.parametrize("function", ["EMA", "RSI", "ADX", "BBANDS", "SAR", "MFI", "CDLENGULFING", "MACD"])
def test_a_feature_does_not_depend_on_where_history_began_and_looks_at_nothing_later(function: str) -> None:
    output = {"BBANDS": "upperband", "MACD": "macd"}.get(function)
    feature = talib_feature(function, output=output)
    window = market(900, 3, seed=5)
    start = 450
    whole = values_of(feature.function(window))
    scale = np.nanmax(np.abs(whole[start:]), axis=0)
    late = part(window, slice(start - feature.warmup_bars, None))
    found = values_of(feature.function(late))[feature.warmup_bars :]
    if function in ("EMA", "BBANDS", "MACD", "SAR"):  # on the scale of the index, which began elsewhere
        level = values_of(window.index)[start] / values_of(late.index)[feature.warmup_bars]
        found = found * level
    assert np.isfinite(found).all() and np.isnan(values_of(feature.function(late))[: feature.warmup_bars]).all()
    np.testing.assert_allclose(found / scale, whole[start:] / scale, rtol=0.0, atol=1e-6)
    assert check(feature.function, market(420, 3, seed=6, missing=0.01), n_cuts=20).is_clean


def test_a_feature_sees_no_jump_at_a_split() -> None:
    window = market(500, 2, seed=7)
    assert (window._actions.split != 1.0).any()
    found = values_of(talib_feature("ROC", timeperiod=10).function(window))
    np.testing.assert_allclose(found[10:], 100.0 * values_of(window.index.change(10))[10:], rtol=1e-9)


def test_the_warmup_is_at_least_talibs_and_more_for_what_never_quite_forgets() -> None:
    assert warmup_bars("SMA", timeperiod=30) == 29
    assert 211 <= warmup_bars("EMA", timeperiod=30) <= 300
    assert warmup_bars("MACD", output="macd") > talib.abstract.Function("MACD").lookback + 100


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: talib_feature("OBV"), "OBV depends on all bars since history began"),
        (lambda: talib_feature("ACOS"), "no value at common prices"),
        (lambda: talib_feature("MAVP"), "takes periods, which bars do not have"),
        (lambda: talib_feature("MACD"), "several results: name one as output, of macd, macdsignal, macdhist"),
        (lambda: talib_feature("MACD", output="macdsig"), "did you mean 'macdsignal'"),
        (lambda: talib_feature("STOHC", output="slowk"), "no function 'STOHC'.*did you mean 'STOCH'"),
        (lambda: talib_feature("RSI", time_period=14), "did you mean 'timeperiod'"),
        (lambda: talib_panel("RSI"), "RSI needs panels"),
        (lambda: talib_panel("ATR", market(30, 1, seed=1).high), "ATR of TA-Lib failed on 1 inputs"),
        (lambda: talib_panel("RSI", market(30, 1, seed=1).close, timeperiod=-3), "RSI of TA-Lib failed"),
        (lambda: talib_panel("BETA", market(9, 1, seed=1).high, market(9, 1, seed=1).low), "panels of two windows"),
    ],
)
def test_what_talib_cannot_do_is_told(call, text: str) -> None:
    with pytest.raises(StrategyError, match=text):
        call()


def test_parameters_and_results_are_part_of_a_features_definition() -> None:
    hashes = {
        definition_hash(talib_feature(*name, **more))
        for name, more in [
            (("RSI",), {}),
            (("RSI",), {"timeperiod": 21}),
            (("MACD",), {"output": "macd"}),
            (("MACD",), {"output": "macdsignal"}),
        ]
    }
    assert len(hashes) == 4


def test_without_talib_the_error_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['talib'] = None\n"
        "from strategies.errors import StrategyError\nfrom strategies.talib import talib_feature\n"
        "try:\n    talib_feature('RSI')\nexcept StrategyError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert 'pip install "quantlake[talib]"' in done.stdout
