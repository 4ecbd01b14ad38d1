"""Many tiny partitions: every one is there, memory stays bounded, and a read of one opens one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.disks import python

MANY = """
import resource, sys, time
from pathlib import Path
import pyarrow as pa
from lakehouse import Lake
from lakehouse.calendar import month_keys
from tests.lakehouse.stored import BARS, bars
import datetime as dt
lake, n_months = Lake(Path(sys.argv[1])), int(sys.argv[2])
months = month_keys(dt.date(1970, 1, 1), dt.date(2020, 1, 1))[:n_months]
rows = bars(months, symbols=("AAA",))
lake.replace(BARS, bars(months[0], symbols=("AAA",)), partitions=[months[0]], batch_id="warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
lake.replace(BARS, rows, partitions=months, batch_id="many")
wrote = time.perf_counter() - began
began = time.perf_counter()
assert lake.scan(BARS, where=[("month", "=", months[-1])]).num_rows > 15
one = time.perf_counter() - began
assert lake.scan(BARS).num_rows == rows.num_rows
assert lake.verify() == []
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(months), rows.num_rows, round(wrote, 2), round(one, 3), (peak - before) // 1024)
"""


@pytest.mark.parametrize("n_months", [120, pytest.param(600, marks=pytest.mark.slow)])
def test_many_tiny_partitions_are_written_in_one_transaction_and_little_memory(tmp_path: Path, n_months: int) -> None:
    done = python(MANY, str(tmp_path / "lake"), str(n_months))
    assert done.returncode == 0, done.stderr
    n_partitions, n_rows, wrote, one, mebibytes = map(float, done.stdout.split())
    assert (n_partitions, n_rows > 15 * n_months) == (n_months, True)
    assert wrote < 0.2 * n_months and one < 2.0
    assert mebibytes < 300
    assert len(list((tmp_path / "lake").rglob("part-*.parquet"))) == n_months
