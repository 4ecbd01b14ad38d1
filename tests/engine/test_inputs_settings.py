"""Settings: defaults without effect, values that hash and compare, and every bad one refused with its rule."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from engine.account import Account
from engine.costs import Costs
from engine.errors import InputError
from engine.execution import Execution
from engine.risk import Risk

NAN = np.nan
SETTINGS = (Account, Costs, Execution, Risk)


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: Account(cash=0.0), "cash must be positive and finite, was 0.0"),
        (lambda: Account(cash=NAN), "cash must be positive and finite, was nan"),
        (lambda: Account(cash="1000"), "cash must be positive and finite, was '1000'"),
        (lambda: Account(leverage=0.5), "leverage must be at least 1 and finite, was 0.5"),
        (lambda: Account(allow_short=1), "allow_short must be True or False, was 1"),
        (lambda: Account(maintenance_margin=-0.1), "maintenance_margin must be zero or positive, and finite, was -0.1"),
        (lambda: Account(maintenance_margin=1.1), "maintenance_margin must not be above 1 / leverage (1), which"),
        (lambda: Account(leverage=4.0, maintenance_margin=0.26), "1 / leverage (0.25), which a full position would"),
        (lambda: Account(cash_rate=np.inf), "cash_rate must be finite, was inf"),
        (lambda: Account(debit_rate=-0.01), "debit_rate must be zero or positive, and finite, was -0.01"),
        (lambda: Account(day_count=0), "day_count must be positive and finite, was 0"),
        (lambda: Account(dividends_on="paydate"), "was 'paydate'; did you mean 'pay_date'?"),
        (lambda: Costs(commission_bps=-1.0), "commission_bps must be zero or positive, and finite, was -1.0"),
        (lambda: Costs(commission_max_rate=-0.1), "commission_max_rate must be zero or positive, was -0.1"),
        (lambda: Costs(commission_max_rate=NAN), "commission_max_rate must be zero or positive, was nan"),
        (lambda: Costs(slippage_bps=np.inf), "slippage_bps must be zero or positive, and finite, was inf"),
        (lambda: Costs(slippage_bps=10_000.0), "must stay below 10000 (a sale would bring nothing), was 10000.0"),
        (lambda: Costs(spread_bps=10_000.0, slippage_bps=5_000.0), "(a sale would bring nothing), was 10000.0"),
        (lambda: Costs(commission_fixed=True), "commission_fixed must be zero or positive, and finite, was True"),
        (lambda: Costs(commission_min_beats_max=1), "commission_min_beats_max must be True or False, was 1"),
        (lambda: Costs(sell_fee_rate=1.0), "sell_fee_rate must be a fraction below 1, was 1.0"),
        (lambda: Costs(sell_fee_per_share=NAN), "sell_fee_per_share must be zero or positive, and finite, was nan"),
        (lambda: Costs(sell_fee_max=-1.0), "sell_fee_max must be zero or positive, was -1.0"),
        (lambda: Costs(slippage_ticks=-1.0), "slippage_ticks must be zero or positive, and finite, was -1.0"),
        (lambda: Costs(impact_coefficient=-1.0), "impact_coefficient must be zero or positive, and finite, was -1.0"),
        (lambda: Costs(impact_bars=1), "impact_bars must be a whole number of at least 2, was 1"),
        (lambda: Costs(impact_bars=20.0), "impact_bars must be a whole number of at least 2, was 20.0"),
        (lambda: Costs(volume_share_limit=0.0), "volume_share_limit must be positive and finite, was 0.0"),
        (lambda: Costs(borrow_rate=-0.01), "borrow_rate must be zero or positive, and finite, was -0.01"),
        (lambda: Execution(lot_size=-1.0), "lot_size must be zero or positive, and finite, was -1.0"),
        (lambda: Execution(tick_size=NAN), "tick_size must be zero or positive, and finite, was nan"),
        (lambda: Execution(latency_bars=-1), "latency_bars must be a whole number of at least 0, was -1"),
        (lambda: Execution(latency_bars=True), "latency_bars must be a whole number of at least 0, was True"),
        (lambda: Execution(participation_rate=0.0), "participation_rate must be positive, or inf for no limit, was 0"),
        (lambda: Execution(timing="next_opne"), "was 'next_opne'; did you mean 'next_open'?"),
        (lambda: Execution(timing=None), "timing must be one of next_open, same_close"),
        (lambda: Execution(cash_policy="all"), "cash_policy must be one of scale, reject, margin, was 'all'"),
        (lambda: Execution(cash_policy="marign"), "was 'marign'; did you mean 'margin'?"),
        (lambda: Execution(intrabar="olch"), "was 'olch'; did you mean 'olhc'?"),
        (lambda: Execution(children_from="nextbar"), "was 'nextbar'; did you mean 'next_bar'?"),
        (lambda: Execution(limit_touch=0), "limit_touch must be True or False, was 0"),
        (lambda: Execution(cash_in_lieu="yes"), "cash_in_lieu must be True or False, was 'yes'"),
        (lambda: Risk(stop_loss_rate=1.0), "stop_loss_rate must be at least 0 (off) and below 1, was 1.0"),
        (lambda: Risk(trailing_stop_rate=-0.1), "trailing_stop_rate must be at least 0 (off) and below 1, was -0.1"),
        (lambda: Risk(take_profit_rate=NAN), "take_profit_rate must be zero or positive, and finite, was nan"),
        (lambda: Risk(time_stop_bars=2.0), "time_stop_bars must be a whole number of at least 0, was 2.0"),
    ],
)
def test_bad_setting_is_refused(build, rule):
    with pytest.raises(InputError) as error:
        build()
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("tiers", "rule"),
    [
        (5.0, "commission_tiers must be pairs of (from_units, per_share), was 5.0"),
        ([(0, 0.1), 5], "commission_tiers[1] must be a pair of (from_units, per_share), was 5"),
        ([(0, 0.1, 0.2)], "commission_tiers[0] must be a pair of (from_units, per_share), was (0, 0.1, 0.2)"),
        ([(100, 0.1)], "commission_tiers must start from 0 units, started from 100.0"),
        ([(0, 0.1), (5, 0.2), (5, 0.3)], "commission_tiers must rise strictly in from_units, was 5.0 after 5.0"),
        ([(0, -0.1)], "commission_tiers[0] must be zero or positive, and finite, was -0.1"),
        ([(0, 0.1), (np.inf, 0.1)], "commission_tiers[1] from_units must be zero or positive, and finite, was inf"),
        ([(0, "0.1")], "commission_tiers[0] must be zero or positive, and finite, was '0.1'"),
    ],
)
def test_tiers_that_break_a_rule_are_refused(tiers, rule):
    with pytest.raises(InputError) as error:
        Costs(commission_tiers=tiers)
    assert str(error.value) == rule


def test_a_rate_a_share_beside_tiers_is_refused_since_it_would_be_dropped():
    with pytest.raises(InputError, match="commission_per_share must be 0 where commission_tiers replace it, was 0.01"):
        Costs(commission_per_share=0.01, commission_tiers=[(0, 0.01)])


def test_tiers_are_tuples_of_floats_whatever_they_were_given_as():
    costs = Costs(commission_tiers=[[0, 0.0035], [300_000, np.float64(0.002)]])
    assert costs.commission_tiers == ((0.0, 0.0035), (300_000.0, 0.002))
    assert {type(number) for tier in costs.commission_tiers for number in tier} == {float}
    assert costs == Costs(commission_tiers=((0.0, 0.0035), (300_000.0, 0.002)))
    assert hash(costs) == hash(Costs(commission_tiers=((0.0, 0.0035), (300_000.0, 0.002))))


def test_limits_of_the_allowed_are_allowed():
    assert Account(leverage=3.0, maintenance_margin=1.0 / 3.0).maintenance_margin == 1.0 / 3.0
    assert Account(cash_rate=-0.005).cash_rate == -0.005
    assert Execution(participation_rate=np.inf) == Execution()
    assert Risk(take_profit_rate=2.0, stop_loss_rate=0.999).take_profit_rate == 2.0
    assert Costs(commission_max_rate=0.0).commission_max_rate == 0.0


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_compare_hash_copy_and_become_dictionaries(kind):
    plain = kind()
    assert plain == kind(**dataclasses.asdict(plain))
    assert hash(plain) == hash(kind())
    for again in (pickle.loads(pickle.dumps(plain)), copy.deepcopy(plain), dataclasses.replace(plain)):
        assert again == plain and hash(again) == hash(plain)
    assert set(vars(plain)) == {item.name for item in dataclasses.fields(kind)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(plain, dataclasses.fields(kind)[0].name, None)


@pytest.mark.parametrize("kind", SETTINGS)
def test_numbers_of_any_type_are_held_as_the_declared_one(kind):
    declared = {"float": float, "int": int, "bool": bool, "str": str, "Tiers": tuple}
    given = {}
    for item in dataclasses.fields(kind):
        if item.type == "float":
            given[item.name] = np.float32(1.0) if item.name != "sell_fee_rate" else np.float32(0.5)
        elif item.type == "int":
            given[item.name] = np.int16(3)
    if kind is Risk:
        given |= {"stop_loss_rate": np.float32(0.5), "trailing_stop_rate": 0}
    settings = kind(**given)
    for item in dataclasses.fields(kind):
        assert type(getattr(settings, item.name)) is declared[item.type]


def test_defaults_have_no_effect():
    assert (Account().leverage, Account().maintenance_margin, Account().cash_rate, Account().debit_rate) == (1, 0, 0, 0)
    costs = Costs()
    charged = [item.name for item in dataclasses.fields(Costs) if item.type == "float" and getattr(costs, item.name)]
    assert charged == ["commission_max_rate", "sell_fee_max", "volume_share_limit"]
    assert dataclasses.astuple(Risk()) == (0.0, 0.0, 0.0, 0)
    assert (Execution().latency_bars, Execution().lot_size, Execution().tick_size) == (0, 0.0, 0.0)
