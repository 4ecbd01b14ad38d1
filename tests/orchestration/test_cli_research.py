"""backtest, sweep, walkforward and reproduce on the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.lake import Lake
from tests.orchestration.command_line import Command


@pytest.fixture(scope="module")
def research_home(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's tables, in a home whose runs the tests of this module share."""
    path = tmp_path_factory.mktemp("research") / "home"
    shutil.copytree(sample_folder, path, ignore=shutil.ignore_patterns("dagster"))
    return path


def test_a_backtest_prints_itself_and_how_to_replay_it(
    research_home: Path, quantlake: Callable[..., subprocess.CompletedProcess[str]], command: Command
) -> None:
    done = quantlake("backtest", "ma_cross", home=research_home, COLUMNS="80")
    assert "ma_cross: backtest, in sample" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    replay = done.stdout.strip().splitlines()[-1]
    run_id = replay.removeprefix("replay: quantlake reproduce ")
    assert "equal: backtest of ma_cross" in command("reproduce", run_id[:6], home=research_home).stdout
    outcome = json.loads(command("reproduce", run_id, "--json", home=research_home).stdout)
    assert outcome["is_equal"] and outcome["recorded_hash"] == outcome["replayed_hash"] and not outcome["differences"]


def test_an_unknown_run_names_the_nearest(research_home: Path, command: Command) -> None:
    backtest = json.loads(command("backtest", "equal_weight", "--json", home=research_home).stdout)
    run_id = backtest["run_id"]
    wrong = run_id[:-1] + ("0" if run_id[-1] != "0" else "1")
    assert f"did you mean '{run_id}'?" in command("reproduce", wrong, home=research_home, expect=2).stderr
    assert "list them" in command("reproduce", "zzzzzzzz", home=research_home, expect=2).stderr


def test_a_changed_record_is_told_and_ends_with_1(research_home: Path, tmp_path: Path, command: Command) -> None:
    home = tmp_path / "changed"
    shutil.copytree(research_home, home)
    run_id = json.loads(command("backtest", "equal_weight", "--json", home=home).stdout)["run_id"]
    lake = Lake(home)
    rows = lake.scan("research/runs", where=[("spec", "=", "equal_weight")])
    names = rows.column("run_id").to_pylist()
    hashes = [
        "0" * 64 if name == run_id else old for name, old in zip(names, rows["result_hash"].to_pylist(), strict=True)
    ]
    place = rows.schema.get_field_index("result_hash")
    lake.replace(
        "research/runs",
        rows.set_column(place, rows.schema.field(place), [hashes]),
        partitions=["equal_weight"],
        batch_id="forged",
    )
    text = command("reproduce", run_id, home=home, expect=1).stdout
    assert "different: backtest of equal_weight" in text and "recorded " + "0" * 64 in text
    assert "the record was changed" in text


def test_a_sweep_keeps_every_point_and_shows_the_best(research_home: Path, command: Command) -> None:
    done = command("sweep", "ma_cross", "--top", "3", home=research_home, COLUMNS="80")
    assert "best 3 of 200 points by sharpe, in sample" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    count = "SELECT count(*) AS n FROM research.trials WHERE spec = 'ma_cross'"
    assert json.loads(command("sql", count, "--json", home=research_home).stdout) == [{"n": 200}]


@pytest.mark.slow
def test_a_walk_forward_shows_each_test_year_and_its_stitched_result(research_home: Path, command: Command) -> None:
    report = json.loads(command("walkforward", "equal_weight", "--json", home=research_home).stdout)
    assert report["kind"] == "walk_forward" and report["out_of_sample"]
    assert [row["test_year"] for row in report["windows"]] == [str(year) for year in range(2004, 2014)]
    assert all(isinstance(row["sharpe"], float) for row in report["windows"])
    assert "equal: walk_forward" in command("reproduce", report["run_id"], home=research_home).stdout


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ("strategy: ma_cross", "strategy: ma_cros"),
            "line 1: there is no strategy 'ma_cros'; did you mean 'ma_cross'?",
        ),
        (("universe: sample", "universe: sampel"), "did you mean 'sample'?"),
        (("fast: 20", "fats: 20"), "parameters.fats is unknown; did you mean 'fast'?"),
        (("universe: sample", "universe: sample\nunivers: x"), "univers is unknown; did you mean 'universe'?"),
        (("universe: sample", "universe: sample\nmetric: sharp"), "did you mean 'sharpe'?"),
        (("universe: sample", "universe: sample\ncosts: {comission_bps: 1}"), "did you mean 'commission_bps'?"),
        (("universe: sample", "universe: sample\nstart: 2013-03-01"), "has bars from 2000-03-01 to 2013-03-01 only"),
    ],
)
def test_a_misspelt_spec_names_the_nearest(
    change: tuple[str, str], text: str, research_home: Path, tmp_path: Path, command: Command
) -> None:
    good = "strategy: ma_cross\nuniverse: sample\nparameters: {fast: 20, slow: 100}\n"
    (tmp_path / "mine.yaml").write_text(good.replace(*change))
    before = Lake(research_home).pins(["research/runs"])
    error = command("backtest", str(tmp_path / "mine.yaml"), home=research_home, expect=2).stderr
    assert text in error and "mine" in error
    assert Lake(research_home).pins(["research/runs"]) == before


def test_an_unknown_spec_names_the_nearest_before_anything_is_made(command: Command, tmp_path: Path) -> None:
    assert "there is no spec 'ma_cros'; did you mean 'ma_cross'?" in command("backtest", "ma_cros", expect=2).stderr
    assert "cannot read nowhere.yaml" in command("sweep", "nowhere.yaml", expect=2).stderr
    assert not (tmp_path / "home").exists()
