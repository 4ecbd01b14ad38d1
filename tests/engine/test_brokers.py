"""Presets against the examples their sources publish, by a commission computed here and not by the engine."""

from __future__ import annotations

import dataclasses
import math

import pytest

from engine import brokers
from engine.costs import Costs
from engine.errors import InputError


def commission(costs, size, price, units_before=0.0):
    """What one order of one fill pays, as the docstring of Costs says it."""
    value = size * price
    due = costs.commission_fixed + costs.commission_bps / 10_000.0 * value + costs.commission_per_share * size
    ends = [start for start, _ in costs.commission_tiers[1:]] + [math.inf]
    for (start, rate), end in zip(costs.commission_tiers, ends, strict=False):
        due += rate * max(0.0, min(units_before + size, end) - max(units_before, start))
    return min(max(due, costs.commission_min), costs.commission_max_rate * value)


def sell_fees(costs, size, price):
    return costs.sell_fee_rate * size * price + min(costs.sell_fee_per_share * size, costs.sell_fee_max)


@pytest.mark.parametrize(
    ("size", "price", "paid"),
    [(100, 25.0, 1.00), (1_000, 25.0, 5.00), (1_000, 0.25, 2.50)],
)
def test_fixed_plan_pays_what_the_broker_says_in_its_examples(size, price, paid):
    assert commission(Costs.preset("interactive_brokers_fixed"), size, price) == pytest.approx(paid, abs=1e-12)


@pytest.mark.parametrize(
    ("units_before", "size", "paid"),
    [
        (0, 50, 0.35),
        (0, 1_000, 3.50),
        (299_000, 2_000, 1_000 * 0.0035 + 1_000 * 0.0020),
        (5_000_000, 1_000, 1.50),
        (50_000_000, 1_000, 1.00),
        (100_000_000, 1_000, 0.50),
    ],
)
def test_tiered_plan_pays_by_the_shares_of_the_month(units_before, size, paid):
    costs = Costs.preset("interactive_brokers_tiered")
    assert commission(costs, size, 25.0, units_before) == pytest.approx(paid, abs=1e-12)


@pytest.mark.parametrize("name", ["interactive_brokers_fixed", "interactive_brokers_tiered", "zero_commission"])
def test_regulators_are_paid_on_sales_up_to_their_cap(name):
    costs = Costs.preset(name)
    assert sell_fees(costs, 1_000, 100.0) == pytest.approx(2.78 + 0.166, abs=1e-12)
    assert sell_fees(costs, 1_000_000, 1.0) == pytest.approx(27.80 + 8.30, abs=1e-12)


def test_zero_commission_is_zero_commission():
    assert commission(Costs.preset("zero_commission"), 1_000, 25.0) == 0.0


def test_maker_pays_less_than_taker():
    assert commission(Costs.preset("crypto_taker"), 0.5, 40_000.0) == pytest.approx(80.0)
    assert commission(Costs.preset("crypto_maker"), 0.5, 40_000.0) == pytest.approx(50.0)


def test_every_preset_is_a_documented_function_of_its_name():
    assert list(brokers.PRESETS) == sorted(brokers.PRESETS)
    for name, build in brokers.PRESETS.items():
        assert build is getattr(brokers, name)
        assert build() == Costs.preset(name) == Costs(**dataclasses.asdict(build()))
        assert len(build.__doc__) > 80
        assert build().spread_bps == build().slippage_bps == 0.0


def test_misspelt_preset_is_answered_with_the_nearest():
    with pytest.raises(InputError) as error:
        Costs.preset("interactive_broker_tiered")
    assert str(error.value) == (
        "there is no preset 'interactive_broker_tiered' of costs; did you mean 'interactive_brokers_tiered'?"
    )
    with pytest.raises(InputError, match="there is no preset 5 of costs; known: crypto_maker, crypto_taker"):
        Costs.preset(5)
