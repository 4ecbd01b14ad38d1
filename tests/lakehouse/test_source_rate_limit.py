"""Rate limits that processes keep together: real processes, one loopback server."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lakehouse.errors import SourceError, SourceUnavailable
from lakehouse.sources.rate_limit import Rate

WORKER = """
import sys
from pathlib import Path
from lakehouse.sources.rate_limit import Rate
from lakehouse.sources.web import Web

class Recorded(Rate):
    def wait(self, *, give_up_at):
        at = super().wait(give_up_at=give_up_at)
        print(at, flush=True)
        return at

with Web("Vendor", sys.argv[1], rate=Recorded("vendor", 5, seconds=0.4, folder=Path(sys.argv[2]))) as web:
    web.get("warm-up")
    sys.stdin.readline()
    for n in range(6):
        web.get(str(n))
"""


def test_three_processes_keep_one_rate_limit_together(httpserver: HTTPServer, tmp_path: Path) -> None:
    seen: list[float] = []

    def answer(request: Request) -> Response:
        seen.append(time.monotonic())
        return Response(b"{}", content_type="application/json")

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    command = [sys.executable, "-c", WORKER, httpserver.url_for(""), str(tmp_path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    ready = [float(worker.stdout.readline()) for worker in workers if worker.stdout]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    sent = ready + [float(line) for worker in workers for line in worker.communicate()[0].split()]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(sent) == len(seen) == 21
    sent.sort()
    assert all(later - earlier >= 0.4 for earlier, later in zip(sent, sent[5:], strict=False))
    # The server sees the same, but for what a busy machine delays: three limits of their own would take 0.4 s.
    assert seen[-1] - seen[0] >= 1.0


def test_a_limit_that_is_not_used_up_makes_nobody_wait(tmp_path: Path) -> None:
    rate = Rate("vendor", 5, seconds=600, folder=tmp_path)
    for _ in range(5):
        rate.wait(give_up_at=time.monotonic() + 100.0)
    with pytest.raises(SourceUnavailable, match="the limit of 5 requests in 600 s"):
        rate.wait(give_up_at=time.monotonic() + 100.0)


def test_a_killed_process_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys; from lakehouse.sources.rate_limit import Rate\n"
        "rate = Rate('vendor', 1, seconds=60, folder=Path(sys.argv[1]))\n"
        "rate.wait(give_up_at=1e12); print('sent', flush=True); rate.wait(give_up_at=1e12)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "sent\n"
    time.sleep(0.1)
    quick = Rate("vendor", 2, seconds=60, folder=tmp_path)
    with pytest.raises(SourceUnavailable, match="the limit of 2 requests in 60 s to vendor leaves no room"):
        quick.wait(give_up_at=time.monotonic() + 0.1)
    holder.kill()
    holder.communicate()
    quick.wait(give_up_at=time.monotonic() + 1.0)


def test_no_room_before_the_deadline_is_said_at_once(tmp_path: Path) -> None:
    rate = Rate("vendor", 1, seconds=60, folder=tmp_path / "new")
    rate.wait(give_up_at=time.monotonic() + 1.0)
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match="leaves no room before the deadline"):
        rate.wait(give_up_at=began + 30.0)
    assert time.monotonic() - began < 1.0


def test_there_is_room_again_when_the_oldest_request_of_the_limit_has_aged(tmp_path: Path) -> None:
    now = time.monotonic()
    (tmp_path / "vendor-60s.rate").write_bytes(struct.pack("=2d", now - 59.9, now - 1.0))
    sent = Rate("vendor", 2, seconds=60, folder=tmp_path).wait(give_up_at=now + 30.0)
    assert sent >= now - 59.9 + 60.0


def test_times_from_before_a_restart_of_the_machine_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "vendor-60s.rate").write_bytes(struct.pack("=1d", time.monotonic() + 5_000.0))
    Rate("vendor", 1, seconds=60, folder=tmp_path).wait(give_up_at=time.monotonic() + 1.0)


def test_a_damaged_file_counts_as_a_limit_just_used_up(tmp_path: Path) -> None:
    (tmp_path / "vendor-0.2s.rate").write_bytes(b"123")
    began = time.monotonic()
    rate = Rate("vendor", 1, seconds=0.2, folder=tmp_path)
    assert rate.wait(give_up_at=began + 5.0) - began >= 0.2
    assert rate.wait(give_up_at=began + 5.0) - began >= 0.4


def test_the_folder_of_the_limits_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rate = Rate("vendor", 5)
    rate.wait(give_up_at=time.monotonic() + 1.0)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]
    folder.chmod(0o755)
    with pytest.raises(SourceError, match="nobody else may enter"):
        rate.wait(give_up_at=time.monotonic() + 1.0)
    folder.chmod(0o700)
    moved = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(moved)
    with pytest.raises(SourceError, match="nobody else may enter"):
        rate.wait(give_up_at=time.monotonic() + 1.0)


@pytest.mark.parametrize("options", [{"name": "../x"}, {"name": ""}, {"n_requests": 0}, {"seconds": 0.0}])
def test_a_rate_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="a rate"):
        Rate(**{"name": "vendor", "n_requests": 1, **options})
