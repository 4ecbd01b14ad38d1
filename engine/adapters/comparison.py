"""What a peer's run comes down to, and where it differs from ours."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.panels import Floats, records_of, series_of
from engine.settings import check_kind, number, shown

# One execution of a peer.
PEER_FILL = np.dtype(
    [
        ("bar", np.int64),
        ("asset", np.int32),
        ("quantity", np.float64),  # signed units: bought > 0
        ("price", np.float64),  # ccy a unit, spread, slippage and impact included
        ("commission", np.float64),  # ccy, fees included
    ]
)
# Two prices of one bar nearer to each other than this are one price: peers split an order into the trades it closes.
SAME_PRICE = 1e-9


class Run(Protocol):
    """What `compare` reads of a `Result`."""

    @property
    def equity(self) -> Floats: ...
    @property
    def fills(self) -> NDArray[Any]: ...
    @property
    def symbols(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, eq=False)
class PeerResult:
    """A run in another package, in our axes.

    Parameters
    ----------
    peer : str
        Name and version of the package.
    equity : float64[n_bars]
        Ccy at each bar's end, as the package itself states it.
    fills : PEER_FILL[n_fills]
        In the order in which the package executed them.

    Raises
    ------
    InputError
        Equity is no series of numbers, or fills are no records of these fields.
    """

    peer: str
    equity: Floats
    fills: NDArray[Any]

    def __post_init__(self) -> None:
        if not isinstance(self.peer, str):
            raise InputError(f"peer must be the name of a package, was {shown(self.peer)}")
        self.__dict__["equity"] = series_of("equity", self.equity)
        records_of("fills", self.fills, PEER_FILL.names or ())


@dataclass(frozen=True)
class Comparison:
    """The greatest differences between a run and a peer's; differences are ours less theirs.

    Parameters
    ----------
    peer : str
    equity : float
        Greatest |difference| of equity, as a fraction of the peer's equity at that bar.
    equity_bar : int
        Where it stands.
    quantity, price, commission : float
        Greatest |difference| over the fills that stand on both sides: of quantity and price as a fraction of the
        peer's, of commission in ccy for each ccy of the larger of 1 and the peer's commission.
    n_fills : int
        Fills that stand on both sides.
    only_ours, only_theirs : tuple of str
        Fills that stand on one side, as `bar 12 AAPL +100 at 25.5`, the first twenty of each.
    n_only_ours, n_only_theirs : int
        How many there are.
    """

    peer: str
    equity: float
    equity_bar: int
    quantity: float
    price: float
    commission: float
    n_fills: int
    only_ours: tuple[str, ...]
    only_theirs: tuple[str, ...]
    n_only_ours: int
    n_only_theirs: int

    def agrees(self, tolerance: float = 1e-9) -> bool:
        """Return whether both sides have the same fills and no figure differs by more than the tolerance."""
        most = number("tolerance", tolerance, low=0.0, rule="zero or positive")
        alone = self.n_only_ours + self.n_only_theirs
        return alone == 0 and max(self.equity, self.quantity, self.price, self.commission) <= most

    def __str__(self) -> str:
        """Return the figures, and the fills that stand on one side, a line each."""
        lines = [
            f"against {self.peer}: {self.n_fills} fills in common",
            f"equity differs by at most {self.equity:.3g} of it (bar {self.equity_bar})",
            f"quantity {self.quantity:.3g}, price {self.price:.3g}, commission {self.commission:.3g}",
        ]
        lines += [f"only ours: {fill}" for fill in self.only_ours]
        lines += [f"only theirs: {fill}" for fill in self.only_theirs]
        return "\n".join(lines)


def compare(result: Run, peer: PeerResult) -> Comparison:
    """Return the greatest differences between a run of `simulate` and a peer's run of the same decisions.

    Fills are matched by bar, asset, side and price. What one bar executed of one asset on one side at one price
    is one fill: a package that closes three trades by one order reports three. Two fills whose prices differ are
    matched in the order of their prices where both sides have as many of them.

    Raises
    ------
    InputError
        The two runs have different numbers of bars, or one of them is something else.
    """
    check_kind("peer", peer, PeerResult)
    _check_run(result)
    theirs_equity = peer.equity
    if result.equity.shape != theirs_equity.shape:
        raise InputError(
            f"runs must have the same number of bars, ours had {result.equity.size}, {peer.peer} {theirs_equity.size}"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(result.equity - theirs_equity) / np.maximum(np.abs(theirs_equity), 1e-300)
    gaps = np.where(np.isnan(gaps), np.inf, gaps)
    worst = int(np.argmax(gaps)) if gaps.size else 0
    ours = _merged(_ours(result.fills))
    theirs = _merged(peer.fills)
    left, right = _matched(ours, theirs)
    alone = [np.delete(fills, rows) for fills, rows in ((ours, left), (theirs, right))]
    texts = [tuple(_text(fill, result.symbols) for fill in fills[:20]) for fills in alone]
    a, b = ours[left], theirs[right]
    return Comparison(
        peer=peer.peer,
        equity=float(gaps[worst]) if gaps.size else 0.0,
        equity_bar=worst,
        quantity=_greatest(a["quantity"], b["quantity"], np.abs(b["quantity"])),
        price=_greatest(a["price"], b["price"], np.abs(b["price"])),
        commission=_greatest(a["commission"], b["commission"], np.maximum(1.0, b["commission"])),
        n_fills=left.size,
        only_ours=texts[0],
        only_theirs=texts[1],
        n_only_ours=alone[0].size,
        n_only_theirs=alone[1].size,
    )


def require(package: str, *, needed_by: str) -> Any:
    """Return an imported package; raises `InputError` naming it where it is not installed."""
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(f"{needed_by} needs the package {package!r}, which cannot be imported: {error}") from None


def refuse(is_refused: bool, peer: str, what: str) -> None:
    """Raise `InputError` where a peer has no such thing."""
    if is_refused:
        raise InputError(f"{peer} cannot be asked to run this: {what}")


def _check_run(run: Any) -> None:
    if isinstance(run, type) or not all(hasattr(run, name) for name in ("equity", "fills", "symbols")):
        raise InputError(f"result must be what `simulate` returns, was {type(run).__name__}")
    series_of("equity", run.equity)
    records_of("fills", run.fills, PEER_FILL.names or ())


def _ours(fills: NDArray[Any]) -> NDArray[Any]:
    rows = np.zeros(fills.size, dtype=PEER_FILL)
    for name in ("bar", "asset", "quantity", "price", "commission"):
        rows[name] = fills[name]
    if "fees" in (fills.dtype.names or ()):
        rows["commission"] += fills["fees"]
    return rows


def _merged(fills: NDArray[Any]) -> NDArray[Any]:
    side = np.sign(fills["quantity"])
    fills = fills[np.lexsort((fills["price"], side, fills["asset"], fills["bar"]))]
    if fills.size < 2:
        return fills
    before, after = fills[:-1], fills[1:]
    is_same = (before["bar"] == after["bar"]) & (before["asset"] == after["asset"])
    is_same &= np.sign(before["quantity"]) == np.sign(after["quantity"])
    is_same &= np.abs(after["price"] - before["price"]) <= SAME_PRICE * np.abs(before["price"])
    starts = np.flatnonzero(np.concatenate([[True], ~is_same]))
    merged = fills[starts]
    for name in ("quantity", "commission"):
        merged[name] = np.add.reduceat(fills[name], starts)
    return merged


def _matched(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of both sides that belong together, each (bar, asset, side) with as many rows on both."""
    keys, counts = [], []
    for fills in (ours, theirs):
        key = np.stack([fills["bar"], fills["asset"], np.sign(fills["quantity"]).astype(np.int64)], axis=1)
        unique, where, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
        keys.append([tuple(row) for row in unique[where.reshape(-1)].tolist()])
        counts.append(dict(zip(map(tuple, unique.tolist()), count.tolist(), strict=True)))
    shared = {key for key in counts[0] if counts[0][key] == counts[1].get(key)}
    left, right = (np.flatnonzero([key in shared for key in side]) for side in keys)
    return left, right


def _greatest(ours: Floats, theirs: Floats, scale: Floats) -> float:
    if ours.size == 0:
        return 0.0
    return float(np.max(np.abs(ours - theirs) / np.maximum(scale, 1e-300)))


def _text(fill: Any, symbols: tuple[str, ...]) -> str:
    return f"bar {fill['bar']} {symbols[fill['asset']]} {fill['quantity']:+g} at {fill['price']:.10g}"
