"""Every file of a lake, damaged in every way: `quantlake verify` names it with a remedy, no read gives other rows."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lakehouse import Lake
from lakehouse.errors import LakeError
from tests.faults.ingesting import TABLES, content, errors, ingest
from tests.orchestration.command_line import Command

BARS = Path("tables/core/daily_bars")
LOG = BARS / "_delta_log"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of two nights, with a checkpoint in the middle of the log of its bars."""
    lake = Lake(tmp_path_factory.mktemp("sound") / "lake")
    ingest(lake, 1)
    DeltaTable(str(lake.home / BARS)).create_checkpoint()
    ingest(lake, 2)
    ingest(lake, 3)
    return lake


@pytest.fixture
def lake(sound: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(sound.home, tmp_path / "home")
    return Lake(tmp_path / "home", lock_timeout=1)


def one(lake: Lake, folder: str, pattern: str) -> Path:
    """The first file of a pattern in use now, or the only one."""
    table = "core/daily_bars" if folder == "tables/core/daily_bars" else "raw/snapshots"
    if pattern == "*.parquet":
        return Path(str(lake.home / "tables" / table / next(iter(lake.history(table)[0]["files"]))))
    return sorted((lake.home / folder).rglob(pattern))[0]


def commit(lake: Lake, version: int) -> Path:
    return lake.home / LOG / f"{version:020d}.json"


def cut(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


def flip(file: Path, share: float = 0.5) -> Path:
    damaged = bytearray(file.read_bytes())
    damaged[int(len(damaged) * share)] ^= 1
    file.write_bytes(damaged)
    return file


def empty(file: Path) -> Path:
    file.write_bytes(b"")
    return file


def gone(file: Path) -> Path:
    file.unlink()
    return file


def lines_lost(file: Path, kept: slice) -> Path:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[kept]))
    return file


def swapped(lake: Lake) -> Path:
    """One sound data file in the place of another: its bytes are whole, and not those of its name."""
    file, other = [lake.home / BARS / name for name in lake.history("core/daily_bars")[0]["files"]][:2]
    file.write_bytes(other.read_bytes())
    return file


def other_range(lake: Lake) -> Path:
    """A commit whose file claims to hold other symbols: readers would skip it. It is whole JSON."""
    file = commit(lake, 3)
    text = file.read_text()
    assert r"SYN00000" in text
    file.write_text(text.replace("SYN00000", "SYN00002"))
    return file


def not_removed(lake: Lake) -> Path:
    """A commit that does not take away the file it replaces: its rows would be there beside the new ones."""
    file = commit(lake, 2)
    lines = file.read_text().splitlines(keepends=True)
    assert any(line.startswith('{"remove"') for line in lines)
    file.write_text("".join(line for line in lines if not line.startswith('{"remove"')))
    return file


def snapshot(lake: Lake) -> Path:
    return lake.snapshots.path(lake.scan("raw/snapshots")["snapshot_id"][0].as_py())


def stale_pointer(lake: Lake) -> Path:
    """`_last_checkpoint` names a checkpoint that is not there."""
    file = lake.home / LOG / "_last_checkpoint"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": 3}))
    return file


