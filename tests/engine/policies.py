"""Orders of a frame as a policy that places them one by one, the runs of both, and random markets with orders."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from engine import Orders, Policy, simulate
from engine.policy import NONE, cancel, limit, market, moc, moo, stop, stop_limit, trailing_stop
from engine.records import LIMIT, MARKET, MOC, MOO, STOP, STOP_LIMIT, TRAILING_STOP
from tests.engine.comparison import play
from tests.engine.markets import random_market

COLUMNS = ("bar", "kind", "asset", "quantity", "limit_price", "stop_price", "trail", "trail_rate", "tif", "tif_bars")


def follow_table(t, bars, account, desk, memory, parameters):
    """Place the orders of a table at their bars, and cancel them at theirs: [n_orders, 13], in the order of bars."""
    table = parameters.reshape(-1, 13)
    i = int(memory[0])
    while i < table.shape[0] and table[i, 0] == t:
        row = table[i]
        kind, asset, quantity = int(row[1]), int(row[2]), row[3]
        tif, n, parent, group = int(row[8]), int(row[9]), int(row[10]), int(row[11])
        if kind == MARKET:
            market(desk, asset, quantity, tif, n, parent, group)
        elif kind == MOO:
            moo(desk, asset, quantity, tif, n, parent, group)
        elif kind == MOC:
            moc(desk, asset, quantity, tif, n, parent, group)
        elif kind == LIMIT:
            limit(desk, asset, quantity, row[4], tif, n, parent, group)
        elif kind == STOP:
            stop(desk, asset, quantity, row[5], tif, n, parent, group)
        elif kind == STOP_LIMIT:
            stop_limit(desk, asset, quantity, row[5], row[4], tif, n, parent, group)
        elif kind == TRAILING_STOP:
            trailing_stop(desk, asset, quantity, row[7], row[6], row[5], tif, n, parent, group)
        i += 1
    memory[0] = i
    for number in range(i):
        if table[number, 12] == t:
            cancel(desk, number)


def as_policy(orders, bars, cancel_bars=None):
    """The policy that decides what a frame of orders says, and cancels each at its bar (None: never)."""
    records = orders.table(bars)
    table = np.full((records.size, 13), -1.0)
    for place, name in enumerate(COLUMNS):
        table[:, place] = records[name]
    table[:, 10] = records["parent"]
    is_first = records["oco_group"] == np.arange(records.size)
    table[:, 11] = np.where(is_first, NONE, records["oco_group"])
    if cancel_bars is not None:
        table[:, 12] = [-1 if bar is None else bar for bar in cancel_bars]
    return Policy(follow_table, {f"p{i}": value for i, value in enumerate(table.ravel().tolist())})


def assert_same_to_the_last_bit(policy, frame):
    for name in ("equity", "cash", "exposure", "positions", "fills", "cash_flows", "rejections"):
        np.testing.assert_array_equal(getattr(policy, name), getattr(frame, name), err_msg=name)
    for name in frame.orders.dtype.names:
        np.testing.assert_array_equal(policy.orders[name], frame.orders[name], err_msg=name)


def assert_policy_does_the_same(given):
    """Return the run of a frame of orders, after finding that a policy which places them has the same run."""
    frame = play(given)
    assert_same_to_the_last_bit(simulate(given.bars, as_policy(given.decisions, given.bars), **given.settings), frame)
    return frame


@cache
def seeds_with_orders():
    """Seeds of the random markets whose decisions are orders: of all kinds, with gaps, sessions, splits and ties."""
    return [seed for seed in range(280) if isinstance(random_market(seed).decisions, Orders)]


def tied_at_random(seed):
    """A random market whose orders are tied anew: to parents, and in groups, over many bars."""
    rng, given = np.random.default_rng(seed), random_market(seed)
    frame = given.decisions.frame.sort_values("bar_end", kind="stable").reset_index(drop=True)
    symbols, parents, groups = frame["symbol"].tolist(), [None] * len(frame), [None] * len(frame)
    for number, symbol in enumerate(symbols):
        before = [i for i in range(max(number - 12, 0), number) if symbols[i] == symbol]
        if before and rng.random() < 0.3:
            parents[number] = int(rng.choice(before))
        if before and rng.random() < 0.3:
            fellow = int(rng.choice(before))
            group = groups[fellow] or f"g{fellow}"
            if parents[number] is None or (parents[number] != fellow and groups[parents[number]] != group):
                groups[fellow] = groups[number] = group
    return replace(given, decisions=Orders(frame.assign(parent=parents, oco_group=groups)))
