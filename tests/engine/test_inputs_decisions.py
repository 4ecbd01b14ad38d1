"""Target weights and units: dense, compact and as a frame they say the same; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine import InputError, TargetUnits, TargetWeights
from tests.engine.markets import bars_of, targets

NAN = np.nan
KINDS = (TargetWeights, TargetUnits)


def four_bars():
    return bars_of([[10.0, 10.0]] * 4, symbols=("AAPL", "MSFT"))


def index_of(bars, rows):
    return pd.DatetimeIndex(bars.bar_end[rows]).tz_localize("UTC")


@pytest.mark.parametrize("kind", KINDS)
def test_dense_decisions_are_read_as_they_are_and_not_copied(kind):
    bars = four_bars()
    values = targets(4, 2, {(0, 1): 0.5, (2, 1): 0.0})
    read, rows = kind(values).values_and_rows(bars)
    assert rows is None
    assert np.shares_memory(read, values) and values.flags.writeable and not read.flags.writeable
    assert kind(values).aligned(bars) is not values
    np.testing.assert_array_equal(kind(values).aligned(bars), values)
    turned, _ = kind(np.asfortranarray(values)).values_and_rows(bars)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [[0, 2], (0, 2), np.array([0, 2]), np.array([0, 2], dtype=np.uint8)])
def test_compact_decisions_stand_at_their_bars(kind, rows):
    bars = four_bars()
    decisions = kind(np.array([[NAN, 0.5], [NAN, 0.0]]), rows=rows)
    values, numbers = decisions.values_and_rows(bars)
    assert (values.shape, numbers.dtype, numbers.tolist()) == ((2, 2), np.int64, [0, 2])
    assert values.flags.c_contiguous and not numbers.flags.writeable
    np.testing.assert_array_equal(decisions.aligned(bars), targets(4, 2, {(0, 1): 0.5, (2, 1): 0.0}))


@pytest.mark.parametrize("kind", KINDS)
def test_no_decisions_at_all_are_decisions(kind):
    bars = four_bars()
    values, rows = kind(np.empty((0, 2)), rows=[]).values_and_rows(bars)
    assert values.shape == (0, 2) and rows.size == 0
    assert np.isnan(kind(np.empty((0, 2)), rows=[]).aligned(bars)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_frame_in_any_order_is_laid_on_the_bars(kind):
    bars = four_bars()
    frame = pd.DataFrame({"MSFT": [0.0, 0.5]}, index=index_of(bars, [2, 0]))
    for given in (frame, frame.tz_convert("Asia/Tokyo"), frame.set_axis(frame.index.as_unit("ns"))):
        values, rows = kind(given).values_and_rows(bars)
        assert rows.tolist() == [0, 2]
        np.testing.assert_array_equal(values, [[NAN, 0.5], [NAN, 0.0]])
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(kind(given).aligned(bars), targets(4, 2, {(0, 1): 0.5, (2, 1): 0.0}))


def test_frame_of_whole_numbers_with_holes_is_numbers():
    bars = four_bars()
    frame = pd.DataFrame({"AAPL": pd.array([5, None], dtype="Int64")}, index=index_of(bars, [0, 3]))
    np.testing.assert_array_equal(TargetUnits(frame).values_and_rows(bars)[0], [[5.0, NAN], [NAN, NAN]])


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (
            lambda frame: frame.rename(columns={"MSFT": "MSTF"}),
            "no bars for the column 'MSTF' of weights; did you mean 'MSFT'?",
        ),
        (
            lambda frame: frame.set_axis(frame.index + pd.Timedelta(hours=1)),
            "no bar ends at 2020-01-03 22:00 UTC, a time in the index of weights",
        ),
        (
            lambda frame: frame.set_axis(frame.index + pd.Timedelta(days=30)),
            "no bar ends at 2020-02-02 21:00 UTC, a time in the index of weights",
        ),
        (
            lambda frame: frame.set_axis(frame.index.as_unit("ns") + pd.Timedelta(1, "ns")),
            "the index of weights must be whole microseconds that fit 64 bits, was 2020-01-03T21:00:00.000000001",
        ),
        (lambda frame: frame.tz_localize(None), "the index of weights must be timezone-aware times, was datetime"),
        (lambda frame: frame.reset_index(drop=True), "the index of weights must be timezone-aware times, was int64"),
        (lambda frame: frame.iloc[[0, 0]], "bar_end times in the index of weights must be unique"),
        (lambda frame: pd.concat([frame, frame], axis=1), "columns of weights must be unique"),
        (
            lambda frame: frame.astype(str).replace("0.0", "x"),
            "the column 'MSFT' of weights must be numbers, was string",
        ),
    ],
)
def test_frame_that_breaks_a_rule_is_refused(spoil, rule):
    bars = four_bars()
    frame = pd.DataFrame({"MSFT": [0.0, 0.5]}, index=index_of(bars, [2, 0]))
    with pytest.raises(InputError) as error:
        TargetWeights(spoil(frame)).values_and_rows(bars)
    assert str(error.value).startswith(rule)


@pytest.mark.parametrize(
    ("values", "rows", "rule"),
    [
        (np.ones((2, 2)), None, r"weights must have the shape of the bars \(4, 2\), had \(2, 2\)"),
        (np.ones((4, 1)), None, r"weights must have the shape of the bars \(4, 2\), had \(4, 1\)"),
        (np.ones(4), None, "weights must have two axes"),
        (np.full((4, 2), "x"), None, "weights must be numbers"),
        (np.ones((2, 3)), [0, 1], r"weights must have the shape of the bars \(2, 2\), had \(2, 3\)"),
        (np.ones((2, 2)), [0, 1, 2], r"rows must have one bar a row of values \(2,\), had shape \(3,\)"),
        (np.ones((2, 2)), [[0], [1]], r"rows must have one bar a row of values \(2,\), had shape \(2, 1\)"),
        (np.ones((2, 2)), [0.0, 1.0], "rows must be whole numbers, was float64"),
        (np.ones((2, 2)), [False, True], "rows must be whole numbers, was bool"),
        (np.ones((2, 2)), [-1, 1], "rows must not be negative, was -1"),
        (np.ones((2, 2)), [2, 1], "rows must increase strictly, was 1 after 2"),
        (np.ones((2, 2)), [1, 1], "rows must increase strictly, was 1 after 1"),
        (np.ones((2, 2)), [0, 4], "rows must be within the 4 bars, was 4"),
    ],
)
def test_array_that_does_not_fit_is_refused(values, rows, rule):
    with pytest.raises(InputError, match=rule):
        TargetWeights(values, rows=rows).values_and_rows(four_bars())


def test_rows_beside_a_frame_are_refused():
    bars = four_bars()
    frame = pd.DataFrame({"MSFT": [0.0]}, index=index_of(bars, [2]))
    with pytest.raises(InputError, match="rows go with an array: a frame has its bar_end times"):
        TargetUnits(frame, rows=[2])
