"""What was measured, as rows: one for each of our contenders, with all peers that met it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.runs import VECTORBT, VECTORBT_KERNELS
from benchmarks.timing import Sample, median, median_peak, median_ratio


class Known(NamedTuple):
    """What is known of a peer before it is timed; see `Peer` and `Contender`."""

    family: str
    differs: str = ""
    n_threads: int = 1
    difference: float | None = None
    peak_mib: float | None = None


@dataclass
class Peer:
    """A peer's time beside ours.

    seconds, cpu_seconds : medians; wall, and user and system time of all threads
    ratio, cpu_ratio : median over common rounds of peer / ours: above 1 we are faster
    difference : greatest relative difference of final equity from ours; None: not compared
    differs : why the difference is more than rounding
    """

    name: str
    family: str
    seconds: float
    cpu_seconds: float
    ratio: float
    cpu_ratio: float
    rounds: int
    peak_mib: float | None = None
    difference: float | None = None
    differs: str = ""
    n_threads: int = 1


@dataclass
class Row:
    """One of our contenders.

    seconds, cpu_seconds : medians; wall, and user and system time of all threads
    ratio_vectorbt : time of the fastest form through `vectorbt.Portfolio`, with the Portfolio's figures / ours:
        above 1 we are faster
    ratio_vectorbt_kernels : the same for vectorbt's compiled functions on bare arrays, with statistics of one's own
    ratio_best_peer : the same for the fastest of all peers, vectorbt's kernels included
    rate, unit : work a second
    peak_mib : largest resident set of a process that does this once, imports and compiling included
    limit_seconds, ratio_limit : floor of this machine, and our time / it
    """

    workload: str
    seconds: float
    cpu_seconds: float
    ratio_vectorbt: float | None = None
    ratio_vectorbt_kernels: float | None = None
    ratio_best_peer: float | None = None
    vectorbt: str | None = None
    best_peer: str | None = None
    rate: float | None = None
    unit: str = ""
    peak_mib: float | None = None
    limit_seconds: float | None = None
    ratio_limit: float | None = None
    n_threads: int = 1
    rounds: int = 1
    note: str = ""
    peers: list[Peer] = field(default_factory=list)


def row(
    workload: str,
    ours: Sequence[Sample],
    peers: Mapping[str, Sequence[Sample]] | None = None,
    known: Mapping[str, Known] | None = None,
    *,
    note: str = "",
) -> Row:
    """Return the medians of our samples beside those of the peers; a peer not known is a family of its own."""
    result = Row(workload, median(ours, "wall"), median(ours, "cpu"), rounds=len(ours), note=note)
    result.peak_mib = median_peak(ours)
    for name, theirs in (peers or {}).items():
        about = (known or {}).get(name, Known(name))
        peer = Peer(
            name,
            about.family,
            median(theirs, "wall"),
            median(theirs, "cpu"),
            median_ratio(ours, theirs, "wall"),
            median_ratio(ours, theirs, "cpu"),
            len(theirs),
            about.peak_mib or median_peak(theirs),
            about.difference,
            about.differs,
            about.n_threads,
        )
        result.peers.append(peer)
    result.peers.sort(key=lambda peer: peer.seconds)
    _add_ratios(result)
    return result


def _add_ratios(result: Row) -> None:
    """Fill in the fastest of each family and of all."""
    through = [peer for peer in result.peers if peer.family == VECTORBT]
    kernels = [peer for peer in result.peers if peer.family == VECTORBT_KERNELS]
    if through:
        result.vectorbt, result.ratio_vectorbt = through[0].name, through[0].ratio
    if kernels:
        result.ratio_vectorbt_kernels = kernels[0].ratio
    if result.peers:
        result.best_peer, result.ratio_best_peer = result.peers[0].name, result.peers[0].ratio
