"""Specs: strict reading, a hash of what they mean, and a round trip through YAML."""

from __future__ import annotations

import copy
import datetime as dt
import math
import pickle

import pytest

from engine.account import Account
from engine.costs import Costs
from engine.execution import Execution
from engine.metrics import metrics
from engine.risk import Risk
from strategies.errors import SpecError
from strategies.search import Choices, Range
from strategies.spec import METRICS, Spec, check_name, load_spec, spec_names
from strategies.walk_forward import WalkForwardSettings

FULL = """\
# A comment.
strategy: ma_cross
version: 2
description: Trends.
universe: sample
start: 2000-03-01
end: "2013-04-01"
parameters: {fast: 10, slow: 50}
account: {cash: 50000, leverage: 1.5, allow_short: false}
costs: {commission_per_share: 0.005, commission_min: 1, commission_max_rate: .inf}
execution: {timing: same_close, lot_size: 1, cash_policy: reject}
search:
  fast: {low: 5, high: 50, step: 5}
  slow: {choices: [60, 100]}
metric: sortino
walk_forward: {train_years: 4, anchored: true, purge_bars: 5, n_trials: 7}
seed: 9
benchmark: "ON"
"""
MINIMAL = "strategy: ma_cross\nuniverse: sample\n"


def test_a_spec_says_everything_about_a_study():
    spec = Spec.from_yaml(FULL, "trends")
    assert spec == Spec(
        name="trends",
        strategy="ma_cross",
        version=2,
        description="Trends.",
        universe="sample",
        start=dt.date(2000, 3, 1),
        end=dt.date(2013, 4, 1),
        parameters={"fast": 10, "slow": 50},
        account=Account(cash=50_000.0, leverage=1.5, allow_short=False),
        costs=Costs(commission_per_share=0.005, commission_min=1.0),
        execution=Execution(timing="same_close", lot_size=1.0, cash_policy="reject"),
        search={"fast": Range(5, 50, 5), "slow": Choices((60, 100))},
        metric="sortino",
        walk_forward=WalkForwardSettings(train_years=4, anchored=True, purge_bars=5, n_trials=7),
        seed=9,
        benchmark="ON",
    )
    assert math.isinf(spec.costs.commission_max_rate)


def test_what_is_left_out_has_its_default():
    spec = Spec.from_yaml(MINIMAL, "short")
    assert spec.parameters == {"fast": 20, "slow": 100}
    assert (spec.start, spec.end, spec.benchmark, spec.search) == (None, None, None, {})
    assert (spec.account, spec.costs, spec.execution) == (Account(), Costs(), Execution())


RARE = """\
account: {maintenance_margin: 0.25, dividends_on: pay_date}
costs:
  commission_tiers:
    - [0, 0.0035]
    - [300000, 0.002]
  impact_bars: 10
execution: {intrabar: ohlc, participation_rate: 0.1, latency_bars: 1}
risk: {stop_loss_rate: 0.1, time_stop_bars: 5}
"""


def test_rare_settings_are_read_and_said_where_they_are_used():
    spec = Spec.from_yaml(MINIMAL + RARE, "rare")
    assert spec.account == Account(maintenance_margin=0.25, dividends_on="pay_date")
    assert spec.costs == Costs(commission_tiers=((0.0, 0.0035), (300_000.0, 0.002)), impact_bars=10)
    assert spec.execution == Execution(intrabar="ohlc", participation_rate=0.1, latency_bars=1)
    assert spec.risk == Risk(stop_loss_rate=0.1, time_stop_bars=5)
    said = spec.to_dict()
    assert said["risk"] == {"stop_loss_rate": 0.1, "time_stop_bars": 5}
    assert said["costs"]["commission_tiers"] == [[0.0, 0.0035], [300_000.0, 0.002]]
    assert "borrow_rate" not in said["costs"] and "tick_size" not in said["execution"]
    assert "risk" not in Spec.from_yaml(FULL, "trends").to_dict()


def test_rare_settings_at_their_defaults_are_no_part_of_the_hash():
    plain = Spec.from_yaml(MINIMAL, "a")
    said = "costs: {borrow_rate: 0, commission_tiers: []}\nrisk: {stop_loss_rate: 0}\nexecution: {latency_bars: 0}\n"
    assert Spec.from_yaml(MINIMAL + said, "a").hash == plain.hash
    assert Spec.from_yaml(MINIMAL + "risk: {stop_loss_rate: 0.1}", "a").hash != plain.hash


@pytest.mark.parametrize("text", [FULL, MINIMAL, MINIMAL + RARE])
def test_a_spec_survives_yaml_pickle_and_copies(text):
    spec = Spec.from_yaml(text, "trends")
    for again in (Spec.from_yaml(spec.to_yaml(), "trends"), pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):
        assert again == spec
        assert again.hash == spec.hash


