"""Every bad input is an error that names the rule, the value and the place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import Account, Actions, Bars, Costs, Execution, InputError, TargetUnits, TargetWeights, simulate
from tests.engine.markets import bars_of, random_bars, targets, times

NAN = np.nan


def panels(n_bars=4, n_assets=2):
    shape = (n_bars, n_assets)
    return {
        "open": np.full(shape, 10.0),
        "high": np.full(shape, 12.0),
        "low": np.full(shape, 8.0),
        "close": np.full(shape, 11.0),
        "volume": np.full(shape, 100.0),
    }


def bars_with(name, value):
    values = panels()
    values[name][2, 1] = value
    return Bars(**values, bar_end=times(4), symbols=("AAPL", "MSFT"))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("close", -1.0, "close must be positive, was -1.0"),
        ("open", 0.0, "open must be positive, was 0.0"),
        ("close", NAN, "open must be there if close is there, or all four be NaN, was 10.0"),
        ("high", NAN, "high must be there if close is there, or all four be NaN, was nan"),
        ("high", np.inf, "high must be finite, was inf"),
        ("high", 10.5, "close must not be above high, was 11.0"),
        ("high", 7.0, "open must not be above high, was 10.0"),
        ("low", 10.5, "open must not be below low, was 10.0"),
        ("low", 13.0, "low must not be above high, was 13.0"),
        ("volume", -5.0, "volume must not be negative, was -5.0"),
        ("volume", np.inf, "volume must be finite, was inf"),
    ],
)
def test_bad_value_in_a_bar_is_named_with_symbol_and_date(name, value, rule):
    with pytest.raises(InputError) as error:
        bars_with(name, value)
    assert str(error.value) == f"{rule} for MSFT at 2020-01-03 21:00 UTC"


def test_bar_that_is_missing_as_a_whole_is_fine():
    values = panels()
    for name in ("open", "high", "low", "close", "volume"):
        values[name][2, 1] = NAN
    bars = Bars(**values, bar_end=times(4), symbols=("AAPL", "MSFT"))
    assert bars.has_gaps
    assert (bars.n_bars, bars.n_assets) == (4, 2)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"bar_end": times(4)[::-1]}, "bar_end must increase strictly, was 2020-01-03 21:00 UTC after 2020-01-04"),
        ({"bar_end": times(4)[[0, 1, 1, 2]]}, "bar_end must increase strictly"),
        ({"bar_end": times(3)}, r"bar_end must have one time a bar \(4\), had shape \(3,\)"),
        ({"bar_end": np.arange(4)}, "bar_end must be datetime64 in UTC, was int64"),
        ({"bar_end": np.array(["2020-01-01", "NaT", "2020-01-03", "2020-01-04"], dtype="M8[D]")}, "NaT at bar 1"),
        ({"symbols": ("A",)}, r"symbols must have one name an asset \(2\), had 1"),
        ({"symbols": ("A", "A")}, "symbols must be unique, 'A' stands twice"),
        ({"symbols": ("A", "")}, "a symbol must be a text that is not empty, was ''"),
        ({"open": np.ones(4)}, "open must have two axes"),
        ({"open": np.ones((3, 2))}, r"open must have the shape of the bars \(4, 2\), had \(3, 2\)"),
        ({"open": np.full((4, 2), "x")}, "open must be numbers"),
    ],
)
def test_axes_that_do_not_fit_are_refused(changes, rule):
    arguments = panels() | {"bar_end": times(4), "symbols": ("AAPL", "MSFT")} | changes
    with pytest.raises(InputError, match=rule):
        Bars(**arguments)


def test_bars_keep_the_callers_arrays_writable_and_their_own_read_only():
    values = panels()
    bars = Bars(**values, bar_end=times(4), symbols=("AAPL", "MSFT"))
    assert values["close"].flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0, 0] = 1.0


def test_slice_of_bars_keeps_symbols_and_cuts_time():
    bars = random_bars(np.random.default_rng(0), 10, 2)
    part = bars[3:7]
    assert part.n_bars == 4
    np.testing.assert_array_equal(part.close, bars.close[3:7])
    np.testing.assert_array_equal(part.bar_end, bars.bar_end[3:7])
    for wrong in (3, slice(None, None, -1)):
        with pytest.raises(InputError, match="forward slice of time"):
            bars[wrong]


def long_frame(bars):
    rows = []
    for bar in range(bars.n_bars):
        for asset in range(bars.n_assets):
            if not np.isnan(bars.close[bar, asset]):
                values = {name: getattr(bars, name)[bar, asset] for name in ("open", "high", "low", "close", "volume")}
                end = pd.Timestamp(bars.bar_end[bar], tz="UTC")
                rows.append({"symbol": bars.symbols[asset], "bar_end": end, **values})
    return pd.DataFrame(rows)


def test_frame_in_any_order_gives_the_bars():
    bars = random_bars(np.random.default_rng(0), 30, 4, missing_rate=0.2)
    frame = long_frame(bars).sample(frac=1.0, random_state=1)
    frame["bar_end"] = frame["bar_end"].dt.tz_convert("America/New_York")
    other = Bars.from_frame(frame.assign(extra=1))
    assert other.symbols == bars.symbols
    np.testing.assert_array_equal(other.bar_end, bars.bar_end)
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(other, name), getattr(bars, name))


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda frame: frame.rename(columns={"close": "clsoe"}), "need the column 'close'; did you mean 'clsoe'?"),
        (lambda frame: frame.assign(bar_end=frame["bar_end"].dt.tz_localize(None)), "bar_end must be timezone-aware"),
        (
            lambda frame: pd.concat([frame, frame.iloc[[5]]]),
            "a bar must stand once, stood 2 times for A1 at 2020-01-03",
        ),
        (lambda frame: frame.assign(symbol=[None, *frame["symbol"][1:]]), "symbol and bar_end must not be missing"),
    ],
)
def test_frame_that_breaks_a_rule_is_refused(spoil, rule):
    frame = long_frame(random_bars(np.random.default_rng(0), 5, 2))
    with pytest.raises(InputError) as error:
        Bars.from_frame(spoil(frame))
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: Account(cash=0.0), "cash must be positive and finite, was 0.0"),
        (lambda: Account(cash=NAN), "cash must be positive and finite, was nan"),
        (lambda: Account(cash="1000"), "cash must be positive and finite, was '1000'"),
        (lambda: Account(leverage=0.5), "leverage must be at least 1 and finite, was 0.5"),
        (lambda: Account(allow_short=1), "allow_short must be True or False, was 1"),
        (lambda: Costs(commission_bps=-1.0), "commission_bps must be zero or positive, and finite, was -1.0"),
        (lambda: Costs(commission_max_rate=-0.1), "commission_max_rate must be zero or positive, was -0.1"),
        (lambda: Costs(slippage_bps=np.inf), "slippage_bps must be zero or positive, and finite, was inf"),
        (lambda: Costs(slippage_bps=10_000.0), "must stay below 10000 (a sale would bring nothing), was 10000.0"),
        (lambda: Costs(commission_fixed=True), "commission_fixed must be zero or positive, and finite, was True"),
        (lambda: Execution(lot_size=-1.0), "lot_size must be zero or positive, and finite, was -1.0"),
        (lambda: Execution(timing="next_opne"), "was 'next_opne'; did you mean 'next_open'?"),
        (lambda: Execution(cash_policy="all"), "cash_policy must be one of scale, reject, was 'all'"),
    ],
)
def test_bad_setting_is_refused(build, rule):
    with pytest.raises(InputError) as error:
        build()
    assert rule in str(error.value)


def test_decisions_that_do_not_fit_are_refused():
    bars = bars_of([[10.0, 10.0]] * 3)
    with pytest.raises(InputError, match=r"weights must have the shape of the bars \(3, 2\), had \(2, 2\)"):
        simulate(bars, TargetWeights(np.ones((2, 2))))
    with pytest.raises(InputError, match=r"weights must be finite or NaN, was inf for A1 at 2020-01-02 21:00 UTC"):
        simulate(bars, TargetWeights(targets(3, 2, {(1, 1): np.inf})))
    with pytest.raises(InputError, match=r"units must be finite or NaN, was -inf for A0 at 2020-01-03"):
        simulate(bars, TargetUnits(targets(3, 2, {(2, 0): -np.inf})))
    with pytest.raises(InputError, match=r"decisions must be TargetWeights\(...\) or TargetUnits\(...\), was ndarray"):
        simulate(bars, np.ones((3, 2)))
    with pytest.raises(InputError, match=r"account must be Account\(...\), was float"):
        simulate(bars, TargetWeights(np.ones((3, 2))), account=1_000.0)
    with pytest.raises(InputError, match=r"actions must have the shape of the bars \(3, 2\)"):
        simulate(bars, TargetWeights(np.ones((3, 2))), actions=Actions.none(bars[:2]))
    with pytest.raises(InputError, match="at least one bar and one asset"):
        simulate(bars[:0], TargetWeights(np.ones((0, 2))))
    with pytest.raises(InputError, match="periods_per_year must be positive and finite"):
        simulate(bars, TargetWeights(np.ones((3, 2))), periods_per_year=0.0)


def test_wide_frame_of_weights_is_laid_on_the_bars():
    bars = bars_of([[10.0, 10.0]] * 4, symbols=("AAPL", "MSFT"))
    index = pd.DatetimeIndex(bars.bar_end[[2, 0]]).tz_localize("UTC")
    frame = pd.DataFrame({"MSFT": [0.0, 0.5]}, index=index)
    by_frame = simulate(bars, TargetWeights(frame))
    by_array = simulate(bars, TargetWeights(targets(4, 2, {(0, 1): 0.5, (2, 1): 0.0})))
    assert by_frame.hash == by_array.hash
    assert by_frame.fills.size == 2
    with pytest.raises(InputError, match="no bars for the column 'MSTF' of weights; did you mean 'MSFT'"):
        simulate(bars, TargetWeights(frame.rename(columns={"MSFT": "MSTF"})))
    with pytest.raises(InputError, match="no bar ends at 2020-01-03 22:00 UTC, a time in the index of weights"):
        simulate(bars, TargetWeights(frame.set_axis(index + pd.Timedelta(hours=1))))
    with pytest.raises(InputError, match="timezone-aware bar_end times"):
        simulate(bars, TargetWeights(frame.tz_localize(None)))


def actions_frame(*rows):
    return pd.DataFrame(rows, columns=["symbol", "ex_date", "kind", "value"])


def test_actions_take_effect_at_the_first_bar_of_their_date_or_later():
    bars = bars_of([[10.0, 10.0]] * 4, symbols=("AAPL", "MSFT"))[::2]
    frame = actions_frame(
        ("AAPL", "2020-01-02", "split", 2.0),
        ("AAPL", "2020-01-03", "split", 3.0),
        ("MSFT", "2020-01-01", "dividend", 0.5),
        ("MSFT", "2020-01-02", "dividend", 0.25),
        ("MSFT", "2020-01-03", "dividend", 0.25),
        ("AAPL", "2019-12-31", "dividend", 9.0),
        ("AAPL", "2020-01-04", "dividend", 9.0),
        ("MSFT", "2020-01-03", "delisting", -0.3),
    )
    actions = Actions.from_frame(bars, frame)
    assert actions.split.tolist() == [[1.0, 1.0], [6.0, 1.0]]
    assert actions.dividend.tolist() == [[0.0, 0.5], [0.0, 0.5]]
    np.testing.assert_array_equal(actions.delisting, [[NAN, NAN], [NAN, -0.3]])
    assert actions.events.bar.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("AAPL", "2020-01-02", "spilt", 2.0), "was 'spilt'; did you mean 'split'?"),
        (("APPL", "2020-01-02", "split", 2.0), "no bars for the symbol 'APPL'; did you mean 'AAPL'?"),
        (("AAPL", "2020-01-02", "split", 0.0), "split must be positive and finite, was 0.0 for AAPL at 2020-01-02"),
        (("AAPL", "2020-01-02", "dividend", NAN), "dividend must be zero or positive, and finite, was nan for AAPL"),
        (("AAPL", "2020-01-02", "delisting", -1.5), "delisting must be a return of at least -1, was -1.5 for AAPL"),
        (("AAPL", None, "split", 2.0), "ex_date must not be missing"),
    ],
)
def test_bad_action_is_refused(row, rule):
    bars = bars_of([[10.0, 10.0]] * 4, symbols=("AAPL", "MSFT"))
    with pytest.raises(InputError) as error:
        Actions.from_frame(bars, actions_frame(row))
    assert rule in str(error.value)


def test_asset_is_delisted_once():
    bars = bars_of([[10.0]] * 4, symbols=("AAPL",))
    frame = actions_frame(("AAPL", "2020-01-02", "delisting", 0.0), ("AAPL", "2020-01-03", "delisting", 0.0))
    with pytest.raises(InputError, match="an asset is delisted once"):
        Actions.from_frame(bars, frame)


def test_bad_action_array_is_refused():
    bars = bars_of([[10.0]] * 2)
    none = Actions.none(bars)
    for split in (0.0, -1.0, NAN, np.inf):
        with pytest.raises(InputError, match="split must be positive and finite"):
            Actions(np.full((2, 1), split), none.dividend, none.delisting)
    with pytest.raises(InputError, match="dividend must be zero or positive, and finite, was nan at bar 0, asset 0"):
        Actions(none.split, np.full((2, 1), NAN), none.delisting)
    with pytest.raises(InputError, match="delisting must be a return of at least -1"):
        Actions(none.split, none.dividend, np.full((2, 1), -1.01))


def test_no_actions_are_the_same_as_none_given():
    bars = bars_of([[10.0], [11.0], [12.0]])
    weights = TargetWeights(targets(3, 1, {(0, 0): 0.5}))
    assert simulate(bars, weights, actions=Actions.none(bars)).hash == simulate(bars, weights).hash
