"""Bars from trades: against a slow plain reference and pandas, cut anywhere, at boundaries and with bad trades."""

from __future__ import annotations

import ast
import datetime as dt
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from lakehouse import Lake
from lakehouse.errors import BadName
from lakehouse.intraday import BarSampler, Hours, SampledBars, bars_of_trades, kernels, sample_bars, session_edges
from lakehouse.schemas import table_schema

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
OPEN = int(np.datetime64("2024-11-29T14:30", "ns").view(np.int64))
SIZES = {"time": dt.timedelta(minutes=1), "tick": 3, "volume": 10.0, "dollar": 1000.0}


def reference(times, prices, sizes, kind, size, boundaries=(), until=None):
    """Bars one trade at a time, as dictionaries: the rules spelled out, nothing fast."""
    made, held = [], []
    step = size // dt.timedelta(microseconds=1) * 1000 if kind == "time" else None

    def make(end, is_whole):
        volume, value = 0.0, 0.0
        for _, price, units in held:
            volume += units
            value += price * units
        cost = [price for _, price, _ in held]
        made.append(
            {
                "bar_start": held[0][0],
                "bar_end": end,
                "open": cost[0],
                "high": max(cost),
                "low": min(cost),
                "close": cost[-1],
                "volume": volume,
                "vwap": min(max(value / volume, min(cost)), max(cost)) if volume else float("nan"),
                "n_trades": len(held),
                "is_whole": is_whole,
            }
        )
        held.clear()

    def clock_end(first):
        """When the clock ends the bar that the first trade began, and whether it is then whole."""
        origin = max([b for b in boundaries if b <= first], default=0)
        ends = [(b, kind == "time" and (b - origin) % step == 0) for b in boundaries if b > first][:1]
        if kind == "time":
            ends.append((origin + ((first - origin) // step + 1) * step, True))
        return min(ends, default=None)

    for trade in zip(times, prices, sizes, strict=True):
        ending = clock_end(held[0][0]) if held else None
        if ending is not None and trade[0] >= ending[0]:
            make(*ending)
        held.append(trade)
        volume, value = 0.0, 0.0
        for _, price, units in held:
            volume += units
            value += price * units
        reached = {"time": None, "tick": len(held), "volume": volume, "dollar": value}[kind]
        if reached is not None and reached >= size:
            make(trade[0], True)
    ending = clock_end(held[0][0]) if held else None
    if ending is not None and until is not None and ending[0] <= until:
        make(*ending)
    return made


def assert_equals_reference(bars: SampledBars, expected: list[dict[str, object]]) -> None:
    assert len(bars) == len(expected)
    for name in ("open", "high", "low", "close", "volume", "vwap", "n_trades", "is_whole"):
        np.testing.assert_array_equal(getattr(bars, name), [bar[name] for bar in expected], err_msg=name)
    for name in ("bar_start", "bar_end"):
        assert getattr(bars, name).dtype == np.dtype("datetime64[ns]")
        assert getattr(bars, name).view(np.int64).tolist() == [bar[name] for bar in expected]


def market(n_trades: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trades in bursts of the same moment, with sizes of zero now and then."""
    rng = np.random.default_rng(seed)
    times = OPEN + np.cumsum(rng.choice([0, 0, 1, 7 * SECOND], n_trades))
    prices = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, n_trades))), 2)
    return times, prices, np.floor(rng.exponential(4.0, n_trades))


trades = st.lists(
    st.tuples(
        st.sampled_from([0, 1, SECOND, 29 * SECOND, MINUTE - 1, MINUTE, 5 * MINUTE]),
        st.sampled_from([99.5, 100.0, 100.01, 101.25]),
        st.sampled_from([0.0, 0.1, 1.0, 3.0, 9.0, 25.0]),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(
    trades,
    st.sampled_from(list(SIZES)),
    st.lists(st.integers(0, 40), unique=True, max_size=4),
    st.one_of(st.none(), st.integers(0, 90)),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_bars_are_those_of_a_plain_reference_however_the_trades_are_cut(drawn, kind, edges, ahead, cuts):
    waits, prices, sizes = (list(column) for column in zip(*drawn, strict=True)) if drawn else ([], [], [])
    times = (OPEN + np.cumsum(waits)).tolist() if waits else []
    boundaries = sorted(OPEN + 47 * SECOND * edge for edge in edges)
    until = None if ahead is None else (times[-1] if times else OPEN) + 13 * SECOND * ahead
    expected = reference(times, prices, sizes, kind, SIZES[kind], boundaries, until)
    arguments = {"boundaries": np.array(boundaries, dtype="datetime64[ns]")}
    clock = None if until is None else np.datetime64(until, "ns")
    data = np.array(times, dtype="datetime64[ns]"), np.array(prices), np.array(sizes)
    assert_equals_reference(sample_bars(*data, kind=kind, size=SIZES[kind], **arguments, until=clock), expected)
    sampler = BarSampler(kind, SIZES[kind], **arguments)
    places = [0, *sorted(min(cut, len(times)) for cut in cuts), len(times)]
    pieces = [
        sampler.add(*(column[a:b] for column in data), until=clock if number == len(places) - 2 else None)
        for number, (a, b) in enumerate(itertools.pairwise(places))
    ]
    assert_equals_reference(SampledBars.joined(pieces), expected)
    assert sampler.n_open == len(times) - sum(bar["n_trades"] for bar in expected)


@pytest.mark.parametrize("kind", SIZES)
def test_many_trades_fill_the_kernels_output_several_times_and_none_is_lost(kind, monkeypatch):
    from lakehouse.intraday import sampling

    times, prices, sizes = market(3000)
    until = int(times[-1]) + DAY
    expected = reference(times.tolist(), prices.tolist(), sizes.tolist(), kind, SIZES[kind], until=until)
    assert len(expected) > 50
    for room in (1, 2, 7):
        monkeypatch.setattr(sampling, "_ROOM", room)
        monkeypatch.setattr(sampling, "_N_READ", 10 * room)
        clock = np.datetime64(until, "ns")
        assert_equals_reference(sample_bars(times, prices, sizes, kind=kind, size=SIZES[kind], until=clock), expected)


def test_time_bars_are_those_of_a_pandas_groupby():
    times, prices, sizes = market(20_000, seed=1)
    bars = sample_bars(
        times, prices, sizes, kind="time", size=dt.timedelta(minutes=5), until=np.datetime64("2030-01-01")
    )
    frame = pd.DataFrame({"price": prices, "size": sizes, "value": prices * sizes}, index=pd.DatetimeIndex(times))
    groups = frame.groupby(frame.index.floor("5min"))
    expected = groups["price"].agg(["first", "max", "min", "last"]).set_axis(["open", "high", "low", "close"], axis=1)
    for name in expected:
        np.testing.assert_array_equal(getattr(bars, name), expected[name])
    np.testing.assert_array_equal(bars.bar_end, expected.index + pd.Timedelta("5min"))
    np.testing.assert_array_equal(bars.volume, groups["size"].sum())
    np.testing.assert_array_equal(bars.n_trades, groups.size())
    np.testing.assert_allclose(bars.vwap, groups["value"].sum() / groups["size"].sum(), rtol=1e-12)
    assert bars.is_whole.all() and len(bars) > 50


def test_tick_bars_are_those_of_a_pandas_groupby():
    times, prices, sizes = market(10_007, seed=2)
    bars = sample_bars(times, prices, sizes, kind="tick", size=100)
    frame = pd.DataFrame({"time": times, "price": prices, "size": sizes}).iloc[:10_000]
    groups = frame.groupby(np.arange(10_000) // 100)
    np.testing.assert_array_equal(bars.high, groups["price"].max())
    np.testing.assert_array_equal(bars.low, groups["price"].min())
    np.testing.assert_array_equal(bars.volume, groups["size"].sum())
    np.testing.assert_array_equal(bars.bar_end.view(np.int64), groups["time"].last())
    np.testing.assert_array_equal(bars.bar_start.view(np.int64), groups["time"].first())


def test_a_trade_that_crosses_the_volume_is_not_split_and_the_next_bar_begins_with_nothing():
    bars = sample_bars(
        [OPEN, OPEN + 1, OPEN + 2, OPEN + 3], [10.0, 11.0, 12.0, 13.0], [6, 9, 4, 6], kind="volume", size=10
    )
    assert bars.volume.tolist() == [15.0, 10.0]
    assert bars.n_trades.tolist() == [2, 2]
    assert bars.bar_end.view(np.int64).tolist() == [OPEN + 1, OPEN + 3]
    assert bars.vwap.tolist() == [(60 + 99) / 15, (48 + 78) / 10]


def test_the_rest_that_no_trade_closed_is_open_and_no_bar():
    sampler = BarSampler("volume", 10)
    assert len(sampler.add([OPEN], [10.0], [9.0], until=np.datetime64("2100-01-01"))) == 0
    assert sampler.n_open == 1
    (end,) = sampler.add([OPEN + 5], [10.0], [1.0]).bar_end
    assert end == np.datetime64(OPEN + 5, "ns")
    assert sampler.n_open == 0


def test_a_time_bar_is_knowable_when_the_clock_says_so_not_at_its_last_trade():
    sampler = BarSampler("time", dt.timedelta(minutes=1))
    almost = OPEN + MINUTE - 1
    assert len(sampler.add([almost], [10.0], [1.0], until=np.datetime64(almost, "ns"))) == 0
    bars = sampler.add((), (), (), until=np.datetime64(OPEN + MINUTE, "ns"))
    assert bars.bar_end.view(np.int64).tolist() == [OPEN + MINUTE]
    assert bars.bar_start.view(np.int64).tolist() == [almost]


def test_no_bar_crosses_the_edges_of_a_half_day():
    hours = Hours(before=dt.timedelta(hours=1), after=dt.timedelta(hours=1))
    day = dt.datetime(2024, 11, 29, tzinfo=dt.UTC)
    edges = session_edges(hours, day, day + dt.timedelta(days=1))
    assert [str(edge)[11:16] for edge in edges] == ["13:30", "14:30", "18:00", "19:00"]
    n = 400
    times = OPEN - 30 * MINUTE + np.arange(n) * MINUTE
    bars = sample_bars(times, np.full(n, 10.0), np.full(n, 1.0), kind="tick", size=1000, boundaries=edges)
    assert [str(end)[11:16] for end in bars.bar_end] == ["14:30", "18:00", "19:00"]
    assert bars.n_trades.tolist() == [30, 210, 60]
    assert not bars.is_whole.any()
    hourly = sample_bars(
        times, np.full(n, 10.0), np.full(n, 1.0), kind="time", size=dt.timedelta(hours=1), boundaries=edges
    )
    assert [str(end)[11:16] for end in hourly.bar_end[:6]] == ["14:30", "15:30", "16:30", "17:30", "18:00", "19:00"]
    assert hourly.is_whole.tolist()[:6] == [True, True, True, True, False, True]


@pytest.mark.parametrize("kind", SIZES)
def test_what_is_traded_later_changes_no_bar_that_has_ended(kind):
    times, prices, sizes = market(500, seed=3)
    whole = sample_bars(times, prices, sizes, kind=kind, size=SIZES[kind])
    for n in (1, 57, 200, 499):
        moment = times[n]
        earlier = sample_bars(times[:n], prices[:n], sizes[:n], kind=kind, size=SIZES[kind])
        other = sample_bars(times, np.where(np.arange(500) < n, prices, 1.0), sizes, kind=kind, size=SIZES[kind])
        known = int((earlier.bar_end.view(np.int64) < moment).sum())
        for name, values in vars(earlier).items():
            np.testing.assert_array_equal(values[:known], vars(whole)[name][:known])
            np.testing.assert_array_equal(values[:known], vars(other)[name][:known])


@settings(max_examples=60, deadline=None)
@given(trades, st.sampled_from(list(SIZES)))
def test_every_bar_follows_the_rules_of_bars(drawn, kind):
    waits, prices, sizes = (list(column) for column in zip(*drawn, strict=True)) if drawn else ([], [], [])
    times = OPEN + np.cumsum(np.array(waits, dtype=np.int64))
    bars = sample_bars(
        times, np.array(prices), np.array(sizes), kind=kind, size=SIZES[kind], until=np.datetime64("2100-01-01")
    )
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    traded = bars.volume > 0
    assert ((bars.low <= bars.vwap) & (bars.vwap <= bars.high))[traded].all()
    assert np.isnan(bars.vwap[~traded]).all()
    assert (np.diff(bars.bar_end) >= np.timedelta64(0)).all()
    assert (bars.bar_start <= bars.bar_end).all()
    assert bars.n_trades.sum() <= len(prices)
    if kind == "time":
        assert bars.n_trades.sum() == len(prices)
        assert bars.volume.sum() == pytest.approx(sum(sizes))


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        (0, np.datetime64("NaT"), "times must not be missing, was NaT for trade 5"),
        (
            0,
            np.datetime64("2000-01-01"),
            "times must not fall, was 2000-01-01T00:00:00.000000000 after 20.* for trade 5",
        ),
        (1, np.nan, "prices must be positive and finite, was nan for trade 5 at 2024-11-29T14:30"),
        (1, 0.0, "prices must be positive"),
        (1, -1.0, "prices must be positive"),
        (1, np.inf, "prices must be positive and finite"),
        (2, -1.0, "sizes must be zero or positive, and finite, was -1.0 for trade 5"),
        (2, np.nan, "sizes must be zero or positive"),
        (2, np.inf, "sizes must be zero or positive"),
    ],
)
def test_a_trade_that_breaks_a_rule_is_refused_by_name_and_nothing_is_added(column, value, rule, monkeypatch):
    from lakehouse.intraday import sampling

    monkeypatch.setattr(sampling, "_N_READ", 2)
    times = OPEN + np.arange(8) * SECOND
    data = [times.astype("datetime64[ns]"), np.full(8, 10.0), np.full(8, 1.0)]
    sampler = BarSampler("tick", 4)
    sampler.add(*(values[:1] for values in data))
    broken = [values.copy() for values in data]
    broken[column][5] = value
    with pytest.raises(InputError, match=rule):
        sampler.add(*broken)
    assert sampler.n_open == 1
    assert sampler.add(*(values[1:] for values in data)).n_trades.tolist() == [4, 4]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("volumes", 10), "kind must be one of .*; did you mean 'volume'"),
        (("volume", 0), "the size of volume bars is positive and finite, was 0"),
        (("dollar", np.nan), "the size of dollar bars is positive and finite"),
        (("tick", 2.5), "the size of tick bars is a whole number of trades, was 2.5"),
        (("tick", True), "the size of tick bars is a whole number of trades, was True"),
        (("volume", dt.timedelta(1)), "the size of volume bars is positive and finite"),
        (("time", 60), "the size of time bars is a positive timedelta, was 60"),
        (("time", dt.timedelta(0)), "the size of time bars is a positive timedelta"),
    ],
)
def test_a_rule_that_makes_no_bars_is_refused(arguments, rule):
    with pytest.raises(InputError, match=rule):
        BarSampler(*arguments)


def test_times_without_meaning_are_refused():
    with pytest.raises(InputError, match="boundaries must increase strictly"):
        BarSampler("tick", 1, boundaries=np.array(["2024-01-02", "2024-01-02"], dtype="datetime64[D]"))
    with pytest.raises(InputError, match="times must be datetime64 in UTC or int64 nanoseconds, one axis, was float64"):
        sample_bars([1.5], [1.0], [1.0], kind="tick", size=1)
    with pytest.raises(InputError, match="times must be whole nanoseconds that fit 64 bits"):
        sample_bars(np.array(["9999-01-01"], dtype="datetime64[D]"), [1.0], [1.0], kind="tick", size=1)
    with pytest.raises(InputError, match=r"a trade needs one of each: \(1,\) times, \(2,\) prices"):
        sample_bars([1], [1.0, 2.0], [1.0], kind="tick", size=1)


def test_whole_numbers_and_coarser_times_mean_the_same():
    times, prices, sizes = market(200, seed=4)
    times = times // SECOND * SECOND
    nanoseconds = sample_bars(times, prices, sizes, kind="volume", size=10)
    seconds = sample_bars(
        times.astype("datetime64[ns]").astype("datetime64[s]"), prices, sizes.astype(np.int32), kind="volume", size=10
    )
    pd.testing.assert_frame_equal(nanoseconds.frame(), seconds.frame())
    assert str(nanoseconds.frame()["bar_end"].dt.tz) == "UTC"


def test_compiled_code_uses_nothing_compiled_in_another_file():
    tree = ast.parse(Path(kernels.__file__).read_text(encoding="utf-8"))
    imported = {
        (getattr(node, "module", None), name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert {name for module, name in imported if module not in ("__future__", "typing", "numpy.typing")} == {
        "numpy",
        "kernel",
        "step",
    }


RUN = """
import sys
import numpy as np
sys.path.insert(0, {folder!r})
from copied_kernels import *
clock, sums = np.zeros(N_CLOCK, dtype=np.int64), np.zeros(N_SUMS)
room = BarColumns(*(np.zeros(1, dtype=np.int64) for _ in range(2)), *(np.zeros(1) for _ in range(6)),
                  np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.bool_))
one = np.ones(1)
sample_nb(clock, sums, np.ones(1, dtype=np.int64), one, one, np.zeros(0, dtype=np.int64), 0, Rule(TICK, 1.0, 1), room)
print(room.close[0], sample_nb.stats.cache_hits.total() if hasattr(sample_nb, "stats") else 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_an_edit_to_a_step_is_seen_in_spite_of_the_cache(tmp_path):
    source = Path(kernels.__file__).read_text(encoding="utf-8")
    copy = tmp_path / "copied_kernels.py"

    def run(text: str) -> list[str]:
        copy.write_text(text, encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"QUANTLAKE_KERNELS": str(tmp_path / "kernels"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", RUN.format(folder=str(tmp_path))]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert run(source)[0] == "1.0"
    assert list((tmp_path / "kernels").rglob("*.nbc"))
    edited = source.replace("columns_out.close[bar] = prices", "columns_out.close[bar] = prices[:3] + (7.0,)")
    assert edited != source
    assert run(edited)[0] == "7.0"


DIGEST = """
import datetime as dt, hashlib, sys
import numpy as np
from lakehouse.intraday.sampling import sample_bars
times, prices, sizes = np.load(sys.argv[1])
digest = hashlib.sha256()
for kind, size in {"time": dt.timedelta(minutes=1), "tick": 3, "volume": 10.0, "dollar": 1000.0}.items():
    edges = times[90:600:91].astype(np.int64)
    bars = sample_bars(times.astype(np.int64), prices, sizes, kind=kind, size=size, boundaries=edges)
    digest.update(b"".join(values.tobytes() for values in vars(bars).values()))
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_plain_python_and_checked_bounds_give_the_same_bars(tmp_path):
    times, prices, sizes = market(700, seed=9)
    np.save(tmp_path / "trades.npy", np.array([times - OPEN + np.arange(700), prices, sizes]))
    found = []
    for variable in ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK", "NOTHING"):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | {variable: "1"}
        command = [sys.executable, "-c", DIGEST, str(tmp_path / "trades.npy")]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        found.append(done.stdout)
    assert found[0] == found[1] == found[2] != ""


def stored_trades(n_trades: int = 3000) -> pa.Table:
    """Trades of two symbols over three days, some of them corrected."""
    times, prices, sizes = market(n_trades, seed=5)
    times = OPEN // 1000 + (times - OPEN) // 1000 + np.arange(n_trades) * 80_000_000
    schema = table_schema("core/trades").schema
    instants = pa.array(times).cast(pa.timestamp("us", tz="UTC"))
    columns = {
        "symbol": pa.array(np.where(np.arange(n_trades) % 3 == 0, "BBB", "AAA")),
        "time": instants,
        "sequence": pa.array(np.arange(n_trades)),
        "price": pa.array(prices),
        "size": pa.array(sizes),
        "correction": pa.array((np.arange(n_trades) % 10 == 7).astype(np.int64)),
        "made_at": instants,
        "known_at": instants,
        "month": pa.array([str(month) for month in times.astype("datetime64[us]").astype("datetime64[M]")]),
    }
    filled = {name: columns.get(name, pa.array([""] * n_trades)) for name in schema.names}
    return pa.table(filled, schema=schema)


def test_bars_of_stored_trades_are_those_of_all_trades_at_once(tmp_path):
    lake, rows = Lake(tmp_path), stored_trades()
    months = sorted(set(rows.column("month").to_pylist()))
    lake.replace("core/trades", rows, partitions=months, batch_id="b")
    frame = rows.to_pandas()
    assert frame["time"].dt.date.nunique() > 2 and len(months) == 2
    start, end = dt.datetime(2024, 11, 29, 20, tzinfo=dt.UTC), dt.datetime(2024, 12, 1, 15, 7, tzinfo=dt.UTC)
    wanted = frame[
        (frame["symbol"] == "AAA") & (frame["correction"] == 0) & (frame["time"] >= start) & (frame["time"] < end)
    ]
    assert len(wanted) > 500
    data = wanted["time"].dt.tz_convert(None).to_numpy(), wanted["price"].to_numpy(), wanted["size"].to_numpy()
    start = wanted["time"].iloc[0].to_pydatetime()
    for kind, size in SIZES.items():
        found = bars_of_trades(lake, "AAA", start, end, kind=kind, size=size)
        expected = sample_bars(*data, kind=kind, size=size, until=np.datetime64("2024-12-01T15:07"))
        pd.testing.assert_frame_equal(found.frame(), expected.frame())
        assert len(found) > 10
    assert len(bars_of_trades(lake, "AAA", start, end, kind="tick", size=3, where=())) > len(wanted) // 3
    later = end + dt.timedelta(days=40)
    assert len(bars_of_trades(lake, "AAA", later, later + dt.timedelta(days=2), kind="tick", size=3)) == 0
    with pytest.raises(BadName, match="unknown symbol 'AAAA' in core/trades; did you mean 'AAA'"):
        bars_of_trades(lake, "AAAA", start, end, kind="tick", size=3)
