"""Bars: every wrong value, axis and time is an error that names the rule, the value and the place."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from engine import Bars, InputError
from tests.engine.markets import random_bars, times

NAN = np.nan
PANELS = ("open", "high", "low", "close", "volume")


def panels(n_bars=4, n_assets=2):
    levels = zip(PANELS, (10.0, 12.0, 8.0, 11.0, 100.0), strict=True)
    return {name: np.full((n_bars, n_assets), level) for name, level in levels}


def bars_with(name, value):
    values = panels()
    values[name][2, 1] = value
    return Bars(**values, bar_end=times(4), symbols=("AAPL", "MSFT"))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("close", -1.0, "close must be positive, was -1.0"),
        ("open", 0.0, "open must be positive, was 0.0"),
        ("open", -np.inf, "open must be positive, was -inf"),
        ("close", NAN, "open must be there if close is there, or all four be NaN, was 10.0"),
        ("high", NAN, "high must be there if close is there, or all four be NaN, was nan"),
        ("low", NAN, "low must be there if close is there, or all four be NaN, was nan"),
        ("high", np.inf, "high must be finite, was inf"),
        ("high", 10.5, "close must not be above high, was 11.0"),
        ("high", 7.0, "open must not be above high, was 10.0"),
        ("low", 10.5, "open must not be below low, was 10.0"),
        ("low", 13.0, "low must not be above high, was 13.0"),
        ("volume", -5.0, "volume must not be negative, was -5.0"),
        ("volume", np.inf, "volume must be finite, was inf"),
        ("volume", -np.inf, "volume must be finite, was -inf"),
    ],
)
def test_bad_value_in_a_bar_is_named_with_symbol_and_date(name, value, rule):
    with pytest.raises(InputError) as error:
        bars_with(name, value)
    assert str(error.value) == f"{rule} for MSFT at 2020-01-03 21:00 UTC"


def is_bar(open_, high, low, close, volume):
    """The rule for one bar, said once more."""
    prices = (open_, high, low, close)
    if not (math.isnan(volume) or volume == 0.0 or 1e-50 <= volume <= 1e50):
        return False
    if all(math.isnan(price) for price in prices):
        return True
    return all(1e-50 <= price <= 1e50 for price in prices) and max(prices) == high and min(prices) == low


def test_compiled_check_accepts_what_the_rule_of_one_bar_accepts_and_nothing_else():
    rng = np.random.default_rng(7)
    drawn = [NAN, np.inf, -np.inf, 0.0, -0.0, -1.0, 5e-324, 1e-50, 8.0, 10.0, 11.0, 12.0, 1e50, 1.7e308]
    n_right = 0
    for _ in range(3_000):
        values = panels(3, 3)
        for name in rng.choice(PANELS, rng.integers(1, 6), replace=False):
            values[name][1, 2] = rng.choice(drawn)
        if rng.random() < 0.3:
            for name in PANELS[:4]:
                values[name][1, 2] = NAN
        is_right = is_bar(*(float(values[name][1, 2]) for name in PANELS))
        n_right += is_right
        try:
            bars = Bars(**values, bar_end=times(3), symbols=("A", "B", "C"))
        except InputError as error:
            assert not is_right, (values, error)
            assert "for C at 2020-01-02" in str(error)
        else:
            assert is_right, values
            assert bars.has_gaps == bool(np.isnan(values["close"][1, 2]))
    assert 300 < n_right < 2_700


@pytest.mark.parametrize("where", [(0, 0), (0, 16), (20, 0), (36, 16), (19, 7)])
def test_wrong_value_is_found_wherever_it_stands(where):
    values = panels(37, 17)
    values["volume"][where] = -1.0
    with pytest.raises(InputError, match=rf"volume must not be negative, was -1.0 for A{where[1]} at "):
        Bars(**values, bar_end=times(37), symbols=tuple(f"A{i}" for i in range(17)))


def test_bar_that_is_missing_as_a_whole_is_fine():
    values = panels()
    for name in PANELS:
        values[name][2, 1] = NAN
    bars = Bars(**values, bar_end=times(4), symbols=("AAPL", "MSFT"))
    assert bars.has_gaps
    assert (bars.n_bars, bars.n_assets) == (4, 2)
    assert bars[2:].has_gaps and not bars[:2].has_gaps
    values["volume"][2, 1] = 0.0
    assert Bars(**values, bar_end=times(4), symbols=("AAPL", "MSFT")).has_gaps


def test_bars_without_gaps_know_it_and_so_do_their_slices():
    bars = Bars(**panels(), bar_end=times(4), symbols=("AAPL", "MSFT"))
    assert vars(bars)["has_gaps"] is False
    assert vars(bars[1:])["has_gaps"] is False


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"bar_end": times(4)[::-1]}, "bar_end must increase strictly, was 2020-01-03 21:00 UTC after 2020-01-04"),
        ({"bar_end": times(4)[[0, 1, 1, 2]]}, "bar_end must increase strictly"),
        ({"bar_end": times(3)}, r"bar_end must have one time a bar \(4\), had shape \(3,\)"),
        ({"bar_end": times(4)[:, np.newaxis]}, r"bar_end must have one time a bar \(4\), had shape \(4, 1\)"),
        ({"bar_end": np.arange(4)}, "bar_end must be datetime64 in UTC, was int64"),
        ({"bar_end": list(pd.date_range("2020", periods=4))}, "bar_end must be datetime64 in UTC, was object"),
        ({"bar_end": np.array(["2020-01-01", "NaT", "2020-01-03", "2020-01-04"], dtype="M8[D]")}, "NaT at bar 1"),
        ({"bar_end": np.array(["NaT", "2020-01-02", "2020-01-03", "2020-01-04"], dtype="M8[us]")}, "NaT at bar 0"),
        ({"symbols": ("A",)}, r"symbols must have one name an asset \(2\), had 1"),
        ({"symbols": ("A", "A")}, "symbols must be unique, 'A' stands twice"),
        ({"symbols": ("A", "")}, "a symbol must be a text that is not empty, was ''"),
        ({"symbols": ("A", 5)}, "a symbol must be a text that is not empty, was 5"),
        ({"symbols": ("A", ["B"])}, r"a symbol must be a text that is not empty, was \['B'\]"),
        ({"open": np.ones(4)}, "open must have two axes"),
        ({"open": np.ones((3, 2))}, r"open must have the shape of the bars \(4, 2\), had \(3, 2\)"),
        ({"open": np.full((4, 2), "x")}, "open must be numbers"),
    ],
)
def test_axes_that_do_not_fit_are_refused(changes, rule):
    arguments = panels() | {"bar_end": times(4), "symbols": ("AAPL", "MSFT")} | changes
    with pytest.raises(InputError, match=rule):
        Bars(**arguments)


@pytest.mark.parametrize(
    ("bar_end", "value"),
    [
        (times(4).astype("M8[ns]") + np.timedelta64(1, "ns"), "2020-01-01T21:00:00.000000001"),
        (np.datetime64(2**45, "s") + np.arange(4), "1116918-05-14T19:20:32"),
    ],
)
def test_time_that_microseconds_cannot_hold_is_refused_not_cut_or_wrapped(bar_end, value):
    with pytest.raises(InputError, match=f"bar_end must be whole microseconds that fit 64 bits, was {value}"):
        Bars(**panels(), bar_end=bar_end, symbols=("AAPL", "MSFT"))


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
@pytest.mark.parametrize("start", ["1965-02-26", "2020-02-27", "2199-12-30"])
def test_times_of_any_unit_are_the_same_instants(unit, start):
    bar_end = np.datetime64(start, "D") + np.arange(4)
    for given in (bar_end.astype(f"M8[{unit}]"), bar_end.astype(f">M8[{unit}]")):
        bars = Bars(**panels(), bar_end=given, symbols=("AAPL", "MSFT"))
        assert bars.bar_end.dtype == np.dtype("M8[us]")
        np.testing.assert_array_equal(bars.bar_end, bar_end)


def test_times_one_microsecond_apart_are_different_bars():
    bar_end = np.datetime64("2020-01-01T21:00", "us") + np.arange(4)
    Bars(**panels(), bar_end=bar_end, symbols=("AAPL", "MSFT"))
    values = panels()
    values["low"][2, 1] = -1.0
    with pytest.raises(InputError, match=r"was -1.0 for MSFT at 2020-01-01 21:00:00\.000002 UTC"):
        Bars(**values, bar_end=bar_end, symbols=("AAPL", "MSFT"))


def test_bars_keep_the_callers_arrays_writable_and_their_own_read_only():
    values = panels()
    bar_end = times(4)
    bars = Bars(**values, bar_end=bar_end, symbols=("AAPL", "MSFT"))
    for name in PANELS:
        assert values[name].flags.writeable
        assert np.shares_memory(getattr(bars, name), values[name])
    assert bar_end.flags.writeable
    assert np.shares_memory(bars.bar_end, bar_end)
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        bars.bar_end[0] = bar_end[1]


def test_arrays_of_another_layout_or_type_give_the_same_bars():
    plain = Bars(**panels(), bar_end=times(4), symbols=("AAPL", "MSFT"))
    for convert in (np.asfortranarray, lambda x: x.astype(np.float32), lambda x: x.astype(">f8"), np.ndarray.tolist):
        values = {name: convert(value) for name, value in panels().items()}
        bars = Bars(**values, bar_end=times(4), symbols=["AAPL", np.str_("MSFT")])
        assert bars.symbols == plain.symbols and set(map(type, bars.symbols)) == {str}
        for name in PANELS:
            np.testing.assert_array_equal(getattr(bars, name), getattr(plain, name))
            assert getattr(bars, name).flags.c_contiguous


def test_slice_of_bars_keeps_symbols_and_cuts_time():
    bars = random_bars(np.random.default_rng(0), 10, 2)
    part = bars[3:7]
    assert part.n_bars == 4
    np.testing.assert_array_equal(part.close, bars.close[3:7])
    np.testing.assert_array_equal(part.bar_end, bars.bar_end[3:7])
    np.testing.assert_array_equal(bars[1::3].open, bars.open[1::3])
    assert not part.close.flags.writeable and not bars[::3].close.flags.writeable
    for wrong in (3, slice(None, None, -1)):
        with pytest.raises(InputError, match="forward slice of time"):
            bars[wrong]


def long_frame(bars):
    rows = []
    for bar in range(bars.n_bars):
        for asset in range(bars.n_assets):
            if not np.isnan(bars.close[bar, asset]):
                values = {name: getattr(bars, name)[bar, asset] for name in PANELS}
                end = pd.Timestamp(bars.bar_end[bar], tz="UTC")
                rows.append({"symbol": bars.symbols[asset], "bar_end": end, **values})
    return pd.DataFrame(rows)


def test_frame_in_any_order_gives_the_bars():
    bars = random_bars(np.random.default_rng(0), 30, 4, missing_rate=0.2)
    frame = long_frame(bars).sample(frac=1.0, random_state=1)
    frame["bar_end"] = frame["bar_end"].dt.tz_convert("America/New_York")
    other = Bars.from_frame(frame.assign(extra=1))
    assert other.symbols == bars.symbols
    assert other.has_gaps
    np.testing.assert_array_equal(other.bar_end, bars.bar_end)
    for name in PANELS:
        np.testing.assert_array_equal(getattr(other, name), getattr(bars, name))


def test_local_closes_over_the_change_of_clocks_are_bars_in_utc():
    closes = pd.date_range("2020-03-05 16:00", periods=5, freq="D", tz="America/New_York")
    frame = pd.DataFrame({"symbol": "AAPL", "bar_end": closes, **dict.fromkeys(PANELS, 10.0)})
    hours = Bars.from_frame(frame).bar_end.astype("M8[h]").astype(int) % 24
    assert hours.tolist() == [21, 21, 21, 20, 20]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda frame: frame.rename(columns={"close": "clsoe"}), "need the column 'close'; did you mean 'clsoe'?"),
        (lambda frame: frame.assign(bar_end=frame["bar_end"].dt.tz_localize(None)), "bar_end must be timezone-aware"),
        (lambda frame: frame.assign(bar_end=frame["bar_end"].astype(str)), "bar_end must be timezone-aware times, was"),
        (
            lambda frame: frame.assign(bar_end=frame["bar_end"].dt.as_unit("ns") + pd.Timedelta(1, "ns")),
            "bar_end must be whole microseconds that fit 64 bits, was 2020-01-01T21:00:00.000000001",
        ),
        (
            lambda frame: pd.concat([frame, frame.iloc[[5]]]),
            "a bar must stand once, stood 2 times for A1 at 2020-01-03",
        ),
        (lambda frame: frame.assign(symbol=[None, *frame["symbol"][1:]]), "symbol and bar_end must not be missing"),
        (
            lambda frame: frame.assign(bar_end=[pd.NaT, *frame["bar_end"][1:]]),
            "symbol and bar_end must not be missing",
        ),
    ],
)
def test_frame_that_breaks_a_rule_is_refused(spoil, rule):
    frame = long_frame(random_bars(np.random.default_rng(0), 5, 2))
    with pytest.raises(InputError) as error:
        Bars.from_frame(spoil(frame))
    assert rule in str(error.value)
