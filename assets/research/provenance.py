"""What a run is a run of: spec, data versions, code and environment, as recorded and as found at a replay."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strategies.spec import Spec


@dataclass(frozen=True)
class Provenance:
    """All that decides a run's numbers, beside the spec.

    Attributes
    ----------
    pins : Delta version of each table read.
    engine_hash : hash of the engine's source.
    strategy_hash : hash of the strategy's file and of the package it is written against.
    lock_hash : hash of the pinned packages.
    python_version : such as 3.11.7.
    """

    pins: Mapping[str, int]
    engine_hash: str
    strategy_hash: str
    lock_hash: str
    python_version: str

    def differences(self, other: Provenance) -> list[str]:
        """Return in words what differs in the code and environment of `other`."""
        words = {
            "engine_hash": "the engine's source",
            "strategy_hash": "the strategy's source",
            "lock_hash": "the pinned packages",
            "python_version": "the Python version",
        }
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{text} changed: {mine[name]} then, {theirs[name]} now"
            for name, text in words.items()
            if mine[name] != theirs[name]
        ]


def provenance(spec: Spec, pins: Mapping[str, int]) -> Provenance:
    """Return what decides the numbers of a run of this spec on these table versions, here and now."""
    from engine import ENGINE_HASH

    return Provenance(
        pins=dict(pins),
        engine_hash=ENGINE_HASH,
        strategy_hash=strategy_hash(spec.strategy),
        lock_hash=lock_hash(),
        python_version=platform.python_version(),
    )


def run_key(kind: str, spec: Spec, origin: Provenance, *, test_window: str = "") -> str:
    """Return the sha256 that is equal for two runs exactly where they must give equal numbers."""
    content = {"kind": kind, "spec": spec.hash, "window": test_window, **asdict(origin)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def strategy_hash(strategy: str) -> str:
    """Return the hash of a strategy's file and of the modules it is written against."""
    import strategies
    from strategies.registry import source_hash

    digest = hashlib.sha256(source_hash(strategy).encode())
    for path in sorted(Path(strategies.__path__[0]).glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


@cache
def lock_hash() -> str:
    """Return the hash of requirements.lock, or of the installed distributions where there is no lock file."""
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    if lock.is_file():
        text = lock.read_bytes()
    else:
        installed = {f"{item.name}=={item.version}" for item in metadata.distributions()}
        text = "\n".join(sorted(installed)).encode()
    return hashlib.sha256(text).hexdigest()[:16]
