"""The values of the features: against pandas, TA-Lib and slow loops, which share no code with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from strategies.errors import StrategyError
from strategies.features import FAMILIES, FEATURES, compute
from strategies.features.smoothing import settling_bars
from strategies.panel import values_of
from strategies.window import Window
from tests.strategies.feature_markets import market
from tests.strategies.windows import bars_from_close, random_window


def frames(window: Window) -> dict[str, pd.DataFrame]:
    """Return the window's prices and actions as frames, and what follows from them: total returns and their index."""
    bars, actions = window._bars, window._actions
    found = {name: pd.DataFrame(getattr(bars, name)) for name in ("open", "high", "low", "close", "volume")}
    split, dividend = pd.DataFrame(actions.split), pd.DataFrame(actions.dividend)
    found["returns"] = (found["close"] * split + dividend) / found["close"].shift(1) - 1.0
    found["index"] = found["close"].iloc[0] * (1.0 + found["returns"].fillna(0.0)).cumprod()
    for name in ("high", "low"):
        found[f"index_{name}"] = found["index"] * found[name] / found["close"]
    return found


def pandas_features(window: Window) -> dict[str, pd.DataFrame]:
    f = frames(window)
    index, returns, close, traded = f["index"], f["returns"], f["close"], f["close"] * f["volume"]
    low, high = f["index_low"].rolling(55).min(), f["index_high"].rolling(55).max()
    momentum = index.shift(21) / index.shift(252) - 1.0
    volatility = returns.rolling(63).std()
    value_traded = traded.rolling(21).mean()
    gain, loss = index.diff().clip(lower=0.0), -index.diff().clip(upper=0.0)
    wilder = {"alpha": 1 / 14, "adjust": False}
    strength = gain.iloc[1:].ewm(**wilder).mean() / loss.iloc[1:].ewm(**wilder).mean()
    before = index.shift(1)
    true_range = np.maximum(f["index_high"], before) - np.minimum(f["index_low"], before)
    hl, co = np.log(f["high"] / f["low"]), np.log(close / f["open"])
    market_return = returns.mean(axis=1)
    filed = {name.removeprefix("filed."): pd.DataFrame(values) for name, values in window._features.items()}
    size = close * filed["shares"]
    return {
        "total_return": returns,
        "momentum_252_21": momentum,
        "momentum_126_21": index.shift(21) / index.shift(126) - 1.0,
        "reversal_21": -index.pct_change(21, fill_method=None),
        "rsi_14": (100.0 - 100.0 / (1.0 + strength)).reindex(index.index),
        "nearness_high_252": index / f["index_high"].rolling(252).max(),
        "distance_sma_50": index / index.rolling(50).mean() - 1.0,
        "distance_sma_200": index / index.rolling(200).mean() - 1.0,
        "sma_slope_50_21": index.rolling(50).mean().pct_change(21, fill_method=None),
        "ema_gap_12_26": index.ewm(span=12, adjust=False).mean() / index.ewm(span=26, adjust=False).mean() - 1.0,
        "donchian_position_55": (index - low) / (high - low),
        "volatility_21": returns.rolling(21).apply(lambda last: np.std(last, ddof=1), raw=True),
        "volatility_63": volatility,
        "downside_volatility_63": np.sqrt((returns.where(returns < 0.0, returns * 0.0) ** 2).rolling(63).mean()),
        "parkinson_21": np.sqrt((hl**2).rolling(21).mean() / (4.0 * np.log(2.0))),
        "garman_klass_21": np.sqrt((0.5 * hl**2 - (2.0 * np.log(2.0) - 1.0) * co**2).rolling(21).mean()),
        "atr_14": true_range.iloc[1:].ewm(**wilder).mean().reindex(index.index) / index,
        "beta_252": returns.apply(lambda own: own.rolling(252).cov(market_return) / market_return.rolling(252).var()),
        "dollar_volume_21": value_traded,
        "amihud_21": (returns.abs() / traded * 1e6).rolling(21).mean(),
        "volume_zscore_63": (traded - traded.rolling(63).mean()) / traded.rolling(63).std(),
        "turnover_trend_21_252": value_traded / traded.rolling(252).mean() - 1.0,
        **{
            f"rank_{name}": (ranked.rank(axis=1) - 1.0) / (ranked.notna().sum(axis=1).to_numpy()[:, None] - 1.0)
            for name, ranked in (
                ("momentum_252_21", momentum),
                ("volatility_63", volatility),
                ("dollar_volume_21", value_traded),
            )
        },
        "market_value": size,
        "earnings_yield": filed["net_income"] / size,
        "book_to_price": filed["equity"] / size,
        "return_on_equity": (filed["net_income"] / filed["equity"]).where(filed["equity"] > 0.0),
        "gross_profitability": filed["gross_profit"] / filed["assets"],
    }


