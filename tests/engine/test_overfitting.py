"""CSCV against a hand-computed case, a plain loop, and what is known of noise and skill."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.stats import rankdata

from engine.errors import InputError
from engine.overfitting import pbo

HAND = [
    [0.01, 0.0, -0.01], [0.02, -0.01, 0.0], [-0.01, 0.01, 0.01], [0.0, 0.02, 0.0],
    [0.01, -0.02, 0.02], [-0.02, 0.01, 0.01], [0.0, 0.01, -0.01], [0.01, 0.0, 0.02],
]  # fmt: skip


def plain(returns, n_splits, metric):
    """Every combination by a loop: logits, and both performances of the chosen trial."""
    edges = [block * len(returns) // n_splits for block in range(n_splits + 1)]
    blocks = [returns[first:end] for first, end in pairwise(edges)]
    rows = []
    for kept in combinations(range(n_splits), n_splits // 2):
        halves = [[block for i, block in enumerate(blocks) if (i in kept) == is_in] for is_in in (True, False)]
        sides = [np.concatenate(half) for half in halves]
        values = [side.mean(axis=0) / (side.std(axis=0, ddof=1) if metric == "sharpe" else 1.0) for side in sides]
        best = int(np.argmax(values[0]))
        share = rankdata(values[1])[best] / (returns.shape[1] + 1)
        rows.append((np.log(share / (1.0 - share)), values[0][best], values[1][best]))
    return np.array(sorted(rows))


def found(outcome):
    return np.array(sorted(zip(outcome.logits, outcome.in_sample, outcome.out_of_sample, strict=True)))


def noise(seed, n_bars=1_000, n_trials=100):
    return np.random.default_rng(seed).normal(0.0, 0.01, (n_bars, n_trials))


def test_hand_computed_case():
    outcome = pbo(HAND, n_splits=4, metric="mean")
    assert outcome.logits.size == 6
    assert outcome.pbo == 1.0
    assert outcome.slope == pytest.approx(-0.5)
    assert outcome.loss_probability == pytest.approx(1.0 / 3.0)
    assert np.median(outcome.logits) == pytest.approx(-1.098612, abs=5e-7)


@pytest.mark.parametrize("metric", ["sharpe", "mean"])
@pytest.mark.parametrize(("n_bars", "n_splits"), [(96, 8), (101, 8), (64, 2), (203, 10)])
def test_all_combinations_are_those_of_a_plain_loop(n_bars, n_splits, metric):
    returns = noise(n_bars, n_bars, 7) + 0.02
    wanted, got = plain(returns, n_splits, metric), found(pbo(returns, n_splits=n_splits, metric=metric))
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-13)


def test_sixteen_blocks_make_12870_combinations():
    outcome = pbo(noise(0, 64, 3))
    assert outcome.logits.shape == outcome.chosen.shape == (12_870,)
    assert set(np.unique(outcome.chosen)) == {0, 1, 2}


def test_noise_is_at_one_half_and_skill_brings_it_down():
    def mean_of(annual_sharpe):
        values = []
        for seed in range(6):
            returns = noise(seed)
            returns[:, 17] += annual_sharpe / np.sqrt(252.0) * 0.01
            values.append(pbo(returns).pbo)
        return np.mean(values)

    assert mean_of(0.0) == pytest.approx(0.515, abs=0.14)
    assert mean_of(2.0) == pytest.approx(0.22, abs=0.12)
    assert mean_of(3.0) < 0.1


def test_noise_without_means_compensates_fully():
    returns = noise(1)
    outcome = pbo(returns - returns.mean(axis=0))
    assert outcome.pbo == 1.0
    assert outcome.loss_probability == 1.0
    assert outcome.slope == pytest.approx(-0.97, abs=0.03)


def test_trial_that_never_trades_has_a_sharpe_of_zero():
    returns = noise(2, 200, 4) - 0.05
    returns[:, 2] = 0.0
    outcome = pbo(returns, n_splits=8)
    assert (outcome.chosen == 2).all()
    assert (outcome.in_sample == 0.0).all()
    assert outcome.pbo == 0.0
    assert np.isnan(outcome.slope)


def test_equal_trials_share_their_ranks():
    returns = np.repeat(noise(3, 200, 1), 4, axis=1)
    outcome = pbo(returns, n_splits=8)
    assert (outcome.chosen == 0).all()
    assert (outcome.logits == 0.0).all()


def test_distance_from_zero_does_not_cost_digits():
    returns = noise(4, 400, 5)
    shifted = pbo(returns + 1e3, n_splits=8)
    wanted = plain(returns + 1e3, 8, "sharpe")
    np.testing.assert_allclose(found(shifted)[:, 0], wanted[:, 0])
    np.testing.assert_allclose(found(shifted)[:, 1:], wanted[:, 1:], rtol=1e-9)


@pytest.mark.parametrize(
    ("returns", "settings", "rule"),
    [
        (np.zeros((40, 3)), {"n_splits": 5}, "n_splits must be even and between 2 and 20, was 5"),
        (np.zeros((40, 3)), {"n_splits": 22}, "n_splits must be even and between 2 and 20, was 22"),
        (np.zeros((40, 3)), {"metric": "sharp"}, "metric must be one of sharpe, mean, was 'sharp'; did you mean"),
        (np.zeros((40, 1)), {}, r"two trials, had shape \(40, 1\)"),
        (np.zeros(40), {}, r"two axes \[n_bars, n_trials\]"),
        (np.zeros((31, 3)), {}, r"two bars a block \(32\), had 31"),
        (np.where(np.eye(40, 3, -7) > 0, np.nan, 0.0), {}, "must be finite, was nan at bar 7, trial 0"),
    ],
)
def test_wrong_input_is_named(returns, settings, rule):
    with pytest.raises(InputError, match=rule):
        pbo(returns, **settings)
