"""kill -9 at any moment between a vendor's answer and the tables of core."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from lakehouse import Lake
from tests.faults.ingesting import content, errors, ingest, ingest_and_tell
from tests.lakehouse.writers import start


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[Lake]:
    """The lake after the first night, and after the second, both undisturbed."""
    folder = tmp_path_factory.mktemp("nights")
    first = Lake(folder / "first")
    ingest(first, 1)
    shutil.copytree(first.home, folder / "second")
    second = Lake(folder / "second")
    ingest(second, 2)
    return [first, second]


@pytest.mark.parametrize("n_rounds", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_killed_at_random_nothing_acknowledged_is_lost_nothing_is_there_twice_and_a_second_run_ends_the_same(
    nights: list[Lake], tmp_path: Path, n_rounds: int
) -> None:
    before, after = (content(lake) for lake in nights)
    chance = random.Random(n_rounds)
    seconds = _undisturbed_seconds(nights[0], tmp_path)
    n_acknowledged: set[int] = set()
    for number in range(n_rounds):
        lake, told = Lake(tmp_path / f"lake{number}", lock_timeout=1), tmp_path / f"told{number}"
        shutil.copytree(nights[0].home, lake.home)
        writer = _begun(lake, told)
        time.sleep(chance.random() * seconds * 1.1)
        writer.kill()
        writer.join()
        lines = told.read_text().splitlines()[1:]
        n_acknowledged.add(len(lines))
        assert errors(lake) == []
        found = content(lake)
        for table in ("core/daily_bars", "core/corporate_actions"):
            assert found[table] in (before[table], after[table])
            assert f"table {table}" not in lines or found[table] == after[table]
        kept = found["raw/snapshots"]["snapshot_id"].to_pylist()
        assert len(kept) == len(set(kept)) and set(kept) <= set(after["raw/snapshots"]["snapshot_id"].to_pylist())
        for line in lines:
            if line.startswith("snapshot "):
                assert line.removeprefix("snapshot ") in kept
                lake.snapshots.read(line.removeprefix("snapshot "))
        ingest(lake, 2)
        assert content(lake) == after
        shutil.rmtree(lake.home)
    # The kills were spread over the whole night, not all before its first or after its last write.
    assert len(n_acknowledged) >= 4


def _begun(lake: Lake, told: Path):  # type: ignore[no-untyped-def]
    writer = start(ingest_and_tell, lake.home, 2, told)
    while not (told.exists() and told.read_text()):
        assert writer.is_alive()
        time.sleep(0.001)
    return writer


def _undisturbed_seconds(first: Lake, tmp_path: Path) -> float:
    """Return how long a night takes here, in a process of its own."""
    lake, told = Lake(tmp_path / "timed"), tmp_path / "told"
    shutil.copytree(first.home, lake.home)
    writer = _begun(lake, told)
    began = time.monotonic()
    writer.join(60)
    assert told.read_text().endswith("done\n")
    return time.monotonic() - began