def test_the_hash_names_the_meaning_not_the_text():
    spec = Spec.from_yaml(FULL, "trends")
    lines = [line for line in FULL.splitlines() if not line.startswith((" ", "#", "search"))]
    shuffled = "\n".join([*lines[::-1], "search: {slow: {choices: [60, 100]}, fast: {step: 5, low: 5, high: 50}}"])
    assert Spec.from_yaml(shuffled, "trends").hash == spec.hash
    assert Spec.from_yaml(FULL.replace("Trends.", "Other words."), "trends").hash == spec.hash
    explicit = MINIMAL + "parameters: {slow: 100, fast: 20}\ncosts: {spread_bps: 0}\nseed: 1\n"
    assert Spec.from_yaml(explicit, "a").hash == Spec.from_yaml(MINIMAL, "a").hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 2", "version: 3"),
        ("universe: sample", "universe: other"),
        ("fast: 10", "fast: 11"),
        ("2000-03-01", "2000-03-02"),
        ("cash: 50000", "cash: 50001"),
        ("commission_min: 1", "commission_min: 2"),
        (".inf", "0.01"),
        ("lot_size: 1", "lot_size: 2"),
        ("step: 5", "step: 1"),
        ("[60, 100]", "[60, 110]"),
        ("metric: sortino", "metric: sharpe"),
        ("anchored: true", "anchored: false"),
        ("seed: 9", "seed: 8"),
        ('benchmark: "ON"', "benchmark: null"),
    ],
)
def test_the_hash_changes_with_everything_that_changes_a_result(old, new):
    assert old in FULL
    assert Spec.from_yaml(FULL.replace(old, new), "trends").hash != Spec.from_yaml(FULL, "trends").hash


