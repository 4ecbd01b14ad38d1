"""The compiled engine against a slow one in plain Python that shares no code with it."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from engine.records import CASH_FLOW_KINDS, FILL_KINDS, REASONS
from tests.engine.comparison import assert_same, play, play_slowly
from tests.engine.markets import FAMILIES, random_market

SEEDS = range(280)


@cache
def market_and_outcome(seed):
    market = random_market(seed)
    return market, play_slowly(market)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{FAMILIES[seed % len(FAMILIES)]}-{seed}")
def test_random_market_gives_the_result_of_the_slow_reference(seed):
    market, slow = market_and_outcome(seed)
    assert_same(market, play(market), slow)


def test_random_markets_visit_every_rule():
    seen = Counter()
    for seed in SEEDS:
        seen.update(rules_met(*market_and_outcome(seed)))
    wanted = [f"fill {kind}" for kind in FILL_KINDS] + [f"flow {kind}" for kind in CASH_FLOW_KINDS]
    wanted += [f"rejected {reason}" for reason in REASONS]
    wanted += [f"status {status}" for status in ("open", "filled", "expired", "cancelled", "rejected")]
    wanted += [f"path {rule}" for rule in ("pessimistic", "ohlc", "olhc", "adaptive", "stops_first")]
    wanted += [f"gap {kind}" for kind in ("limit", "stop", "stop_limit", "trailing_stop", "stop_loss", "take_profit")]
    wanted += [
        f"inside {kind}" for kind in ("limit", "stop", "stop_limit", "trailing_stop", "stop_loss", "take_profit")
    ]
    wanted += ["partial", "ambiguous", "short", "in debt", "child", "child in the same bar", "oco", "finer", "late pay"]
    wanted += [
        "same_close",
        "next_close",
        "latency",
        "lots",
        "ticks",
        "missing",
        "tiers",
        "impact",
        "fees",
        "limit cut",
    ]
    assert {rule: seen[rule] for rule in wanted if seen[rule] < 8} == {}


def rules_met(market, outcome):
    """What a run met, as words."""
    seen = Counter(f"fill {fill['kind']}" for fill in outcome.fills)
    seen.update(f"flow {flow['kind']}" for flow in outcome.flows)
    seen.update(f"rejected {rejection['reason']}" for rejection in outcome.rejections)
    seen.update(f"status {status}" for status in outcome.statuses)
    seen["ambiguous"] = outcome.n_ambiguous
    execution = market.execution
    if any(fill["kind"] in INSIDE for fill in outcome.fills):
        seen[f"path {execution.intrabar}"] += 1
        seen["finer"] += market.finer is not None
    for fill in outcome.fills:
        seen.update(rules_of_fill(market, fill))
    sizes = Counter((fill["order"], fill["kind"]) for fill in outcome.fills if fill["order"] >= 0)
    seen["partial"] += sum(n_fills > 1 for n_fills in sizes.values())
    seen.update(ties_met(market, outcome))
    if outcome.fills:
        seen[execution.timing] += 1
        seen["latency"] += execution.latency_bars > 0
        seen["lots"] += execution.lot_size > 0.0
        seen["ticks"] += execution.tick_size > 0.0
        seen["missing"] += market.bars.has_gaps
        seen["tiers"] += bool(market.costs.commission_tiers)
    seen["short"] += any(units < 0.0 for row in outcome.positions for units in row)
    seen["in debt"] += min(outcome.cash) < 0.0
    if market.account.dividends_on == "pay_date":
        paid = [flow for flow in outcome.flows if flow["kind"] == "dividend"]
        seen["late pay"] += sum(market.actions.dividend[flow["bar"], flow["asset"]] != flow["rate"] for flow in paid)
    return seen


INSIDE = ("limit", "stop", "stop_limit", "trailing_stop", "stop_loss", "take_profit", "trailing_loss")


def rules_of_fill(market, fill):
    open_ = market.bars.open[fill["bar"], fill["asset"]]
    place = "gap" if fill["reference_price"] == open_ else "inside"
    yield f"{place} {fill['kind']}"
    if fill["impact"] > 0.0:
        yield "impact"
    if fill["fees"] > 0.0:
        yield "fees"
    full = abs(fill["quantity"]) * fill["reference_price"] * market.costs.spread_bps / 20_000.0
    if fill["kind"] == "limit" and market.execution.limit_slippage and fill["spread"] < full * 0.999:
        yield "limit cut"


def ties_met(market, outcome):
    """Groups that one fill ended, and children that filled; decisions that are no orders have none."""
    frame = getattr(market.decisions, "frame", None)
    if frame is None or len(frame) == 0:
        return
    frame = frame.sort_values("bar_end", kind="stable")
    number_of = {label: number for number, label in enumerate(frame.index)}
    bar_of = {fill["order"]: fill["bar"] for fill in outcome.fills}
    members = frame["oco_group"].notna()
    for number in range(len(frame)):
        status, parent = outcome.statuses[number], frame["parent"].iloc[number]
        if status == "cancelled" and members.iloc[number]:
            yield "oco"
        if number in bar_of and parent == parent:
            yield "child"
            if bar_of.get(number_of[parent]) == bar_of[number]:
                yield "child in the same bar"
