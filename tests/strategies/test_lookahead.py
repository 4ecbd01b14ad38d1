"""The look-ahead check flags planted leaks of every kind, says where, and leaves clean decisions alone."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest

from engine.actions import Actions
from strategies.cuts import cut_points, with_other_future
from strategies.errors import LookaheadError, StrategyError
from strategies.evaluation import evaluate
from strategies.lookahead import check
from strategies.panel import values_of
from strategies.registry import strategy_names
from strategies.spec import load_spec
from strategies.window import Window
from tests.strategies.windows import bars_from_close, random_window

WINDOW = random_window(600, 4, seed=3, missing=0.01)


def prices(window):
    """The raw closes, by the private way a leak needs."""
    return pd.DataFrame(np.array(window._bars.close))


def centred_mean(window):
    return prices(window).rolling(5, center=True).mean()


def full_zscore(window):
    close = prices(window)
    return (close - close.mean()) / close.std()


def full_rank(window):
    return prices(window).rank(pct=True)


def full_minmax(window):
    close = prices(window)
    return (close - close.min()) / (close.max() - close.min())


def full_quantiles(window):
    close = prices(window)
    return (close > close.quantile(0.8)).astype(float)


def full_fit(window):
    close = prices(window).ffill().fillna(1.0).to_numpy()
    time = np.arange(len(close)) - (len(close) - 1) / 2.0
    slope = (time[:, None] * (close - close.mean(axis=0))).sum(axis=0) / max((time**2).sum(), 1.0)
    return pd.DataFrame(close.mean(axis=0) + time[:, None] * slope)


def smoothed_both_ways(window):
    close = prices(window).ffill().fillna(0.0)
    return close.ewm(span=10).mean()[::-1].ewm(span=10).mean()[::-1]


def week_labelled_at_its_start(window):
    close = prices(window).ffill()
    week = np.arange(len(close)) // 5
    return close.groupby(week).transform("last")


def peek_at_crashes(window):
    returns = prices(window).pct_change(fill_method=None)
    return (returns.shift(-1) > -0.05).where(returns.shift(-1).notna(), True).astype(float)


def knows_the_last_bar(window):
    close = prices(window)
    return close.notna() * (np.arange(len(close)) < len(close) - 1)[:, None] * 1.0


def next_action(window):
    ahead = pd.DataFrame(np.array(window._actions.dividend)).shift(-1).fillna(0.0)
    return (ahead > 0.0).astype(float)


def membership_of_the_end(window):
    members = np.array(window._universe)
    return pd.DataFrame(np.repeat(members[-1:], len(members), axis=0).astype(float))


def feature_of_tomorrow(window):
    return pd.DataFrame(np.array(window._features["signal"])).shift(-1)


LEAKS = {
    "negative shift": lambda w: prices(w).shift(-1),
    "centred window": centred_mean,
    "z-score of the whole sample": full_zscore,
    "rank in the whole sample": full_rank,
    "min-max of the whole sample": full_minmax,
    "quantile of the whole sample": full_quantiles,
    "regression on the whole sample": full_fit,
    "filter run both ways": smoothed_both_ways,
    "week labelled at its start": week_labelled_at_its_start,
    "peek at rare crashes": peek_at_crashes,
    "backward fill": lambda w: prices(w).bfill(),
    "interpolation": lambda w: prices(w).interpolate(limit_area="inside"),
    "length of the sample": knows_the_last_bar,
    "dividend of tomorrow": next_action,
    "membership of the end": membership_of_the_end,
    "feature of tomorrow": feature_of_tomorrow,
}
CLEAN = {
    "moving average": lambda w: w.close.mean(20),
    "exponential average": lambda w: w.index.ema(15),
    "deviation": lambda w: w.total_return.std(21),
    "z-score so far": lambda w: (w.close - w.close.expanding_mean()) / w.close.expanding_std(),
    "rank in a window": lambda w: w.close.rolling(30, lambda last: (last <= last[-1]).mean(axis=0)),
    "pandas on past values": lambda w: prices(w).rolling(10).mean().shift(1),
    "carried prices": lambda w: w.close.carry(),
    "months and features": lambda w: w.feature("signal").zscore().where(w.month_start),
}


def as_arrays(decide):
    def decided(window):
        answer = decide(window)
        return answer.to_numpy(dtype=float) if isinstance(answer, pd.DataFrame) else answer

    return decided


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_leak_is_flagged(name, seed):
    report = check(as_arrays(LEAKS[name]), random_window(600, 4, seed=seed, missing=0.01), seed=seed)
    assert not report.is_clean
    assert report.n_cuts == 50
    leak = report.leak
    assert leak.symbol in {"S0", "S1", "S2", "S3"}
    assert not np.isclose(leak.then, leak.now, rtol=1e-9, atol=0.0)
    assert leak.symbol in leak.description and str(leak.bar_end)[:10] in leak.description
    with pytest.raises(LookaheadError, match="the weight of S"):
        report.raise_if_leaking()


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_clean_decision_is_not_flagged(name, seed):
    report = check(as_arrays(CLEAN[name]), random_window(600, 4, seed=seed, missing=0.01), seed=seed)
    assert report.is_clean, report.leak
    report.raise_if_leaking()


@pytest.mark.parametrize("name", strategy_names())
def test_the_built_in_strategies_are_clean(name):
    window = random_window(600, 5, seed=8)
    assert check(lambda w: evaluate(load_spec(name), w), window).is_clean
    assert check(functools.partial(evaluate, name), window).is_clean


@pytest.mark.parametrize("ahead", [1, 2, 5, 17])
def test_the_report_says_how_far_ahead_a_decision_sees(ahead):
    window = random_window(300, 3, seed=4, missing=0.0)
    leak = check(as_arrays(lambda w: prices(w).shift(-ahead)), window).leak
    close = prices(window)
    bar = int(np.searchsorted(window._bars.bar_end, leak.bar_end))
    asset = int(leak.symbol[1:])
    assert leak.bars_ahead == ahead
    assert np.isnan(leak.then)
    assert leak.now == close.iloc[bar + ahead, asset]
    assert leak.cut - ahead <= bar < leak.cut
    assert f"it uses {ahead} bar" in leak.description
    assert "use lag(n) with n >= 0" in leak.description


def test_a_statistic_of_the_whole_sample_is_called_one():
    leak = check(as_arrays(full_zscore), WINDOW).leak
    assert "it changes until the last bar" in leak.description
    assert "over the whole sample" in leak.description


def test_a_leak_that_a_cut_hides_shows_when_the_future_is_replaced():
    n_bars = 600

    def only_on_all_data(window):
        close = prices(window)
        return (close.shift(-1) if len(close) == n_bars else close * 0.0 + close.shift(-1).ffill()).to_numpy()

    assert not check(only_on_all_data, WINDOW).is_clean

    def as_seen_from_the_end(window):
        close = np.nan_to_num(np.array(window._bars.close))
        return np.vstack([close[1:], close[-1:]])

    remembered = as_seen_from_the_end(WINDOW)

    def remembers(window):
        length = window._bars.n_bars
        return as_seen_from_the_end(window) if length == n_bars else remembered[:length]

    leak = check(remembers, WINDOW).leak
    assert "replaced by another path" in leak.description
    assert leak.bars_ahead is None


def test_a_side_table_of_full_length_is_flagged_by_its_length():
    table = np.linspace(0.0, 1.0, 600)[:, None] * np.ones(4)
    leak = check(lambda window: table, WINDOW).leak
    assert "answered for 600" in leak.description


def test_an_answer_that_changes_from_call_to_call_is_flagged():
    random = np.random.default_rng(0)
    leak = check(lambda window: random.random(window._bars.close.shape), WINDOW).leak
    assert "two different answers" in leak.description


def test_a_decision_that_fails_is_an_error_not_a_verdict():
    def fails_when_short(window):
        if window._bars.n_bars < 100:
            raise ValueError("too short for me")
        return window.close

    with pytest.raises(StrategyError, match=r"the decision failed on a window of .* bars: too short for me"):
        check(fails_when_short, WINDOW)
    with pytest.raises(StrategyError, match=r"must be weights \[n_bars, n_assets\], was float64\[3\]"):
        check(lambda window: np.zeros(3), WINDOW)


def test_a_short_window_is_cut_after_every_bar():
    assert cut_points(random_window(51, 2), 50, 0) == list(range(1, 51))


def test_cuts_stand_before_every_kind_of_event():
    window = random_window(2000, 5, seed=1, missing=0.003)
    close, actions = window._bars.close, window._actions
    cuts = np.array(cut_points(window, 60, 5))
    assert len(cuts) == 60 and (np.diff(cuts) > 0).all()
    missing = np.isnan(close)
    months = window._bars.bar_end.astype("datetime64[M]")
    assert (missing[cuts] & ~missing[cuts - 1]).any(), "none hides the start of a gap"
    assert (~missing[cuts] & missing[cuts - 1]).any(), "none hides the end of a gap"
    assert (months[cuts] != months[cuts - 1]).any(), "none stands at the end of a month"
    assert ((actions.dividend[cuts] > 0) | (actions.split[cuts] != 1)).any(), "none hides an action"
    assert (window._universe[cuts] != window._universe[cuts - 1]).any(), "none hides a change of membership"
    assert {1, 2, 1999} & set(cuts.tolist())
    assert cut_points(window, 60, 5) == cuts.tolist()
    assert cut_points(window, 60, 6) != cuts.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_an_event_that_happens_once_in_a_long_market_is_cut_at(seed):
    close = np.full((3000, 2), 100.0)
    close[700, 1] = np.nan
    close[1500:, 0] = 80.0
    members = np.ones(close.shape, bool)
    members[2200:, 0] = False
    dividend = np.zeros(close.shape)
    dividend[2600, 1] = 1.0
    signal = np.zeros(close.shape)
    signal[1100, 0] = np.nan
    bars = bars_from_close(close)
    actions = Actions(np.ones(close.shape), dividend, np.full(close.shape, np.nan))
    window = Window(bars, actions, features={"signal": signal}, members=members)
    window.feature("signal")  # only the features a decision asks for are looked at
    assert {700, 701, 1100, 1101, 1500, 2200, 2600} <= set(cut_points(window, 50, seed))


@pytest.mark.parametrize("path", [np.random.default_rng(1), None])
def test_another_future_leaves_the_past_alone_and_changes_the_rest(path):
    t = 300
    other = with_other_future(WINDOW, t, path)
    for name in ("index", "volume", "members", "close"):
        now, then = values_of(getattr(WINDOW, name)), values_of(getattr(other, name))
        assert np.array_equal(now[:t], then[:t], equal_nan=now.dtype != bool)
        assert not np.array_equal(now[t:], then[t:], equal_nan=now.dtype != bool)