def test_features_equal_those_of_pandas() -> None:
    window = market(800, 4, seed=1)
    found, expected = compute(window), pandas_features(window)
    assert set(found) == set(expected) == set(FEATURES)
    for name, values in expected.items():
        first = FEATURES[name].warmup_bars
        np.testing.assert_allclose(found[name][first:], values[first:], rtol=1e-7, atol=1e-9, err_msg=name)
        assert np.isnan(found[name][:first]).all(), name


def test_every_feature_says_what_it_is_and_where_that_comes_from() -> None:
    assert len(FEATURES) >= 20 and sum(map(len, FAMILIES.values())) == len(FEATURES)
    for name, feature in FEATURES.items():
        assert feature.unit and feature.source and feature.description and feature.reads, name


def test_relative_strength_true_range_and_averages_are_those_of_talib() -> None:
    talib = pytest.importorskip("talib", reason="TA-Lib is not installed: pip install 'quantlake[talib]'")
    window = market(700, 3, seed=4)
    f, found = frames(window), compute(window, ["rsi_14", "atr_14", "ema_gap_12_26"])
    for asset in range(3):
        index, high, low = (f[name][asset].to_numpy() for name in ("index", "index_high", "index_low"))
        expected = {
            "rsi_14": talib.RSI(index, 14),
            "atr_14": talib.NATR(high, low, index, 14) / 100.0,
            "ema_gap_12_26": talib.EMA(index, 12) / talib.EMA(index, 26) - 1.0,
        }
        for name, values in expected.items():
            first = FEATURES[name].warmup_bars
            np.testing.assert_allclose(found[name][first:, asset], values[first:], rtol=1e-6, atol=1e-8, err_msg=name)


def test_missing_bars_are_passed_over_by_averages_and_blank_windows_for_as_long_as_they_last() -> None:
    window = market(700, 1, seed=5)
    bars = window._bars
    holes = [400, 401, 500]
    kept = np.setdiff1d(np.arange(bars.n_bars), holes)
    prices = {name: np.array(getattr(bars, name)) for name in ("open", "high", "low", "close", "volume")}
    for values in prices.values():
        values[holes] = np.nan
    gappy = Window(type(bars)(**prices, bar_end=bars.bar_end, symbols=bars.symbols), window._actions)
    names = ["rsi_14", "atr_14", "volatility_21"]
    found = compute(gappy, names)
    # Without the missing bars, an action on one of them would be lost.
    assert (window._actions.split[holes] == 1.0).all() and (window._actions.dividend[holes] == 0.0).all()
    packed = {name: values[kept] for name, values in prices.items()}
    actions = type(window._actions)(*(getattr(window._actions, n)[kept] for n in ("split", "dividend", "delisting")))
    whole = compute(Window(type(bars)(**packed, bar_end=bars.bar_end[kept], symbols=bars.symbols), actions), names)
    for name in ("rsi_14", "atr_14"):
        np.testing.assert_allclose(found[name][kept], whole[name], rtol=1e-12, err_msg=name)
        assert np.isnan(found[name][holes]).all()
    # The bar after a hole has no return since the bar before.
    assert np.isnan(found["volatility_21"][400:423]).all() and np.isfinite(found["volatility_21"][423:500]).all()


