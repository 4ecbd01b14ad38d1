"""What a run refuses before it starts: parts of the wrong kind, parts that do not fit each other, infinities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import Account, Actions, Bars, Costs, Execution, InputError, TargetUnits, TargetWeights, simulate
from tests.engine.markets import bars_of, targets

NAN = np.nan
BARS = bars_of([[10.0, 10.0]] * 3)
HOLD = TargetWeights(np.ones((3, 2)))
UNKNOWN_VOLUME = Bars(*[BARS.close] * 4, np.array([[1.0, 1.0], [1.0, NAN], [1.0, 1.0]]), BARS.bar_end, BARS.symbols)


@pytest.mark.parametrize(
    ("bars", "decisions", "settings", "rule"),
    [
        (BARS, TargetWeights(np.ones((2, 2))), {}, r"weights must have the shape of the bars \(3, 2\), had \(2, 2\)"),
        (
            BARS,
            TargetWeights(targets(3, 2, {(1, 1): np.inf})),
            {},
            "weights must be finite or NaN, was inf for A1 at 2020-01-02 21:00 UTC",
        ),
        (
            BARS,
            TargetUnits(targets(3, 2, {(2, 0): -np.inf})),
            {},
            "units must be finite or NaN, was -inf for A0 at 2020-01-03",
        ),
        (
            BARS,
            TargetWeights(targets(2, 2, {(1, 1): np.inf}), rows=[0, 2]),
            {},
            "weights must be finite or NaN, was inf for A1 at 2020-01-03 21:00 UTC",
        ),
        (BARS, np.ones((3, 2)), {}, r"decisions must be TargetWeights\(...\) or TargetUnits\(...\).*, was ndarray"),
        (BARS, HOLD, {"account": 1_000.0}, r"account must be Account\(...\), was float"),
        (BARS, HOLD, {"costs": Account()}, r"costs must be Costs\(...\), was Account"),
        (BARS, HOLD, {"execution": None}, r"execution must be Execution\(...\), was NoneType"),
        (BARS, HOLD, {"risk": 0.1}, r"risk must be Risk\(...\), was float"),
        (BARS, HOLD, {"actions": Actions.none(BARS[:2])}, r"actions must have the shape of the bars \(3, 2\)"),
        (BARS, HOLD, {"finer": BARS.close}, r"finer must be Bars\(...\), was ndarray"),
        (BARS, HOLD, {"finer": bars_of([[1.0]] * 3)}, r"finer bars must have the symbols of the bars \('A0', 'A1'\)"),
        (BARS[:0], TargetWeights(np.ones((0, 2))), {}, "at least one bar and one asset"),
        (BARS, HOLD, {"periods_per_year": 0.0}, "periods_per_year must be positive and finite"),
        (UNKNOWN_VOLUME, HOLD, {"execution": Execution(participation_rate=0.1)}, "NaN for A1 at 2020-01-02 21:00 UTC"),
        (UNKNOWN_VOLUME, HOLD, {"costs": Costs(impact_coefficient=1.0)}, "NaN for A1 at 2020-01-02 21:00 UTC"),
        (UNKNOWN_VOLUME, HOLD, {"costs": Costs(volume_share_impact=0.1)}, "NaN for A1 at 2020-01-02 21:00 UTC"),
    ],
)
def test_parts_that_do_not_fit_are_refused(bars, decisions, settings, rule):
    with pytest.raises(InputError, match=rule):
        simulate(bars, decisions, **settings)


def test_three_forms_of_one_decision_give_one_result():
    bars = bars_of([[10.0, 10.0]] * 4, symbols=("AAPL", "MSFT"))
    index = pd.DatetimeIndex(bars.bar_end[[2, 0]]).tz_localize("UTC")
    by_frame = simulate(bars, TargetWeights(pd.DataFrame({"MSFT": [0.0, 0.5]}, index=index)))
    by_rows = simulate(bars, TargetWeights(np.array([[NAN, 0.5], [NAN, 0.0]]), rows=[0, 2]))
    by_panel = simulate(bars, TargetWeights(targets(4, 2, {(0, 1): 0.5, (2, 1): 0.0})))
    assert by_frame.hash == by_rows.hash == by_panel.hash
    assert by_frame.fills.size == 2


def test_no_actions_are_the_same_as_none_given():
    bars = bars_of([[10.0], [11.0], [12.0]])
    weights = TargetWeights(targets(3, 1, {(0, 0): 0.5}))
    assert simulate(bars, weights, actions=Actions.none(bars)).hash == simulate(bars, weights).hash
