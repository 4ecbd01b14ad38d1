"""`python -m benchmarks.peak CONTENDER`: run one contender once and print this process's peak memory in MiB."""

from __future__ import annotations

import sys

from benchmarks.contests import contests
from benchmarks.timing import peak_mib


def main(name: str) -> None:
    """Run the contender of this name on its first data set."""
    for contest in contests():
        contenders = {**contest.ours, **contest.peers}
        if name in contenders:
            contenders[name](contest.cases()[0])()
            print(peak_mib())
            return
    raise SystemExit(f"there is no contender {name!r}")


if __name__ == "__main__":
    main(sys.argv[1])
