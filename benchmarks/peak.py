"""`python -m benchmarks.peak CONTEST CONTENDER`: run one contender once, print this process's peak memory in MiB."""

from __future__ import annotations

import sys

from benchmarks.contests import contests
from benchmarks.timing import peak_mib


def main(contest: str, contender: str) -> None:
    """Run a contender on the first data set of a contest."""
    named = {entered.name: entered for entered in contests()}
    entered = named[contest]
    entered.contenders[contender].prepare(entered.make(entered.seeds[0]))()
    print(peak_mib())


if __name__ == "__main__":
    main(*sys.argv[1:])
