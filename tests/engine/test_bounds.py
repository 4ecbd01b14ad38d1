"""What is too large to count, has no end or no effect is refused; what is merely large is not."""

from __future__ import annotations

import numpy as np
import pytest

from engine import (
    Account,
    Actions,
    Bars,
    Costs,
    Crossing,
    Execution,
    InputError,
    Ranking,
    Risk,
    Rule,
    TargetUnits,
    TargetWeights,
    Threshold,
    simulate,
    sweep,
)
from engine.bounds import MOST_BARS
from engine.metrics import metrics
from tests.engine.markets import bars_of, times

BARS = bars_of([[10.0, 20.0], [11.0, 19.0], [12.0, 18.0], [11.0, 19.0]])
ALONE = bars_of([[10.0], [11.0], [12.0], [11.0]])
UNITS = TargetUnits([[1.0, 2.0]], rows=[0])
RUN = simulate(BARS, UNITS)


def endless():
    while True:
        yield 1


def bars_with(**changes):
    """The bars with other panels or symbols."""
    names = ("open", "high", "low", "close", "volume", "symbols")
    return Bars(**{name: getattr(BARS, name) for name in names} | changes, bar_end=times(4))


def test_wait_or_window_of_any_length_takes_no_more_memory_than_the_bars():
    assert simulate(BARS, UNITS, execution=Execution(latency_bars=MOST_BARS)).fills.size == 0
    some, all_ = (
        simulate(BARS, UNITS, costs=Costs(impact_coefficient=1.0, impact_bars=n)).hash for n in (4, MOST_BARS)
    )
    assert some == all_
    assert simulate(BARS, UNITS, risk=Risk(time_stop_bars=MOST_BARS)).hash == RUN.hash
    for rule in (Crossing(1, MOST_BARS), Threshold(MOST_BARS), Ranking(MOST_BARS, 0, MOST_BARS)):
        assert simulate(BARS, rule).fills.size == 0
    with pytest.raises(InputError, match="latency_bars must be a whole number from 0 to 2147483647, was 2147483648"):
        Execution(latency_bars=MOST_BARS + 1)
    with pytest.raises(InputError, match="n_threads must be a whole number from 1 to 1024, was 5000"):
        sweep(BARS, Crossing(1, 2), {"slow": (2, 3)}, n_threads=5_000)


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (
            lambda: Execution(cash_in_lieu=True),
            r"needs a lot size, such as Execution\(cash_in_lieu=True, lot_size=1.0\)",
        ),
        (lambda: simulate(BARS, UNITS, costs=Costs(slippage_ticks=1.0)), r"needs .* Execution\(tick_size=0.01\)"),
        (lambda: Costs(commission_tiers=[(i, 1) for i in range(13)]), "commission_tiers must be at most 12, were 13"),
        (lambda: sweep(BARS, Crossing(1, 2), {"slow": endless()}), r"grid\['slow'\] .*at most 2000000 values"),
        (
            lambda: sweep(BARS, Crossing(1, 2), {"slow": range(2, 90_000), "fast": range(1, 90_000)}),
            "a sweep must have at most 20000000 parameter sets, had 8099730002",
        ),
        (
            lambda: sweep(ALONE, Crossing(1, 2), {"slow": [2**40]}),
            "from 1 to 2147483647, was 1099511627776, in the trial",
        ),
        (lambda: Rule().with_parameters({"fast": 1}), "Rule has no parameter 'fast'"),
        (lambda: BARS["a":], "forward slice"),
        (lambda: Actions.none(BARS)[::2], "without a step"),
        (lambda: bars_with(symbols={"A0", "A1"}), "symbols must be a sequence of names"),
        (lambda: bars_with(volume=np.full((4, 2), 5e-324)), "volume must be 0 or between 1e-50 and 1e.50"),
        (lambda: simulate(BARS, TargetUnits(np.full((4, 2), 5e-324))), "units must be NaN, 0 or between 1e-50"),
        (lambda: metrics([0.1])["sharp"], "no figure 'sharp'; did you mean 'sharpe'"),
    ],
)
def test_what_has_no_effect_no_end_or_no_place_is_refused(build, rule):
    with pytest.raises(InputError, match=rule):
        build()


def test_figure_that_is_not_there_is_a_key_error_too_as_mappings_have_it():
    assert RUN.metrics.get("sharp") is None
    with pytest.raises(KeyError, match="^no figure 'sharp'; did you mean 'sharpe'"):
        _ = RUN.metrics["sharp"]


def test_second_delisting_and_splits_without_end_are_refused():
    none = Actions.none(BARS)
    twice, split = none.delisting.copy(), none.split.copy()
    twice[[1, 3], 1] = -0.5
    with pytest.raises(InputError, match="an asset must not be delisted twice, was -0.5 at bar 3, asset 1"):
        Actions(none.split, none.dividend, twice)
    split[1:, 0] = 1e-20
    with pytest.raises(InputError, match=r"multiply its units by more than 1e\+50 in all, was 1e-20 at bar 3, asset 0"):
        Actions(split, none.dividend, none.delisting)


GROWING = bars_of([[10.0 * 2.0**t] for t in range(10)])
BOUNDLESS = {"account": Account(leverage=1e45)}


@pytest.mark.parametrize(
    ("bars", "decisions", "settings", "words"),
    [
        (GROWING, TargetWeights(np.full((10, 1), 1e40)), BOUNDLESS, r"exposure .*e\+16\d at 2020-01-08 21:00 UTC"),
        (BARS, UNITS, {"account": Account(cash=1e10, cash_rate=1e50)}, r"cash .*e\+152, .* at 2020-01-04 21:00 UTC"),
    ],
    ids=["without the bar loop", "bar by bar"],
)
def test_more_money_than_can_be_counted_ends_the_run_with_the_bar_and_what_it_was(bars, decisions, settings, words):
    with pytest.raises(InputError, match=r"equity, cash and exposure must stay within 1e\+150 ccy, .*" + words):
        simulate(bars, decisions, **settings)
    with pytest.raises(InputError, match=words + r".*, in the trial {'a': 1}"):
        sweep(bars, lambda _: decisions, [{"a": 1}], **settings)


def test_sweep_without_the_bar_loop_refuses_such_money_as_well():
    waves = bars_of([[10.0 * 2.0 ** min(t % 4, 4 - t % 4)] for t in range(60)])
    rule = Crossing(1, 2, weight=-1e40)
    with pytest.raises(InputError, match="must stay within"):
        simulate(waves, rule, **BOUNDLESS)
    with pytest.raises(InputError, match="must stay within .*in the trial {'slow': 2}"):
        sweep(waves, rule, {"slow": (2,)}, metrics=("total_return",), **BOUNDLESS)
