"""The contenders of every benchmark do the same work; a benchmark whose contenders do not is refused."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contests import Contest, contests
from benchmarks.parity import ParityError, compare, prepared
from benchmarks.runs import OURS, Contender, Figures

SMALL = contests(small=True)
BY_NAME = {contest.name: contest for contest in SMALL}
# Peers compile for minutes; the benchmark itself times nothing before their parity is shown.
MEETINGS = [
    pytest.param(
        contest, other, id=f"{contest.name}: {other.name}", marks=[] if other.family == OURS else [pytest.mark.slow]
    )
    for contest in SMALL
    for other in list(contest.contenders.values())[1:]
]


@pytest.mark.parametrize("contest", SMALL, ids=[contest.name for contest in SMALL])
def test_every_workload_trades(contest: Contest) -> None:
    (figures,) = [contest.ours[0].prepare(case)() for case in contest.cases()[:1]]
    assert figures.n_orders is not None
    assert figures.n_orders.all()
    assert np.isfinite(figures.equity).all()


@pytest.mark.parametrize(("contest", "other"), MEETINGS)
def test_contenders_of_a_workload_do_the_same_work(contest: Contest, other: Contender) -> None:
    if missing := other.missing():
        pytest.skip(f"{', '.join(missing)} not installed: see `make bench`")
    first = contest.ours[0]
    found = prepared({first.name: first, other.name: other}, contest.cases())
    assert found[other.name].difference is not None


def test_only_peers_may_be_missing_here() -> None:
    assert not [mine.name for contest in SMALL for mine in contest.ours if mine.missing()]


def test_names_are_unique_in_a_workload_and_rows_over_all() -> None:
    for contest in SMALL:
        assert len(contest.contenders) == len(contest.ours) + len(contest.peers)
    rows = [mine.name for contest in SMALL for mine in contest.ours]
    assert len(set(rows)) == len(rows)
    assert len(BY_NAME) == len(SMALL) > 1


def test_a_peer_that_does_not_do_quite_the_same_says_why() -> None:
    peers = [peer for contest in SMALL for peer in contest.peers]
    assert all(peer.family != OURS for peer in peers)
    assert all(peer.differs for peer in peers if peer.tolerance is None or peer.tolerance > 1e-9)


def figures(equity: float = 100.0, n_orders: int = 3, sharpe: float = 0.5) -> Figures:
    return Figures(np.array([100.0, equity]), np.array([3, n_orders]), np.array([1.0, sharpe]))


def test_figures_within_rounding_are_equal() -> None:
    assert compare("a and b", figures(), figures(equity=100.0 * (1.0 + 1e-12))) < 1e-11


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (figures(equity=100.0 * (1.0 + 1e-8)), "final equity"),
        (figures(equity=np.nan), "final equity"),
        (figures(n_orders=4), "3 orders against 4 in run 1"),
        (figures(sharpe=0.50001), "Sharpe ratio"),
        (Figures(np.array([100.0]), np.array([3])), "2 runs against 1"),
        (figures()._replace(n_orders=None), "not counted"),
    ],
)
def test_different_figures_are_refused(found: Figures, said: str) -> None:
    with pytest.raises(ParityError, match=said):
        compare("a and b", figures(), found)


def test_a_looser_comparison_still_refuses_other_results() -> None:
    assert compare("a and b", figures(), Figures(np.array([100.0, 100.5])), tolerance=1e-2) == pytest.approx(0.005)
    with pytest.raises(ParityError, match="final equity"):
        compare("a and b", figures(), Figures(np.array([100.0, 102.0])), tolerance=1e-2)


def test_a_run_without_orders_proves_nothing() -> None:
    with pytest.raises(ParityError, match="compares nothing"):
        compare("a and b", figures(n_orders=0), figures(n_orders=0))


def test_a_contender_that_pays_no_commission_is_found_out() -> None:
    contest = BY_NAME["W1"]
    cases = contest.cases()
    wanted = contest.ours[0].prepare(cases[0])()
    free = contest.ours[0].prepare(_without_costs(cases[0]))()
    with pytest.raises(ParityError, match=r"final equity|Sharpe ratio"):
        compare("a and b", wanted, free)


def _without_costs(case):
    from dataclasses import replace

    from engine import Costs

    return replace(case, costs=Costs())
