"""Runs on the real sample: recorded once, counted, replayed."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.research.market import INPUTS, ResearchError, load_market
from assets.research.reproduce import reproduce
from assets.research.validity import trial_variance
from assets.research.walk_forward import plan_windows
from assets.research.workflow import Bench
from assets.tracking import Tracking
from strategies.spec import load_spec
from tests.homes import Home

NOW = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def bench(sample_home: Home) -> Bench:
    tracking = Tracking(sample_home.path)
    tracking.initialise()
    return Bench(sample_home.lake, tracking, NOW)


def test_a_backtest_is_recorded_whole_and_under_one_id(bench: Bench) -> None:
    recorded = bench.backtest(load_spec("ma_cross"))
    stored = bench.tracking.find(recorded.run_id)
    assert stored.status == "FINISHED"
    assert stored.params["p.fast"] == "20"
    assert stored.metrics["is/sharpe"] == recorded.run.result.metrics["sharpe"]
    assert stored.tags["hash/result"] == recorded.hash
    written = {table: version for table, version in bench.lake.pins(INPUTS).items() if version >= 0}
    assert {dataset.name: dataset.version for dataset in stored.datasets} == written
    files = {path.name for path in stored.artifacts.iterdir()}
    assert files == {"spec.yaml", "equity.parquet", "trades.parquet", "tear_sheet.html"}
    equity = bench.lake.scan("research/equity", where=[("run_id", "=", recorded.run_id)])
    assert pq.read_table(stored.artifacts / "equity.parquet").column("equity") == equity.column("equity")
    assert np.array_equal(equity.column("equity").to_numpy(), recorded.run.result.equity)
    trades = bench.lake.scan("research/trades", where=[("run_id", "=", recorded.run_id)])
    closed = trades.filter(pa.compute.invert(trades.column("is_open")))
    assert closed.num_rows == recorded.run.result.metrics["n_trades"]
    row = bench.lake.scan("research/runs").to_pylist()[0]
    assert (row["run_id"], row["result_hash"], row["created_at"]) == (recorded.run_id, recorded.hash, NOW)


def test_the_same_run_again_keeps_its_id_and_doubles_nothing(bench: Bench) -> None:
    spec = load_spec("equal_weight")
    first, second = bench.backtest(spec), bench.backtest(spec)
    assert first.run_id == second.run_id
    assert bench.lake.scan("research/runs").num_rows == 1
    assert bench.lake.scan("research/equity").num_rows == len(first.run.result.equity)


def test_a_killed_recording_is_finished_by_the_next_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec("equal_weight")
    append, calls = bench.lake.append_once, []

    def dies_at_the_third_table(table: str, *arguments: object, **more: object) -> object:
        calls.append(table)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return append(table, *arguments, **more)

    monkeypatch.setattr(bench.lake, "append_once", dies_at_the_third_table)
    with pytest.raises(KeyboardInterrupt):
        bench.backtest(spec)
    assert bench.lake.scan("research/runs").num_rows == 0
    monkeypatch.undo()
    recorded = bench.backtest(spec)
    assert bench.lake.scan("research/runs").column("run_id").to_pylist() == [recorded.run_id]
    assert bench.lake.scan("research/equity").num_rows == len(recorded.run.result.equity)
    assert bench.tracking.find(recorded.run_id).status == "FINISHED"


def test_every_trial_of_sweep_and_windows_is_kept_and_counted(bench: Bench) -> None:
    spec = load_spec("ma_cross")
    swept = bench.sweep(spec)
    _, windows = bench.windows(spec, ["2005", "2006"])
    trials = bench.lake.scan("research/trials").to_pylist()
    n_swept = len(swept.run.studies[0].trials)
    assert n_swept == math.prod(len(domain.values) for domain in spec.search.values())
    assert len(trials) == n_swept + sum(window.run.n_trials for window in windows)
    assert windows[-1].validity.n_trials == len(trials)
    assert {trial["study"] for trial in trials} == {"sweep", "2005", "2006"}


@pytest.mark.slow
def test_the_stitched_run_is_deflated_by_all_trials(bench: Bench) -> None:
    spec = load_spec("momentum")
    bench.sweep(spec)
    bench.windows(spec)
    recorded = bench.report(spec)
    by_study: dict[str, list[float]] = {}
    for trial in bench.lake.scan("research/trials").to_pylist():
        by_study.setdefault(trial["study"], []).append(trial["sharpe_per_bar"])
    n = sum(len(values) for values in by_study.values())
    variance = sum(((np.array(v) - np.mean(v)) ** 2).sum() for v in by_study.values()) / (n - len(by_study))
    assert trial_variance(by_study) == pytest.approx(variance, rel=1e-12)
    returns = np.diff(np.concatenate([[spec.account.cash], recorded.run.result.equity])) / np.concatenate(
        [[spec.account.cash], recorded.run.result.equity[:-1]]
    )
    sharpe = returns.mean() / returns.std(ddof=1)
    z = (returns - returns.mean()) / returns.std()
    skew, kurtosis = (z**3).mean(), (z**4).mean()
    normal, gamma = NormalDist(), 0.5772156649015329
    expected = math.sqrt(variance) * (
        (1 - gamma) * normal.inv_cdf(1 - 1 / n) + gamma * normal.inv_cdf(1 - 1 / (n * math.e))
    )
    deflated = normal.cdf(
        (sharpe - expected)
        * math.sqrt(len(returns) - 1)
        / math.sqrt(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    )
    assert recorded.validity.n_trials == n
    assert recorded.validity.deflated_sharpe == pytest.approx(deflated, abs=1e-9)


@pytest.mark.slow
def test_windows_are_children_of_the_walk_forward_and_the_report_is_its_headline(bench: Bench) -> None:
    spec = load_spec("equal_weight")
    parent, windows = bench.windows(spec)
    recorded = bench.report(spec)
    assert recorded.run_id == parent
    assert {bench.tracking.find(window.run_id).parent_run_id for window in windows} == {parent}
    market = load_market(bench.lake, spec, bench.lake.pins(INPUTS))
    planned = plan_windows(market, spec)
    assert [window.run.test_window for window in windows] == [window.key for window in planned]
    expected = market.bars.bar_end[planned[0].test.start : planned[-1].test.stop]
    assert np.array_equal(recorded.run.result.bar_end, expected)
    assert list(bench.tracking.find(parent).metrics)  # the headline is on the parent
    assert bench.tracking.find(parent).metrics["oos/sharpe"] == recorded.run.result.metrics["sharpe"]


def test_the_test_bars_of_a_window_do_not_decide_its_parameters(bench: Bench) -> None:
    spec = load_spec("ma_cross")
    _, (before,) = bench.windows(spec, ["2006"])
    bars = bench.lake.scan("core/daily_bars", where=[("month", ">=", "2006-01")]).to_pandas()
    rng = np.random.default_rng(5)
    factor = np.exp(rng.normal(0, 0.05, len(bars)))
    for name in ("open", "high", "low", "close"):
        bars[name] *= factor
    schema = bench.lake.scan("core/daily_bars").schema
    months = sorted(bars["month"].unique())
    changed = pa.Table.from_pandas(bars, schema=schema, preserve_index=False)
    bench.lake.replace("core/daily_bars", changed, partitions=months, batch_id="another future")
    _, (after,) = bench.windows(spec, ["2006"])
    assert after.run.parameters == before.run.parameters
    assert [trial.metrics for trial in after.run.studies[0].trials] == [
        trial.metrics for trial in before.run.studies[0].trials
    ]
    assert after.hash != before.hash


@pytest.mark.slow
def test_runs_replay_to_the_same_hash_after_the_tables_have_moved_on(bench: Bench) -> None:
    spec = load_spec("momentum")
    runs = [bench.backtest(spec), bench.sweep(spec), *bench.windows(spec)[1], bench.report(spec)]
    rows = bench.lake.scan("core/daily_bars", where=[("month", "=", "2008-10")])
    dearer = rows.set_column(
        rows.column_names.index("high"), rows.schema.field("high"), pa.compute.multiply(rows.column("high"), 1.5)
    )
    bench.lake.replace("core/daily_bars", dearer, partitions=["2008-10"], batch_id="a restatement")
    for recorded in runs:
        replayed = reproduce(bench.lake, recorded.run_id[:12])
        assert replayed.is_equal and replayed.replayed_hash == recorded.hash
        assert replayed.differences == ()


def test_a_changed_record_is_told_apart(bench: Bench) -> None:
    recorded = bench.backtest(load_spec("equal_weight"))
    row = bench.lake.scan("research/runs").to_pylist()[0]
    forged = {**row, "run_id": "f" * 32, "result_hash": "0" * 64, "engine_hash": "another engine"}
    schema = bench.lake.scan("research/runs").schema
    bench.lake.append_once("research/runs", pa.Table.from_pylist([forged], schema=schema), batch_id="forged")
    outcome = reproduce(bench.lake, "f" * 32)
    assert not outcome.is_equal
    assert outcome.replayed_hash == recorded.hash
    assert any("the engine's source changed" in text for text in outcome.differences)


def test_errors_name_the_nearest_right_one(bench: Bench) -> None:
    recorded = bench.backtest(load_spec("equal_weight"))
    with pytest.raises(ResearchError, match=recorded.run_id):
        reproduce(bench.lake, recorded.run_id[:-2] + "zz")
    wrong = load_spec("equal_weight").to_yaml().replace("universe: sample", "universe: sampel")
    from strategies.spec import Spec

    with pytest.raises(ResearchError, match="did you mean 'sample'"):
        bench.backtest(Spec.from_yaml(wrong, "equal_weight"))
    with pytest.raises(ResearchError, match="no walk-forward window of 'momentum'"):
        bench.report(load_spec("momentum"))


def test_a_report_of_missing_windows_names_them(bench: Bench) -> None:
    spec = load_spec("equal_weight")
    bench.windows(spec, ["2004", "2006"])
    with pytest.raises(ResearchError, match=r"windows 2005, 2007.* are missing"):
        bench.report(spec)


def test_a_walk_forward_longer_than_the_data_names_both_lengths(bench: Bench) -> None:
    from strategies.errors import WalkForwardError
    from strategies.spec import Spec

    text = load_spec("equal_weight").to_yaml().replace("train_years: 3", "train_years: 20")
    with pytest.raises(WalkForwardError, match=r"21 whole years.*there are 13"):
        bench.windows(Spec.from_yaml(text, "equal_weight"))


def test_stored_metrics_have_no_infinities(bench: Bench) -> None:
    bench.sweep(load_spec("ma_cross"))
    for row in bench.lake.scan("research/trials").to_pylist():
        assert all(value is None or math.isfinite(value) for value in json.loads(row["metrics"]).values())
