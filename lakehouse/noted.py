"""What a table's writers noted of its commits: the last one they were told is on disk, and each one's hash.

delta-rs reads a commit with a flipped bit like any other: a file's range of keys, by which readers skip files, would
be another one, or a file that was replaced would count again. So the hash of each commit is noted beside the log, in
lines that carry a checksum of their own: a damaged note is no note, and accuses no commit.
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


def hashes_file(path: Path) -> Path:
    """Return the file that holds the hashes of the commits, a line each."""
    return path / "_quantlake" / "commits"


def acknowledged(path: Path) -> int:
    """Return the last version a writer was told is on disk, -1 where none was or the note of it is damaged."""
    with storage_errors(head_file(path)):
        try:
            return int(head_file(path).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return -1


def is_head_damaged(path: Path) -> bool:
    """Return whether the note of the last acknowledged version is there and no number."""
    try:
        return not head_file(path).read_bytes().isdigit()
    except OSError:
        return False


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
    head, file = head_file(path), hashes_file(path)
    make_folder(head.parent)
    with storage_errors(head):
        if commits:
            is_new = not file.exists()
            with file.open("ab") as opened:
                opened.write(b"\n".join([b"", *(_line(number, commits[number]) for number in sorted(commits)), b""]))
                opened.flush()
                os.fsync(opened.fileno())
            if is_new:
                sync(file.parent)
        if acknowledged(path) < version:
            stage = head.with_name(f"head{STAGING_MARK}")
            try:
                stage.write_text(str(version), encoding="ascii")
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
