"""The same decisions in other backtesting packages, to check a run against them.

Each module has one function `run` that takes what `simulate` takes and returns a `PeerResult`; `compare` lists
where the two differ. The packages are imported when a run asks for them and are no dependencies of the engine.

    vectorbt          target weights and units; stop loss, take profit, trailing stop
    backtrader        target units; market, limit, stop, stop-limit and trailing orders; brackets, OCO
    backtesting_py    target units and orders of one asset; stop loss and take profit of an entry
    zipline           target units and orders; volume shares, splits, dividends (in an interpreter of its own)
"""

from __future__ import annotations

from engine.adapters.comparison import PEER_FILL, Comparison, PeerResult, compare

__all__ = ["PEER_FILL", "Comparison", "PeerResult", "compare"]
