"""The same decisions in vectorbt 1.2 (`vectorbt`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.account import Account
from engine.adapters.comparison import PEER_FILL, PeerResult, refuse, require
from engine.adapters.settings import check_charged, check_execution, check_parts, check_whole_axis
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import TargetUnits, TargetWeights
from engine.execution import Execution
from engine.panels import Floats
from engine.profiles import profile
from engine.risk import Risk

PEER = "vectorbt"
_CHARGED = ("commission_bps", "commission_fixed", "spread_bps", "slippage_bps")
# They say nothing where there are neither orders nor levels of Risk.
_OF_LEVELS = ("intrabar", "children_from", "limit_touch", "stop_slippage", "cash_in_lieu")


def run(
    bars: Bars,
    decisions: TargetUnits | TargetWeights,
    *,
    account: Account | None = None,
    costs: Costs | None = None,
    execution: Execution | None = None,
    risk: Risk | None = None,
) -> PeerResult:
    """Return the run of the same decisions in vectorbt, all assets sharing one account.

    Without levels of `Risk`: `Portfolio.from_orders` with target amounts or target percents, sales first. With
    them: `Portfolio.from_signals`, where a target above zero is a long entry, one below a short entry and zero an
    exit; vectorbt hears no entry in the direction it already holds, so that the size of an asset's targets other
    than zero must stay the same. Supported levels: stop loss or trailing stop (not both), take profit.
    Costs: commission in bps and fixed, spread and slippage in bps.

    `timing="same_close"` is vectorbt's own (price=inf); for "next_open" all rows are handed over a bar later at
    the open, and weights sized at the close before it.

    Parameters
    ----------
    bars, decisions, account, costs, risk
        As in `simulate`. Every asset must have every bar.
    execution : Execution
        Default: `profile("vectorbt")`, and nothing that contradicts it but the timing.

    Raises
    ------
    InputError
        vectorbt is not installed, or has no such cost, level or setting.
    """
    check_parts(bars, decisions, (TargetUnits, TargetWeights), account, costs, execution, risk=risk)
    account = Account() if account is None else account
    costs = Costs() if costs is None else costs
    risk = Risk() if risk is None else risk
    execution = profile(PEER) if execution is None else execution
    vbt = require("vectorbt", needed_by="engine.adapters.vectorbt")
    check_whole_axis(PEER, bars)
    check_charged(PEER, costs, _CHARGED)
    refuse(account.leverage != 1.0, PEER, "leverage other than 1")
    has_levels = risk != Risk()
    free = ("timing",) if has_levels else ("timing", *_OF_LEVELS)
    check_execution(PEER, execution, profile(PEER), free=free)
    values = decisions.aligned(bars)
    is_late = execution.timing == "next_open"
    options: dict[str, Any] = {
        "fees": costs.commission_bps / 1e4,
        "fixed_fees": costs.commission_fixed,
        "slippage": costs.slippage_bps / 1e4 + costs.spread_bps / 2e4,
        "init_cash": account.cash,
        "cash_sharing": True,
        "group_by": True,
        "call_seq": "auto",
        "freq": "1D",
        "price": _wide(bars, bars.open if is_late else bars.close),
    }
    values = _later(values) if is_late else values
    if has_levels:
        refuse(isinstance(decisions, TargetWeights), PEER, "target weights with levels of Risk")
        portfolio = _from_signals(vbt, bars, values, account, risk, options)
    else:
        portfolio = _from_orders(vbt, bars, values, decisions, account, is_late, options)
    return PeerResult(f"{PEER} {vbt.__version__}", portfolio.value().to_numpy(), _fills(portfolio.orders.records))


def _from_orders(
    vbt: Any, bars: Bars, values: Floats, decisions: Any, account: Account, is_late: bool, options: dict[str, Any]
) -> Any:
    is_weight = isinstance(decisions, TargetWeights)
    if is_weight and is_late:
        options["val_price"] = _wide(bars, np.vstack([bars.close[:1], bars.close[:-1]]))
    return vbt.Portfolio.from_orders(
        _wide(bars, bars.close),
        size=_wide(bars, values),
        size_type="targetpercent" if is_weight else "targetamount",
        direction="both" if account.allow_short else "longonly",
        **options,
    )


def _from_signals(vbt: Any, bars: Bars, values: Floats, account: Account, risk: Risk, options: dict[str, Any]) -> Any:
    refuse(risk.time_stop_bars > 0, PEER, "a time stop")
    refuse(risk.stop_loss_rate > 0.0 and risk.trailing_stop_rate > 0.0, PEER, "a stop loss beside a trailing stop")
    sizes = np.abs(values)
    units = np.max(np.where(sizes > 0.0, sizes, 0.0), axis=0)
    refuse(bool(((sizes > 0.0) & (sizes != units)).any()), PEER, "levels of Risk with targets of several sizes")
    stop = risk.stop_loss_rate or risk.trailing_stop_rate
    is_short = values < 0.0 if account.allow_short else np.zeros(values.shape, dtype=np.bool_)
    exits = (values == 0.0) | ((values < 0.0) & ~is_short)
    return vbt.Portfolio.from_signals(
        _wide(bars, bars.close),
        open=_wide(bars, bars.open),
        high=_wide(bars, bars.high),
        low=_wide(bars, bars.low),
        entries=_wide(bars, values > 0.0),
        exits=_wide(bars, exits),
        short_entries=_wide(bars, is_short),
        short_exits=_wide(bars, exits),
        size=_wide(bars, np.broadcast_to(units, values.shape)),
        size_type="amount",
        upon_opposite_entry="reverse",
        sl_stop=stop or None,
        sl_trail=risk.trailing_stop_rate > 0.0,
        tp_stop=risk.take_profit_rate or None,
        stop_entry_price="fillprice",
        **options,
    )


def _later(values: Floats) -> Floats:
    return np.vstack([np.full((1, values.shape[1]), np.nan), values[:-1]])


def _wide(bars: Bars, values: NDArray[Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(np.asarray(values), columns=list(bars.symbols), index=pd.DatetimeIndex(bars.bar_end))


def _fills(records: Any) -> NDArray[Any]:
    fills = np.zeros(len(records), dtype=PEER_FILL)
    fills["bar"], fills["asset"] = records["idx"], records["col"]
    fills["quantity"] = np.where(records["side"] == 0, 1.0, -1.0) * records["size"]
    fills["price"], fills["commission"] = records["price"], records["fees"]
    return fills[np.argsort(fills["bar"], kind="stable")]
