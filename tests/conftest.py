"""Fixtures shared by every suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# Every home a test makes would compile the same kernels again.
os.environ.setdefault("QUANTLAKE_KERNELS", str(REPOSITORY / ".quantlake" / "numba"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data and recorded vendor answers, which is never part of the project."""
    folder = Path(os.environ.get("QUANTLAKE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded market data at {folder}; set QUANTLAKE_SHARED_DATA to its folder")
    return folder


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Names bytes by their size: packed ones hold the time of writing, and every worker must find the same tests."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None
