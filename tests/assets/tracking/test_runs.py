"""One run: what is written, found again, continued, refused."""

from __future__ import annotations

import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from assets.tracking import BadRecord, Dataset, ParamsChanged, RunRecord, StoreOutOfDate, Tracking, UnknownRun
from assets.tracking.store import database_path
from engine.errors import QuantlakeError

RECORD = RunRecord(
    experiment="momentum",
    run_name="momentum 2009",
    run_key="9f2c1ab4",
    params={"lookback_bars": 252, "rate": 0.1, "windows": [1, 2], "is_ranked": True, "name": "a b"},
    metrics={"oos/sharpe": 0.71, "oos/cagr": -0.02},
    tags={"engine": "a41f0c77"},
    datasets=(Dataset("core/daily_bars", "/lake/core/daily_bars", 41), Dataset("core/universe", "/lake/u", 0)),
    artifacts={"spec.yaml": "strategy: momentum\n", "tables/equity.bin": b"\x00\xff"},
    dagster_run_id="d-1",
    dagster_url="http://127.0.0.1:3000/runs/d-1",
)


def test_a_run_is_read_back_as_it_was_recorded(tracking: Tracking) -> None:
    run = tracking.find(tracking.record(RECORD))
    assert run.status == "FINISHED"
    assert (run.run_name, run.run_key) == ("momentum 2009", "9f2c1ab4")
    assert run.params == {
        "lookback_bars": "252",
        "rate": "0.1",
        "windows": "[1, 2]",
        "is_ranked": "true",
        "name": "a b",
    }
    assert run.metrics == RECORD.metrics
    assert run.tags["engine"] == "a41f0c77"
    assert run.tags["dagster.run_id"] == "d-1"
    assert set(run.datasets) == set(RECORD.datasets)
    assert (run.artifacts / "spec.yaml").read_text() == "strategy: momentum\n"
    assert (run.artifacts / "tables" / "equity.bin").read_bytes() == b"\x00\xff"
    assert run.artifacts.is_relative_to(tracking.home / "mlflow" / "artifacts")


def test_datasets_can_be_searched_by_name_and_version(tracking: Tracking) -> None:
    from mlflow import MlflowClient

    run_id = tracking.record(RECORD)
    where = "dataset.name = 'core/daily_bars' AND dataset.digest = 'v41'"
    found = MlflowClient(tracking.uri).search_runs([tracking.find(run_id).experiment_id], where)
    assert [run.info.run_id for run in found] == [run_id]


def test_the_same_key_continues_the_same_run_without_repeating_anything(tracking: Tracking) -> None:
    from mlflow import MlflowClient

    first, second = tracking.record(RECORD), tracking.record(RECORD)
    assert first == second
    assert len(tracking.find(first).datasets) == 2
    assert len(MlflowClient(tracking.uri).get_metric_history(first, "oos/sharpe")) == 1


def test_the_same_key_in_another_experiment_is_another_run(tracking: Tracking) -> None:
    assert tracking.record(RECORD) != tracking.record(replace(RECORD, experiment="reversal"))


def test_threads_with_one_key_share_one_run(tracking: Tracking) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(tracking.record, [RECORD] * 16))) == 1


def test_other_parameters_under_the_same_key_are_refused_by_name(tracking: Tracking) -> None:
    run_id = tracking.record(RECORD)
    changed = replace(RECORD, params={**RECORD.params, "lookback_bars": 126})
    with pytest.raises(ParamsChanged, match="lookback_bars was 252, now 126"):
        tracking.record(changed)
    assert tracking.find(run_id).status == "FINISHED"


def test_a_parameter_left_out_under_the_same_key_is_refused(tracking: Tracking) -> None:
    tracking.record(RECORD)
    with pytest.raises(ParamsChanged, match=r"rate was 0\.1, now not set"):
        tracking.record(replace(RECORD, params={k: v for k, v in RECORD.params.items() if k != "rate"}))


def test_more_than_a_hundred_parameters_are_all_kept(tracking: Tracking) -> None:
    params = {f"p{k}": k for k in range(230)}
    assert len(tracking.find(tracking.record(replace(RECORD, params=params))).params) == 230


def test_a_value_that_is_no_number_becomes_a_reason(tracking: Tracking) -> None:
    metrics = {"oos/sharpe": math.nan, "oos/profit_factor": math.inf, "oos/cagr": 0.0}
    run = tracking.find(tracking.record(replace(RECORD, metrics=metrics, undefined={"oos/sharpe": "zero variance"})))
    assert run.metrics == {"oos/cagr": 0.0}
    assert run.undefined == {"oos/sharpe": "zero variance", "oos/profit_factor": "infinite"}


def test_the_reason_goes_when_a_later_attempt_has_the_value(tracking: Tracking) -> None:
    tracking.record(replace(RECORD, metrics={"oos/sharpe": math.nan}))
    run = tracking.find(tracking.record(replace(RECORD, metrics={"oos/sharpe": 0.5})))
    assert run.undefined == {}
    assert run.metrics == {"oos/sharpe": 0.5}


def test_the_newer_value_of_a_metric_stands_even_if_it_is_smaller(tracking: Tracking) -> None:
    with tracking.open(replace(RECORD, metrics={"oos/sharpe": 0.5})):
        pass
    import time

    time.sleep(0.002)
    run = tracking.find(tracking.record(replace(RECORD, metrics={"oos/sharpe": 0.3})))
    assert run.metrics == {"oos/sharpe": 0.3}