def test_the_hash_is_the_same_on_every_machine_and_day():
    assert Spec.from_yaml(FULL, "trends").hash[:16] == "c2967f6e39194327"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("risk: {stop_los_rate: 0.1}", "line 3: risk.stop_los_rate is unknown; did you mean 'stop_loss_rate'"),
        ("rsik: {stop_loss_rate: 0.1}", "line 3: rsik is unknown; did you mean 'risk'"),
        ("risk: {stop_loss_rate: 1}", "line 3: stop_loss_rate must be at least 0 .off. and below 1, was 1.0"),
        ("risk: {time_stop_bars: 1.5}", "line 3: risk.time_stop_bars must be a whole number, was 1.5"),
        ("execution: {intrabar: olch}", "was 'olch'; did you mean 'olhc'"),
        ("costs: {commission_tiers: 5}", "line 3: costs.commission_tiers must be a list, was 5"),
        (
            "costs: {commission_tiers: [[0, '1']]}",
            r"commission_tiers\[0\] must be zero or positive, and finite, was '1'",
        ),
        ("costs: {commission_tiers: [[5, 1]]}", "commission_tiers must start from 0 units, started from 5.0"),
        ("costs: {comission_bps: 1}", "s.yaml, line 3: costs.comission_bps is unknown; did you mean 'commission_bps'"),
        ("parmeters: {fast: 3}", "line 3: parmeters is unknown; did you mean 'parameters'"),
        ("parameters:\n  fats: 3", "line 4: parameters.fats is unknown; did you mean 'fast'"),
        ("parameters: {fast: 3.5}", "parameters.fast must be a whole number, was 3.5"),
        ("parameters: {fast: true}", "parameters.fast must be a whole number, was True"),
        ("parameters: {fast: '3'}", "parameters.fast must be a whole number, was '3': take the quotes away"),
        ("parameters: [3]", "parameters must be a mapping of names to values"),
        ("search: {fsat: {low: 1, high: 2}}", "search.fsat is unknown; did you mean 'fast'"),
        ("search: {fast: {low: 1, hihg: 2}}", "line 3: .*has no 'hihg'; did you mean 'high'"),
        ("search: {fast: {low: 3, high: 2}}", "low must not be above high, was 3 against 2"),
        ("search: {fast: {low: 3}}", "must have 'high'"),
        ("search: {fast: {low: 1, high: 2.5}}", "fast must be int, was 2.5"),
        ("search: {fast: {low: 1, high: 5, step: 0}}", "step must be positive"),
        ("search: {fast: [1, 2]}", r"must be {low, high, step} or {choices: \[...\]}"),
        ("search: {fast: {choices: []}}", "at least one value"),
        ("search: {fast: {choices: [3, 3]}}", "choices must differ"),
        ("search: {fast: {choices: [3, x]}}", "fast must be int, was 'x'"),
        ("search: {fast: {choices: [3], low: 1}}", "has no 'low'; known: choices"),
        ("benchmark: ON", "benchmark must be text, was True: quote it"),
        ("benchmark: 600000", "benchmark must be text, was 600000: quote it"),
        ("on: x", "line 3: a key must be text, 'on' is not: quote it"),
        ("seed: 1\nseed: 2", "line 4: seed stands twice, first on line 3"),
        ("costs: {spread_bps: 1, spread_bps: 2}", "costs.spread_bps stands twice"),
        ("costs: {spread_bps: 1e-3}", "was '1e-3': write 1.0e-3"),
        ("costs: {spread_bps: .nan}", "s.yaml, line 3: spread_bps must be"),
        ("costs: {spread_bps: -1}", "spread_bps must be zero or positive"),
        ("costs: 5", "costs must be a mapping"),
        ("account: {leverage: 0.5}", "leverage must be at least 1"),
        ("account: {allow_short: 0}", "account.allow_short must be true or false, was 0"),
        ("execution: {timing: next_opn}", "did you mean 'next_open'"),
        ("walk_forward: {train_years: 0}", "train_years must be a whole number of at least 1"),
        ("walk_forward: {test_years: 1}", "walk_forward.test_years is unknown; did you mean 'train_years'"),
        ("metric: sharp", "'sharp' is no metric to maximise; did you mean 'sharpe'"),
        ("metric: volatility", "'volatility' is no metric to maximise"),
        ("start: 2000-13-01", "not valid YAML: month must be in 1..12"),
        ("start: yesterday", "start must be a date, was 'yesterday'"),
        ("start: 2000-01-01 10:00:00", "start must be a date"),
        ("start: 2001-01-01\nend: 2001-01-01", "start must be before end"),
        ("version: 0", "version must be at least 1, was 0"),
        ("seed: -1", "seed must be at least 0"),
        ("seed: null", "seed must be a whole number, was None"),
        ("description: &a x\nbenchmark: *a", "line 4: not valid YAML: aliases"),
        ("costs: !!python/object/apply:os.system [ls]", "plain YAML|not valid YAML"),
        ("seed: !!python/name:os.system 1", "not valid YAML"),
        ("<<: {seed: 1}", "a key must be text, '<<' is not"),
        ("seed: [1", "not valid YAML"),
        ("description: " + "x" * 70_000, "must not exceed 65536 bytes"),
        ("description: " + "[" * 20_000, "nested too deeply|not valid YAML"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_line_and_remedy(text, says):
    with pytest.raises(SpecError, match=says) as caught:
        Spec.from_yaml(MINIMAL + text, "s")
    assert str(caught.value).startswith("s")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be a mapping of keys to values, was NoneType"),
        ("- a", "must be a mapping of keys to values, was list"),
        ("universe: sample", "s.yaml: strategy must be given"),
        ("strategy: ma_cross", "s.yaml: universe must be given"),
        ("strategy: ma_crss\nuniverse: x", "line 1: there is no strategy 'ma_crss'; did you mean 'ma_cross'"),
        ("strategy: 5\nuniverse: x", "strategy must be text, was 5"),
        ("strategy: ma_cross\nuniverse: [A, B]", "universe must be text, was"),
        ("a: b: c", "line 1: not valid YAML"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(text, says):
    with pytest.raises(SpecError, match=says):
        Spec.from_yaml(text, "s")


@pytest.mark.parametrize("name", ["", "Abc", "a-b", "a b", "../a", "1a", "a/b", "a=b", "a" * 65, "a.b", "é", "a\n"])
def test_a_name_that_could_not_be_a_partition_is_refused(name):
    with pytest.raises(SpecError, match="a spec's name"):
        check_name(name)
    with pytest.raises(SpecError, match="a spec's name"):
        Spec.from_yaml(MINIMAL, name)


def test_the_built_in_specs_are_read_by_name_and_by_path(tmp_path):
    assert spec_names() == ["equal_weight", "ma_cross", "momentum"]
    for name in spec_names():
        spec = load_spec(name)
        assert (spec.strategy, spec.universe) == (name, "sample")
        assert spec.search
        assert spec.costs.commission_min > 0.0
    (tmp_path / "mine.yaml").write_text(MINIMAL)
    assert load_spec("mine", tmp_path) == load_spec(tmp_path / "mine.yaml") == Spec.from_yaml(MINIMAL, "mine")
    assert spec_names(tmp_path) == ["mine"]


def test_a_spec_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(SpecError, match="there is no spec 'momentom'; did you mean 'momentum'"):
        load_spec("momentom")
    with pytest.raises(SpecError, match=r"cannot read .*no\.yaml: No such file"):
        load_spec(tmp_path / "no.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"description: \xe9\n")
    with pytest.raises(SpecError, match=r"latin\.yaml must be UTF-8"):
        load_spec(tmp_path / "latin.yaml")


def test_parameters_are_replaced_in_a_new_spec():
    spec = Spec.from_yaml(MINIMAL, "s")
    assert spec.with_parameters({"fast": 7}).parameters == {"fast": 7, "slow": 100}
    assert spec.parameters["fast"] == 20
    with pytest.raises(SpecError, match="no parameter 'fasst'; did you mean 'fast'"):
        spec.with_parameters({"fasst": 7})
    with pytest.raises(TypeError):
        spec.parameters["fast"] = 7


def test_every_metric_a_spec_may_maximise_is_one_of_the_engine():
    assert set(METRICS) <= set(metrics([0.01, -0.01, 0.02]))
