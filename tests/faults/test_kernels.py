"""Compiled kernels whose files cannot be read, or cannot be kept: the same numbers, at the cost of compiling anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.disks import python, read_only

CODE = """
import os, sys
os.environ["QUANTLAKE_KERNELS"] = sys.argv[1]
import engine.metrics as metrics
print(metrics.max_drawdown([0.1, -0.5, 0.2, -0.25]))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with kernels that were kept, and what they computed."""
    if os.environ.get("NUMBA_DISABLE_JIT") or os.environ.get("NUMBA_BOUNDSCHECK"):
        pytest.skip("checked or uncompiled kernels are never kept")
    folder = tmp_path_factory.mktemp("kernels")
    done = python(CODE, str(folder))
    assert list(folder.rglob("*.nbc")), done.stderr
    return folder, done.stdout


@pytest.mark.slow
def test_kernels_in_a_folder_nobody_may_write_give_the_same_numbers(kept: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(kept[0], tmp_path / "kernels")
    with read_only(tmp_path / "kernels"):
        assert python(CODE, str(tmp_path / "kernels")).stdout == kept[1]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "flipped": lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
}


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_kernels_are_compiled_anew(kept: tuple[Path, str], tmp_path: Path, ending: str, damage: str) -> None:
    """A power cut may leave them so: Numba does not sync what it keeps."""
    shutil.copytree(kept[0], tmp_path / "kernels")
    for file in (tmp_path / "kernels").rglob(f"*.{ending}"):
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    done = python(CODE, str(tmp_path / "kernels"))
    assert done.stdout == kept[1], done.stderr


MISSES = """
import os, sys
os.environ["QUANTLAKE_KERNELS"] = sys.argv[1]
import numpy as np
from strategies.kernels import expanding_std_nb
values = np.array([[1.0], [2.0], [4.0]])
expanding_std_nb(values, 1, np.empty((3, 1)))
print(sum(expanding_std_nb.stats.cache_misses.values()))
"""


def test_of_processes_that_need_a_kernel_at_once_one_compiles_it(tmp_path: Path) -> None:
    if os.environ.get("NUMBA_DISABLE_JIT") or os.environ.get("NUMBA_BOUNDSCHECK"):
        pytest.skip("checked or uncompiled kernels are never kept")
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: python(MISSES, str(tmp_path)), range(3)))
    assert sorted(int(process.stdout) for process in done) == [0, 0, 1], done
