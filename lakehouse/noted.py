"""What a table's writers noted of its commits: the last one they were told is on disk, and each one's hash.

delta-rs reads a commit with a flipped bit like any other: a file's range of keys, by which readers skip files, would
be another one, or a file that was replaced would count again. So the hash of each commit is noted beside the log, in
lines that carry a checksum of their own: a damaged note is no note, and accuses no commit.

The last acknowledged version is noted twice, in the table's folder and outside of it (`heads/` of the home): what goes
with the folder, or with the end of its log, is missed. A home of before has no note outside; the next write adds it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from lakehouse.files import STAGING_MARK, make_folder, sha256, storage_errors, sync


def head_file(path: Path) -> Path:
    """Return the file that holds the last acknowledged version."""
    return path / "_quantlake" / "head"


def outer_head_file(path: Path) -> Path:
    """Return the file outside the table's folder that repeats the last acknowledged version."""
    return path.parents[2] / "heads" / f"{path.parent.name}.{path.name}"


def hashes_file(path: Path) -> Path:
    """Return the file that holds the hashes of the commits, a line each."""
    return path / "_quantlake" / "commits"


def acknowledged(path: Path) -> int:
    """Return the last version a writer was told is on disk, -1 where none was or no note of it is there and whole."""
    return max(_number(head_file(path)), _number(outer_head_file(path)))


def damaged_heads(path: Path) -> list[Path]:
    """Return those of the notes of the last acknowledged version that are there and damaged."""
    return [file for file in (head_file(path), outer_head_file(path)) if file.is_file() and _number(file) < 0]


def _number(file: Path) -> int:
    """Return the version that a note says, -1 where it is not there or damaged."""
    with storage_errors(file):
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return -1
    number, space, check = content.partition(b" ")
    return int(number) if number.isdigit() and (not space or check == _check(number)) else -1


def hashes(path: Path) -> dict[int, str]:
    """Return the sha256 of the commits by version, of those whose note is there and whole."""
    with storage_errors(hashes_file(path)):
        try:
            lines = hashes_file(path).read_bytes().splitlines()
        except FileNotFoundError:
            return {}
    found: dict[int, str] = {}
    for line in lines:
        noted, _, check = line.rpartition(b" ")
        if check == _check(noted):
            version, _, digest = noted.decode("ascii").partition(" ")
            found[int(version)] = digest
    return found


def note(path: Path, version: int, commits: Mapping[int, bytes]) -> None:
    """Note, durably, that a version is on disk, with the content of the commits that have no hash yet.

    The caller has synced the commits.
    """
    file = hashes_file(path)
    make_folder(file.parent)
    if commits:
        with storage_errors(file):
            is_new = not file.exists()
            with file.open("ab") as opened:
                opened.write(b"\n".join([b"", *(_line(number, commits[number]) for number in sorted(commits)), b""]))
                opened.flush()
                os.fsync(opened.fileno())
            if is_new:
                sync(file.parent)
    promise(path, version)


def promise(path: Path, version: int) -> None:
    """Note, durably, in both places that a version is on disk; a higher one that is noted stays.

    Without its log, the folder is then refused and not taken for a new table.
    """
    for head in (head_file(path), outer_head_file(path)):
        if _number(head) >= version:
            continue
        make_folder(head.parent)
        stage = head.with_name(f"{head.name}{STAGING_MARK}")
        with storage_errors(head):
            try:
                number = str(version).encode("ascii")
                # The note within stays a bare number, which earlier versions read.
                stage.write_bytes(number if head == head_file(path) else number + b" " + _check(number))
                sync(stage)
                stage.replace(head)
            finally:
                stage.unlink(missing_ok=True)
            sync(head.parent)


def _line(version: int, content: bytes) -> bytes:
    noted = f"{version} {sha256(content)}".encode("ascii")
    return noted + b" " + _check(noted)


def _check(noted: bytes) -> bytes:
    return f"{zlib.crc32(noted):08x}".encode("ascii")
