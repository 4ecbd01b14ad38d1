"""The contenders of every benchmark do the same work; a benchmark whose contenders do not is refused."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contests import Contest, ParityError, check_parity, compare, contests
from benchmarks.workloads import Figures

SMALL = contests(small=True)


@pytest.mark.parametrize("contest", SMALL, ids=[contest.name for contest in SMALL])
def test_contenders_of_a_workload_end_with_the_same_equity_and_orders(contest: Contest) -> None:
    check_parity(contest, contest.cases())


def test_names_of_workloads_are_unique() -> None:
    assert len({contest.name for contest in SMALL}) == len(SMALL) > 1


def figures(equity: float = 100.0, n_orders: int = 3) -> Figures:
    return Figures(np.array([100.0, equity]), np.array([3, n_orders]))


def test_figures_within_rounding_are_equal() -> None:
    compare("a and b", figures(), figures(equity=100.0 * (1.0 + 1e-12)))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (figures(equity=100.0 * (1.0 + 1e-8)), "final equity"),
        (figures(equity=np.nan), "final equity"),
        (figures(n_orders=4), "3 orders against 4 in run 1"),
        (Figures(np.array([100.0]), np.array([3])), "2 runs against 1"),
    ],
)
def test_different_figures_are_refused(found: Figures, said: str) -> None:
    with pytest.raises(ParityError, match=said):
        compare("a and b", figures(), found)


def test_a_run_without_orders_proves_nothing() -> None:
    with pytest.raises(ParityError, match="compares nothing"):
        compare("a and b", figures(n_orders=0), figures(n_orders=0))


def test_a_contender_that_pays_no_commission_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.FEES", 0.0)
    with pytest.raises(ParityError, match="final equity"):
        check_parity(SMALL[0], SMALL[0].cases())
