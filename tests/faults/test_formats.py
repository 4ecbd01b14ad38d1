"""Data of a newer version, or of another tool: refused with what to do, never read by guessing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import Lake
from lakehouse.errors import LakeError, UnknownFormat
from tests.lakehouse.stored import BARS, MONTHS, closes, last_commit
from tests.lakehouse.writers import replace_two_months
from tests.orchestration.command_line import Command


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "home", lock_timeout=1)
    for price in (1.0, 2.0):
        replace_two_months(lake, price)
    return lake


def rewrite(file: Path, kind: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the action of a kind in a commit, as a writer of another version would have written it."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        if kind in line:
            change(line[kind])
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (file.parent.parent / "_quantlake" / "commits").unlink()  # the hash of what was written before


def assert_refused(lake: Lake, command: Command, text: str) -> None:
    """Nothing reads, writes or repairs it, and each text says to update."""
    for use in (lambda: lake.scan(BARS), lambda: lake.sql("SELECT 1"), lambda: replace_two_months(lake, 3.0)):
        with pytest.raises(UnknownFormat, match=text) as caught:
            use()
        assert "update quantlake (`git pull` in its folder, or `pip install" in str(caught.value)
    assert len(list(last_commit(lake).parent.glob("*.json"))) == 3
    told = command("verify", home=lake.home, expect=1).stdout
    assert "update quantlake" in told and "delete" not in told


def test_a_table_of_a_newer_version_is_refused_with_the_command_that_helps(lake: Lake, command: Command) -> None:
    rewrite(last_commit(lake), "commitInfo", lambda info: info["quantlake"].update(format=2))
    assert_refused(lake, command, "core/daily_bars version 2 is in the lake's format 2, this version .* knows format 1")


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        ({"minReaderVersion": 99, "minWriterVersion": 99}, "Unsupported minimum reader version 99"),
        (
            {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"],
            },
            r"needs a reader of Delta version 3 .deletionVectors., which another tool set",
        ),
        (
            {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["new"], "writerFeatures": ["new"]},
            "Feature 'new' is not supported",
        ),
    ],
)
def test_a_table_that_another_tool_made_need_more_is_refused(
    lake: Lake, command: Command, protocol: dict[str, Any], text: str
) -> None:
    """Its deletion vectors would be ignored: rows that were deleted would be there."""

    def change(action: dict[str, Any]) -> None:
        action.clear()
        action.update(protocol)

    rewrite(last_commit(lake).with_name(f"{0:020d}.json"), "protocol", change)
    assert_refused(lake, command, text)


def test_a_table_written_before_hashes_were_noted_is_read_and_gets_them(lake: Lake) -> None:
    notes = lake.home / "tables" / BARS / "_quantlake" / "commits"
    before = notes.read_bytes()
    notes.unlink()
    assert closes(lake) == dict.fromkeys(MONTHS, 2.0)
    assert lake.verify() == []
    replace_two_months(lake, 2.0)
    assert set(notes.read_bytes().splitlines()) == set(before.splitlines())


def test_a_table_with_a_column_that_this_version_does_not_know_is_not_written(lake: Lake) -> None:
    from deltalake import DeltaTable, Field

    DeltaTable(str(lake.home / "tables" / BARS)).alter.add_columns([Field("future", "string", nullable=True)])
    assert closes(lake) == dict.fromkeys(MONTHS, 2.0)
    with pytest.raises(LakeError, match="written with other columns .*cannot write it"):
        replace_two_months(lake, 3.0)
    assert closes(lake) == dict.fromkeys(MONTHS, 2.0)