PLANTED: dict[str, Callable[[Lake], Path]] = {
    "data file flipped": lambda lake: flip(one(lake, str(BARS), "*.parquet")),
    "data file cut": lambda lake: cut(one(lake, str(BARS), "*.parquet")),
    "data file empty": lambda lake: empty(one(lake, str(BARS), "*.parquet")),
    "data file gone": lambda lake: gone(one(lake, str(BARS), "*.parquet")),
    "data files swapped": swapped,
    "last commit empty": lambda lake: empty(commit(lake, 3)),
    "last commit cut in a line": lambda lake: cut(commit(lake, 3)),
    "last commit cut between lines": lambda lake: lines_lost(commit(lake, 3), slice(-1)),
    "last commit gone": lambda lake: gone(commit(lake, 3)),
    "middle commit empty": lambda lake: empty(commit(lake, 2)),
    "middle commit cut in a line": lambda lake: cut(commit(lake, 2)),
    "middle commit cut between lines": lambda lake: lines_lost(commit(lake, 2), slice(-1)),
    "middle commit gone": lambda lake: gone(commit(lake, 2)),
    "commit names another range": other_range,
    "commit removes nothing": not_removed,
    "first commit flipped": lambda lake: flip(commit(lake, 0)),
    "checkpoint empty": lambda lake: empty(one(lake, str(LOG), "*.checkpoint.parquet")),
    "checkpoint cut": lambda lake: cut(one(lake, str(LOG), "*.checkpoint.parquet")),
    "snapshot flipped": lambda lake: flip(snapshot(lake)),
    "snapshot cut": lambda lake: cut(snapshot(lake)),
    "snapshot gone": lambda lake: gone(snapshot(lake)),
    "manifest flipped": lambda lake: flip(one(lake, "tables/raw/snapshots", "*.parquet")),
    "manifest gone": lambda lake: gone(one(lake, "tables/raw/snapshots", "*.parquet")),
    "manifest's commit empty": lambda lake: empty(max((lake.home / "tables/raw/snapshots/_delta_log").glob("*.json"))),
}


@pytest.mark.parametrize("name", PLANTED)
def test_verify_finds_what_was_planted_and_no_read_passes_over_it(
    lake: Lake, sound: Lake, name: str, command: Command
) -> None:
    place = PLANTED[name](lake)
    told = json.loads(command("verify", "--json", home=lake.home, expect=1).stdout)
    found = [item for item in told if item["severity"] == "error"]
    where = place.parent if name.startswith("checkpoint") else place
    assert [item["where"] for item in found] == [str(where)] * len(found) and found, told
    assert all(len(item["remedy"]) > 20 for item in found)
    _assert_no_other_rows(lake, sound)


def _assert_no_other_rows(lake: Lake, sound: Lake) -> None:
    """Read all; whatever is given is what was written."""
    for table, rows in content(sound).items():
        try:
            assert lake.scan(table).equals(rows)
            assert lake.sql(f"SELECT count(*) AS n FROM {table.replace('/', '.')}")["n"].to_pylist() == [rows.num_rows]
        except LakeError as error:
            assert any(name in str(error) for name in TABLES)
    for row in content(sound)["raw/snapshots"].to_pylist():
        try:
            assert lake.snapshots.read(row["snapshot_id"]) == sound.snapshots.read(row["snapshot_id"])
        except LakeError as error:
            assert row["snapshot_id"] in str(error)


def test_a_checkpoint_that_tells_another_range_of_keys_is_found_by_verify(lake: Lake) -> None:
    """Readers would skip the file, and its rows would be gone without an error."""
    (checkpoint,) = (lake.home / LOG).glob("*.checkpoint.parquet")
    table = pq.read_table(checkpoint)
    rows = table.to_pylist()
    for row in rows:
        if row["add"] is not None:
            row["add"]["stats"] = row["add"]["stats"].replace("SYN00000", "SYN00001")
    for path in (lake.home / LOG).glob("*.json"):
        if int(path.stem) > 1:
            path.unlink()
    shutil.rmtree(lake.home / BARS / "_quantlake")
    (lake.home / "heads" / "core.daily_bars").unlink()  # as if the two later nights had never been
    assert errors(lake) == []
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), checkpoint)
    (problem,) = [problem for problem in lake.verify() if problem.severity == "error"]
    assert problem.where == str(lake.home / LOG)
    assert "tell different things" in problem.what and "delete `_last_checkpoint`" in problem.remedy