def test_equal_values_share_their_place_and_who_has_no_bar_or_value_has_none() -> None:
    close = np.full((64, 5), 10.0)
    close[-1, 3] = np.nan
    bars = bars_from_close(close)
    volume = np.array(bars.volume) * np.array([1.0, 2.0, 2.0, 9.0, 3.0])
    window = Window(type(bars)(bars.open, bars.high, bars.low, bars.close, volume, bars.bar_end, bars.symbols))
    ranks = compute(window, ["rank_dollar_volume_21"])["rank_dollar_volume_21"]
    np.testing.assert_array_equal(ranks[-2], [0.0, 0.375, 0.375, 1.0, 0.75])
    np.testing.assert_array_equal(ranks[-1], [0.0, 0.5, 0.5, np.nan, 1.0])
    assert np.isnan(ranks[:20]).all()


def test_an_asset_alone_has_no_rank_and_is_its_own_market() -> None:
    found = compute(market(300, 2, seed=3), ["rank_volatility_63", "beta_252"])
    alone = compute(market(300, 1, seed=3), ["rank_volatility_63", "beta_252"])
    assert np.isnan(alone["rank_volatility_63"]).all() and np.isfinite(found["rank_volatility_63"][63:]).all()
    np.testing.assert_allclose(alone["beta_252"][252:], 1.0, rtol=1e-12)
    np.testing.assert_allclose(found["beta_252"][252:].mean(axis=1), 1.0, rtol=1e-12)


def test_a_ghost_that_stopped_trading_takes_no_place_among_the_living() -> None:
    window = market(600, 3, seed=8, missing=0.0)
    prices = {name: np.array(getattr(window._bars, name)) for name in ("open", "high", "low", "close", "volume")}
    for values in prices.values():
        values[400:, 0] = np.nan
    gone = Window(type(window._bars)(**prices, bar_end=window._bars.bar_end, symbols=window._bars.symbols))
    ranks = compute(gone, ["rank_momentum_252_21"])["rank_momentum_252_21"]
    assert np.isnan(ranks[400:, 0]).all()
    assert set(np.unique(ranks[400:, 1:])) == {0.0, 1.0}


def test_what_cannot_be_divided_by_has_no_value() -> None:
    still = bars_from_close(np.full((320, 2), 20.0))
    flat = Window(type(still)(*(still.close,) * 4, still.volume * 0.0, still.bar_end, still.symbols))
    names = ["donchian_position_55", "rsi_14", "beta_252", "amihud_21", "volume_zscore_63", "turnover_trend_21_252"]
    for name, values in compute(flat, names).items():
        assert np.isnan(values).all(), name


def test_an_average_has_forgotten_its_first_value_when_it_shows() -> None:
    for span in (2, 12, 26, 27):
        assert (1.0 - 2.0 / (span + 1)) ** settling_bars(span) <= 1e-8
        assert (1.0 - 2.0 / (span + 1)) ** (settling_bars(span) - 1) > 1e-8


def test_a_given_feature_comes_before_a_computed_one_of_its_name() -> None:
    bars = bars_from_close(np.ones((3, 1)))
    given = np.array([[1.0], [2.0], [3.0]])
    window = Window(bars, features={"total_return": given})
    assert np.array_equal(values_of(window.feature("total_return")), given)
    assert np.array_equal(compute(window, ["total_return"])["total_return"], given)


def test_an_unknown_feature_is_answered_with_the_nearest() -> None:
    with pytest.raises(StrategyError, match="did you mean 'volatility_21'"):
        compute(random_window(30, 2), ["volatilty_21"])


def test_a_window_without_figures_says_how_to_come_by_them() -> None:
    with pytest.raises(StrategyError, match="holds no filed figures.*features/daily.*on_bars"):
        compute(random_window(30, 2), ["earnings_yield"])
