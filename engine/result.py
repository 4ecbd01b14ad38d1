"""The result of a run: its records, and what is derived from them when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.actions import Events
from engine.hashing import arrays_hash
from engine.kernels.replay import positions_nb
from engine.kernels.statistics import returns_nb
from engine.metrics import metrics
from engine.panels import Floats
from engine.records import CASH_FLOW_KINDS, FILL_KINDS
from engine.trades import trades_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Result:
    """What a run did. Ccy and units at each bar's end; figures are computed when first asked for.

    Parameters
    ----------
    bar_end : datetime64[us][n_bars]
        UTC.
    symbols : tuple of str
    initial_cash : float
        Ccy.
    equity, cash, exposure : float64[n_bars]
        Equity is cash + sum(position x mark); exposure is sum |position x mark|.
    fills, cash_flows : structured
        `records.FILL` and `records.CASH_FLOW`: nothing else moves cash.
    periods_per_year : float
    """

    bar_end: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    initial_cash: float
    equity: Floats
    cash: Floats
    exposure: Floats
    fills: NDArray[Any]
    cash_flows: NDArray[Any]
    periods_per_year: float
    _events: Events
    _mark: Floats

    @cached_property
    def positions(self) -> Floats:
        """Signed units float64[n_bars, n_assets], replayed from the fills to the last bit of the run."""
        positions = np.empty((self.equity.size, len(self.symbols)))
        positions_nb(self.fills, self._events, positions)
        return positions

    @cached_property
    def returns(self) -> Floats:
        """Return of each bar float64[n_bars], the first against the initial cash; NaN once nothing is left."""
        returns = np.empty_like(self.equity)
        returns_nb(self.equity, self.initial_cash, returns)
        return returns

    @cached_property
    def trades(self) -> NDArray[Any]:
        """Round trips (`records.TRADE`), first in first out; what is still held is flagged `is_open`."""
        return trades_of(self.fills, self._events, self._mark, self.equity.size)

    @cached_property
    def costs(self) -> dict[str, float]:
        """Ccy paid as commission, spread and slippage, and their total."""
        costs = {name: float(self.fills[name].sum()) for name in ("commission", "spread", "slippage")}
        return costs | {"total": sum(costs.values())}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """All figures by name; see `engine.metrics`."""
        return metrics(
            self.returns,
            equity=self.equity,
            initial_cash=self.initial_cash,
            trades=self.trades,
            fills=self.fills,
            exposure=self.exposure,
            periods_per_year=self.periods_per_year,
        )

    @cached_property
    def hash(self) -> str:
        """The sha256 of fills, cash flows, equity and positions: equal if and only if the runs were."""
        return arrays_hash((self.fills, self.cash_flows, self.equity, self.positions))

    def equity_frame(self) -> pd.DataFrame:
        """Return one row a bar: bar_end, equity, cash, exposure, returns and drawdown."""
        import pandas as pd

        peak = np.maximum.accumulate(np.maximum(self.equity, self.initial_cash))
        return pd.DataFrame(
            {
                "bar_end": self._times(slice(None)),
                "equity": self.equity,
                "cash": self.cash,
                "exposure": self.exposure,
                "returns": self.returns,
                "drawdown": self.equity / peak - 1.0,
            }
        )

    def fills_frame(self) -> pd.DataFrame:
        """Return one row a fill: bar_end and symbol, then the fields of `records.FILL`."""
        return self._frame(self.fills, FILL_KINDS)

    def cash_flows_frame(self) -> pd.DataFrame:
        """Return one row a cash flow: bar_end and symbol, then the fields of `records.CASH_FLOW`."""
        return self._frame(self.cash_flows, CASH_FLOW_KINDS)

    def trades_frame(self) -> pd.DataFrame:
        """Return one row a trade: symbol, entry and exit (bar_end), then the fields of `records.TRADE`."""
        import pandas as pd

        columns: dict[str, Any] = {
            "symbol": self._names(self.trades),
            "entry": self._times(self.trades["entry_bar"]),
            "exit": self._times(self.trades["exit_bar"]),
        }
        fields = (name for name in self.trades.dtype.names or () if name != "asset")
        return pd.DataFrame(columns | {name: np.ascontiguousarray(self.trades[name]) for name in fields})

    def _frame(self, records: NDArray[Any], kinds: tuple[str, ...]) -> pd.DataFrame:
        import pandas as pd

        columns: dict[str, Any] = {
            "bar_end": self._times(records["bar"]),
            "symbol": self._names(records),
            "kind": np.array(kinds, dtype=object)[records["kind"]],
        }
        fields = (name for name in records.dtype.names or () if name not in ("bar", "asset", "kind"))
        return pd.DataFrame(columns | {name: np.ascontiguousarray(records[name]) for name in fields})

    def _names(self, records: NDArray[Any]) -> NDArray[Any]:
        names: NDArray[Any] = np.array(self.symbols, dtype=object)[records["asset"]]
        return names

    def _times(self, bars: Any) -> pd.DatetimeIndex:
        import pandas as pd

        return pd.DatetimeIndex(self.bar_end[bars]).tz_localize("UTC")
