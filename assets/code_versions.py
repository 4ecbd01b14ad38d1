"""Code versions of assets: an edit to what an asset is computed by shows as stale in the Dagster UI."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def code_version(*parts: str) -> str:
    """Return the hash of the Python sources of modules and packages, named by their paths from the project's root.

    Parameters
    ----------
    parts : such as "engine" (a package, all of it) or "lakehouse/normalize.py".
    """
    digest = hashlib.sha256()
    for part in parts:
        path = ROOT / part
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


@cache
def source_version(source: str) -> str:
    """Return the hash of a source's own files and of those that sources share, such as their web client."""
    from lakehouse.sources.catalogue import CATALOGUE

    others = set(CATALOGUE) - {source}
    files = sorted((ROOT / "lakehouse" / "sources").glob("*.py"))
    parts = [str(file.relative_to(ROOT)) for file in files if file.stem.partition("_")[0] not in others]
    return code_version(*parts)