def test_the_run_id_is_known_before_the_results(tracking: Tracking) -> None:
    with tracking.open(replace(RECORD, metrics={}, artifacts={})) as run:
        assert tracking.find(run.run_id).status == "RUNNING"
        assert not run.was_reused
        run.log(metrics={"oos/sharpe": 0.9}, tags={"result_hash": "abc"}, artifacts={"equity.csv": "1,2\n"})
    stored = tracking.find(run.run_id)
    assert stored.status == "FINISHED"
    assert stored.metrics == {"oos/sharpe": 0.9}
    assert stored.tags["result_hash"] == "abc"
    assert (stored.artifacts / "equity.csv").read_text() == "1,2\n"


def test_an_error_marks_the_run_failed_and_keeps_its_text_out(tracking: Tracking) -> None:
    with pytest.raises(ValueError), tracking.open(RECORD) as run:
        raise ValueError("password hunter2")
    stored = tracking.find(run.run_id)
    assert stored.status == "FAILED"
    assert stored.tags["quantlake.error"] == "ValueError"
    assert b"hunter2" not in database_path(tracking.home).read_bytes()


def test_an_interruption_marks_the_run_killed(tracking: Tracking) -> None:
    with pytest.raises(KeyboardInterrupt), tracking.open(RECORD) as run:
        raise KeyboardInterrupt
    assert tracking.find(run.run_id).status == "KILLED"


def test_a_failed_run_is_continued_by_the_next_attempt(tracking: Tracking) -> None:
    with pytest.raises(ValueError), tracking.open(RECORD) as failed:
        raise ValueError
    with tracking.open(RECORD) as run:
        assert run.was_reused
        assert tracking.find(run.run_id).status == "RUNNING"
    stored = tracking.find(failed.run_id)
    assert (run.run_id, stored.status) == (failed.run_id, "FINISHED")
    assert "quantlake.error" not in stored.tags


def test_children_name_their_parent(tracking: Tracking) -> None:
    parent = tracking.record(RECORD)
    child = tracking.record(replace(RECORD, run_key="child", parent_run_id=parent))
    assert tracking.find(child).parent_run_id == parent
    assert tracking.find(child).tags["mlflow.parentRunId"] == parent


def test_a_run_is_found_by_its_key(tracking: Tracking) -> None:
    assert tracking.find_key("momentum", RECORD.run_key) is None
    run_id = tracking.record(RECORD)
    found = tracking.find_key("momentum", RECORD.run_key)
    assert found is not None and found.run_id == run_id
    assert tracking.find_key("momentum", "other") is None


@pytest.mark.parametrize("run_id", ["0" * 32, "no-such-run", ""])
def test_an_unknown_run_is_named_in_the_error(tracking: Tracking, run_id: str) -> None:
    with pytest.raises(UnknownRun, match=repr(run_id)):
        tracking.find(run_id)


def test_the_url_leads_to_the_run_in_the_local_pages(tracking: Tracking) -> None:
    with tracking.open(RECORD) as run:
        assert tracking.url(run.run_id) == run.url
    assert run.url == f"http://127.0.0.1:5000/#/experiments/{run.experiment_id}/runs/{run.run_id}"


def test_a_deleted_experiment_comes_back_with_the_next_run(tracking: Tracking) -> None:
    from mlflow import MlflowClient

    run = tracking.find(tracking.record(RECORD))
    MlflowClient(tracking.uri).delete_experiment(run.experiment_id)
    again = tracking.find(tracking.record(replace(RECORD, run_key="new")))
    assert (again.experiment_id, again.status) == (run.experiment_id, "FINISHED")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"metrics": {f"m{k}": 1.0 for k in range(31)}}, "at most 30 metrics, was given 31"),
        ({"metrics": {"sharpe[oos]": 1.0}}, "sharpe"),
        ({"params": {"a//b": 1}}, "a//b"),
        ({"params": {"long": "x" * 6001}}, "param long must have at most 6000 characters, had 6001"),
        ({"tags": {"quantlake.pid": "1"}}, "quantlake"),
        ({"tags": {"number": 1}}, "tag number must be a string, was int"),
        ({"artifacts": {"../evil.txt": "x"}}, "relative paths"),
        ({"artifacts": {"/etc/evil": "x"}}, "relative paths"),
        ({"artifacts": {"": "x"}}, "relative paths"),
        ({"run_key": "it's"}, "run_key"),
        ({"run_key": ""}, "run_key"),
        ({"experiment": " "}, "experiment must not be empty"),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused_before_anything_is_written(change: dict, text: str) -> None:
    with pytest.raises(BadRecord, match=text):
        replace(RECORD, **change)


def test_metrics_are_counted_over_the_whole_run(tracking: Tracking) -> None:
    with (
        pytest.raises(BadRecord, match="at most 30"),
        tracking.open(replace(RECORD, metrics={f"m{k}": 1.0 for k in range(20)})) as run,
    ):
        run.log(metrics={f"n{k}": 1.0 for k in range(11)})
    assert len(tracking.find(run.run_id).metrics) == 20


def test_a_store_of_another_mlflow_version_is_refused_with_the_command_to_run(tracking: Tracking) -> None:
    with sqlite3.connect(database_path(tracking.home)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    database.close()
    with pytest.raises(StoreOutOfDate, match="mlflow db upgrade sqlite:///") as caught:
        tracking.record(RECORD)
    assert isinstance(caught.value, QuantlakeError)
