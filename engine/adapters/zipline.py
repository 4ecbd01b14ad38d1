"""The same decisions in zipline-reloaded 3.2 (`zipline`), in an interpreter of its own.

zipline needs older pandas than the rest: `run` starts the interpreter it is told and exchanges files with it. That
interpreter needs zipline-reloaded only.
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.account import Account
from engine.actions import Actions
from engine.adapters.comparison import PEER_FILL, PeerResult, refuse
from engine.adapters.settings import check_charged, check_execution, check_parts, check_whole_axis, last_bar
from engine.bars import Bars
from engine.costs import Costs
from engine.decisions import TargetUnits
from engine.errors import InputError
from engine.execution import Execution
from engine.orders import Orders
from engine.profiles import profile, profile_account, profile_costs
from engine.records import LIMIT, MARKET, STOP, STOP_LIMIT
from engine.settings import shown

PEER = "zipline"
_CHARGED = (
    "commission_bps",
    "commission_fixed",
    "commission_per_share",
    "commission_min",
    "slippage_bps",
    "volume_share_impact",
    "volume_share_limit",
)


def run(
    bars: Bars,
    decisions: TargetUnits | Orders,
    *,
    python: str | Path,
    account: Account | None = None,
    costs: Costs | None = None,
    execution: Execution | None = None,
    actions: Actions | None = None,
) -> PeerResult:
    """Return the run of the same decisions in zipline.

    Supported, for daily bars on the sessions of XNYS and whole units: `TargetUnits` (a newer target cancels the
    rest of the one before); `Orders` of the kinds market, limit, stop and stop_limit with their time in force;
    splits and dividends. Slippage: volume_share_impact with volume_share_limit = participation_rate
    (VolumeShareSlippage), or slippage_bps with a participation_rate (FixedBasisPointsSlippage), or a
    participation_rate alone, or none. Commission: per share with a minimum, or bps, or fixed.

    Parameters
    ----------
    bars, decisions, actions
        As in `simulate`. Every asset must have every bar; volumes must be known.
    python : str or Path
        The interpreter that has zipline, such as `.venv-zipline/bin/python`.
    account, costs, execution
        Defaults: `profile_account("zipline")`, `profile_costs("zipline")` and `profile("zipline")`.

    Raises
    ------
    InputError
        The interpreter or zipline is missing, or it has no such order, cost, action or setting.
    """
    check_parts(bars, decisions, (TargetUnits, Orders), account, costs, execution, actions=actions)
    if not isinstance(python, (str, PathLike)):
        raise InputError(f"python must be the path of an interpreter, was {shown(python)}")
    account = profile_account(PEER) if account is None else account
    costs = profile_costs(PEER) if costs is None else costs
    execution = profile(PEER) if execution is None else execution
    check_whole_axis(PEER, bars)
    check_charged(PEER, costs, _CHARGED)
    check_execution(PEER, execution, profile(PEER), free=("participation_rate",))
    refuse(not account.allow_short, PEER, "allow_short=False")
    refuse(account.dividends_on != "pay_date", PEER, "Account(dividends_on='ex_date'); it pays on the pay date")
    refuse(bool(np.isnan(bars.volume).any()), PEER, "volumes that are not known")
    plan = _targets(decisions, bars) if isinstance(decisions, TargetUnits) else _orders(decisions.table(bars), bars)
    settings = {
        "cash": account.cash,
        "slippage": _slippage(costs, execution),
        "commission": _commission(costs),
        "plan": plan,
        "symbols": list(bars.symbols),
        **_actions(bars, actions),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps(settings))
        prices = {field: getattr(bars, field) for field in ("open", "high", "low", "close", "volume")}
        np.savez(folder / "bars.npz", days=bars.bar_end.astype("datetime64[D]").astype(np.int64), **prices)
        _start(Path(python), folder)
        with np.load(folder / "run.npz") as out:
            fills = np.zeros(out["fills"].shape[0], dtype=PEER_FILL)
            for column, field in enumerate(PEER_FILL.names or ()):
                fills[field] = out["fills"][:, column]
            return PeerResult(f"{PEER}-reloaded {out['version'].item()}", out["equity"], fills)


def _start(python: Path, folder: Path) -> None:
    runner = Path(__file__).with_name("zipline_runner.py")
    try:
        # Isolated: the runner's folder must not stand in the path, where this file would be found as `zipline`.
        done = subprocess.run(
            [str(python), "-I", str(runner), str(folder)], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise InputError(f"the interpreter of zipline cannot be started: {error}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InputError(f"the run in zipline ({python}) failed: {lines[-1] if lines else done.returncode}")


def _targets(decisions: TargetUnits, bars: Bars) -> list[dict[str, Any]]:
    units = decisions.aligned(bars)
    decided = np.argwhere(~np.isnan(units))
    values = units[decided[:, 0], decided[:, 1]]
    refuse(bool((values != np.round(values)).any()), PEER, "fractions of a unit")
    rows = zip(decided.tolist(), values.tolist(), strict=True)
    return [{"bar": bar, "asset": asset, "target": int(value)} for (bar, asset), value in rows]


def _orders(table: NDArray[Any], bars: Bars) -> list[dict[str, Any]]:
    plan = []
    for row in table:
        kind, quantity = int(row["kind"]), float(row["quantity"])
        refuse(kind not in (MARKET, LIMIT, STOP, STOP_LIMIT), PEER, "orders other than market, limit, stop, stop_limit")
        refuse(row["parent"] >= 0 or row["oco_group"] >= 0, PEER, "orders that hang on other orders")
        refuse(quantity != round(quantity), PEER, "fractions of a unit")
        plan.append(
            {
                "bar": int(row["bar"]),
                "asset": int(row["asset"]),
                "quantity": int(quantity),
                "limit": None if math.isnan(row["limit_price"]) else float(row["limit_price"]),
                "stop": None if math.isnan(row["stop_price"]) else float(row["stop_price"]),
                "last": last_bar(row, bars),
            }
        )
    return plan


def _slippage(costs: Costs, execution: Execution) -> dict[str, Any]:
    share = execution.participation_rate
    is_capped = not math.isinf(share)
    has_impact = costs.volume_share_impact > 0.0
    refuse(has_impact and costs.slippage_bps > 0.0, PEER, "slippage in bps beside an impact of the volume share")
    refuse(
        has_impact and costs.volume_share_limit != share,
        PEER,
        "a volume_share_limit other than participation_rate (one number in VolumeShareSlippage)",
    )
    refuse(costs.slippage_bps > 0.0 and not is_capped, PEER, "slippage in bps without a participation_rate")
    if costs.slippage_bps > 0.0:
        return {"kind": "basis_points", "bps": costs.slippage_bps, "limit": share}
    if is_capped:
        return {"kind": "volume_share", "impact": costs.volume_share_impact, "limit": share}
    return {"kind": "none"}


def _commission(costs: Costs) -> dict[str, Any]:
    rates = {
        "per_share": costs.commission_per_share,
        "per_dollar": costs.commission_bps / 1e4,
        "per_trade": costs.commission_fixed,
    }
    charged = {kind: rate for kind, rate in rates.items() if rate > 0.0}
    refuse(len(charged) > 1, PEER, "commissions of several kinds together")
    kind, rate = next(iter(charged.items()), ("none", 0.0))
    refuse(costs.commission_min > 0.0 and kind != "per_share", PEER, "a minimum of a commission that is not per share")
    return {"kind": kind, "rate": rate, "least": costs.commission_min}


def _actions(bars: Bars, actions: Actions | None) -> dict[str, list[list[float]]]:
    if actions is None:
        return {"splits": [], "dividends": []}
    refuse(not bool(np.isnan(actions.delisting).all()), PEER, "delistings (it closes at the end of a given day)")
    splits = [
        [bar, asset, 1.0 / actions.split[bar, asset]] for bar, asset in np.argwhere(actions.split != 1.0).tolist()
    ]
    pay_bar = getattr(actions, "pay_bar", None)
    dividends = []
    for bar, asset in np.argwhere(actions.dividend != 0.0).tolist():
        paid = bar if pay_bar is None else int(pay_bar[bar, asset])
        dividends.append([bar, asset, float(actions.dividend[bar, asset]), paid if paid < bars.n_bars else -1])
    return {"splits": splits, "dividends": dividends}