@pytest.mark.parametrize("damage", ["not JSON", "of a checkpoint that is not there"])
def test_a_bad_pointer_to_the_last_checkpoint_hides_no_row(lake: Lake, sound: Lake, damage: str) -> None:
    """It only saves time: the rows are found without it, or the error says to delete it."""
    pointer = lake.home / LOG / "_last_checkpoint"
    if damage == "not JSON":
        pointer.write_bytes(b"{" + bytes(20))
    else:
        stale_pointer(lake)
    try:
        assert content(lake) == content(sound)
    except LakeError as error:
        assert "delete `_last_checkpoint`" in str(error)
    pointer.unlink()
    assert content(lake) == content(sound)


def test_a_damaged_note_of_the_last_version_is_told_and_mended_by_the_next_write(lake: Lake) -> None:
    head = lake.home / BARS / "_quantlake" / "head"
    head.write_bytes(b"\x00")
    (problem,) = lake.verify()
    assert (problem.severity, problem.where) == ("warning", str(head))
    ingest(lake, 4)
    assert lake.verify() == []


def test_a_damaged_note_of_hashes_accuses_no_commit(lake: Lake, sound: Lake) -> None:
    notes = lake.home / BARS / "_quantlake" / "commits"
    for share in (0.1, 0.5, 0.9):
        flip(notes, share)
    assert errors(lake) == []
    assert content(lake) == content(sound)


@pytest.mark.parametrize(
    ("kind", "n_flips"),
    [("data", 100), ("log", 60), ("snapshots", 20), pytest.param("log", 1000, marks=pytest.mark.slow)],
)
def test_one_flipped_bit_in_any_file_is_found_by_verify_and_read_by_nobody(
    lake: Lake, sound: Lake, kind: str, n_flips: int
) -> None:
    roots = {
        "data": [lake.home / "tables" / table / name for table in TABLES for name in lake.history(table)[0]["files"]],
        "log": sorted((lake.home / "tables").rglob("*.json")),
        "snapshots": [path for path in (lake.home / "snapshots").rglob("*") if path.is_file()],
    }
    chance = random.Random(n_flips)
    rows = content(sound)
    n_refused = 0
    for _ in range(n_flips):
        file = chance.choice(roots[kind])
        whole = file.read_bytes()
        bit = chance.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        problems = [problem for problem in lake.verify() if problem.severity == "error"]
        assert str(file) in [problem.where for problem in problems], (file, bit)
        try:
            if kind == "snapshots":
                lake.snapshots.read(file.name)
            for table in TABLES:
                assert lake.scan(table).equals(rows[table]), (file, bit)
        except LakeError:
            n_refused += 1
        file.write_bytes(whole)
    assert n_refused > 0.6 * n_flips
    assert lake.verify() == []


def test_a_home_where_nothing_was_ever_written_is_not_called_sound(command: Command, tmp_path: Path) -> None:
    """It may be a mistyped one, and the data elsewhere."""
    (tmp_path / "home" / "logs").mkdir(parents=True)
    said = command("verify").stdout
    assert "nothing was ever written here" in said and "QUANTLAKE_HOME" in said and "sound" not in said
    (found,) = [item for item in json.loads(command("doctor", "--json").stdout) if item["what"] == "lake"]
    assert found["state"] == "note" and "nothing was ever written here" in found["detail"]


def test_a_manifest_that_is_gone_keeps_every_bar(lake: Lake, sound: Lake, command: Command) -> None:
    shutil.rmtree(lake.home / "tables/raw/snapshots")
    (problem,) = json.loads(command("verify", "--json", home=lake.home, expect=1).stdout)
    assert (problem["where"], problem["severity"]) == (str(lake.home / "tables/raw/snapshots"), "error")
    with pytest.raises(LakeError, match="raw/snapshots .* all of the log is gone"):
        ingest(lake, 4)
    refused = command("rebuild", "core/daily_bars", "--check", home=lake.home, expect=2).stderr
    assert "raw/snapshots" in refused and "from a backup" in refused
    assert lake.scan("core/daily_bars").equals(sound.scan("core/daily_bars"))
