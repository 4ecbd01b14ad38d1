"""The result of a run: the account at each bar, and what is derived from the run when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.drawdowns import drawdowns_of
from engine.errors import InputError
from engine.hashing import arrays_hash
from engine.kernels.replay import positions_nb
from engine.kernels.state import Curves
from engine.kernels.statistics import returns_nb
from engine.metrics import Metrics
from engine.panels import Floats
from engine.play import Instructions, Played, Setting, new_curves
from engine.settings import choice
from engine.trades import METHODS, trades_of

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("commission", "fees", "spread", "slippage", "impact")


@dataclass(frozen=True, eq=False)
class _Run:
    """What a result and its figures have in common; it knows neither, so that all goes when the last of them does."""

    setting: Setting
    instructions: Instructions
    played: Played

    @cached_property
    def curves(self) -> Curves:
        """The account's curves, all of them: a short pass makes equity alone."""
        curves = self.played.curves
        if curves.cash.size < curves.equity.size:
            curves = new_curves(curves.equity.size)
            self.setting.play(self.instructions, curves=curves)
        return curves

    @cached_property
    def recorded(self) -> Played:
        """The second pass, with all records; raises `InputError` where it does not repeat the first."""
        capacity = self.played.capacity
        if not any(capacity):
            return self.played
        again = self.setting.play(self.instructions, capacity)
        if not np.array_equal(again.curves.equity, self.played.curves.equity, equal_nan=True):
            raise InputError(
                "a run must repeat itself to the last bit, its second pass ended with another equity: "
                "a policy must not draw random numbers, and arrays of bars and decisions must not be changed"
            )
        return again

    @cached_property
    def trades(self) -> NDArray[Any]:
        """Round trips, first in first out."""
        return self.trades_by("fifo")

    def trades_by(self, method: str) -> NDArray[Any]:
        """Return round trips by a method."""
        bars, records = self.setting.bars, self.recorded.records
        return trades_of(
            records.fills,
            self.setting.events,
            self.played.mark,
            bars.n_bars,
            high=bars.high,
            low=bars.low,
            cash_flows=records.cash_flows,
            method=method,
        )

    @cached_property
    def costs(self) -> dict[str, float]:
        """Ccy paid on fills by their kind, and their total."""
        costs = {name: float(self.played.state[name]) for name in COSTS}
        return costs | {"total": sum(costs.values())}


@dataclass(frozen=True, eq=False)
class Result:
    """What a run did, in ccy and units at each bar's end.

    A run first keeps the account alone. What it wrote down on the way (fills, cash flows, rejections, orders) is
    the work of a second pass over the same bars when it is first asked for, equal to the last bit; positions,
    trades, drawdowns and figures follow from that. The arrays of the bars and decisions must not be changed.
    """

    _setting: Setting
    _instructions: Instructions
    _played: Played
    periods_per_year: float

    @cached_property
    def _run(self) -> _Run:
        return _Run(self._setting, self._instructions, self._played)

    @property
    def bar_end(self) -> NDArray[np.datetime64]:
        """Ends of the bars, datetime64[us][n_bars], UTC."""
        return self._setting.bars.bar_end

    @property
    def symbols(self) -> tuple[str, ...]:
        """One name an asset."""
        return self._setting.bars.symbols

    @property
    def initial_cash(self) -> float:
        """Ccy before the first bar."""
        return float(self._setting.rules.cash)

    @property
    def equity(self) -> Floats:
        """Cash + sum(position x mark), float64[n_bars]."""
        return self._played.curves.equity

    @property
    def cash(self) -> Floats:
        """Cash, float64[n_bars]; below zero it is borrowed."""
        return self._run.curves.cash

    @property
    def exposure(self) -> Floats:
        """Gross exposure, sum |position x mark|, float64[n_bars]."""
        return self._run.curves.exposure

    @property
    def fills(self) -> NDArray[Any]:
        """Executions, `records.FILL`, in the order they happened."""
        return self._run.recorded.records.fills

    @property
    def cash_flows(self) -> NDArray[Any]:
        """Movements of cash that are no fills, `records.CASH_FLOW`."""
        return self._run.recorded.records.cash_flows

    @property
    def rejections(self) -> NDArray[Any]:
        """What was refused and why, `records.REJECTION`."""
        return self._run.recorded.records.rejections

    @property
    def orders(self) -> NDArray[Any]:
        """Orders and how far each came, `records.ORDER`; empty for targets."""
        return self._played.orders

    @cached_property
    def positions(self) -> Floats:
        """Signed units float64[n_bars, n_assets], replayed from the records to the last bit of the run."""
        positions = np.empty(self._setting.bars.close.shape)
        positions_nb(self.fills, self.cash_flows, self._setting.events, positions)
        return positions

    @cached_property
    def returns(self) -> Floats:
        """Return of each bar float64[n_bars], the first against the initial cash; NaN once nothing is left."""
        returns = np.empty_like(self.equity)
        returns_nb(self.equity, self.initial_cash, returns)
        return returns

    @property
    def trades(self) -> NDArray[Any]:
        """Round trips (`records.TRADE`), first in first out; what is still held is flagged `is_open`."""
        return self._run.trades

    def trades_by(self, method: str) -> NDArray[Any]:
        """Return round trips where an exit closes the oldest lot (fifo), the newest (lifo) or all (average)."""
        return self._run.trades_by(choice("method", method, METHODS))

    @cached_property
    def drawdowns(self) -> NDArray[Any]:
        """Falls of equity below its running peak (`records.DRAWDOWN`), in the order of time."""
        return drawdowns_of(self.equity, self.initial_cash)

    @property
    def costs(self) -> dict[str, float]:
        """Ccy paid on fills as commission, fees, spread, slippage and impact, and their total."""
        return dict(self._run.costs)

    @cached_property
    def ambiguity(self) -> dict[str, float]:
        """How many bars touched the stop and the target of a position, and the ccy they could move the profit by."""
        state = self._played.state
        return {"n_bars": float(state["n_ambiguous"]), "bound_ccy": float(state["ambiguous_ccy"])}

    @cached_property
    def metrics(self) -> Metrics:
        """All figures by name, each computed when it is read; see `engine.metrics`."""
        run, state = self._run, self._played.state
        return Metrics(
            self.equity,
            initial_cash=self.initial_cash,
            exposure=lambda: run.curves.exposure,
            trades=lambda: run.trades,
            n_fills=float(state["n_fills"]),
            traded_value=float(state["traded"]),
            costs=lambda: run.costs["total"],
            periods_per_year=self.periods_per_year,
        )

    @cached_property
    def hash(self) -> str:
        """The sha256 of fills, cash flows, equity and positions: equal if and only if the runs were."""
        return arrays_hash((self.fills, self.cash_flows, self.equity, self.positions))

    def equity_frame(self) -> pd.DataFrame:
        """Return one row a bar: bar_end, equity, cash, exposure, returns and drawdown."""
        from engine.frames import equity_frame

        return equity_frame(self)

    def fills_frame(self) -> pd.DataFrame:
        """Return one row a fill: bar_end and symbol, then the fields of `records.FILL`."""
        from engine.frames import records_frame
        from engine.records import FILL_KINDS

        return records_frame(self, self.fills, kind=FILL_KINDS)

    def cash_flows_frame(self) -> pd.DataFrame:
        """Return one row a cash flow: bar_end and symbol (empty: the account's), then `records.CASH_FLOW`."""
        from engine.frames import records_frame
        from engine.records import CASH_FLOW_KINDS

        return records_frame(self, self.cash_flows, kind=CASH_FLOW_KINDS)

    def rejections_frame(self) -> pd.DataFrame:
        """Return one row a rejection: bar_end and symbol, then the fields of `records.REJECTION`."""
        from engine.frames import records_frame
        from engine.records import REASONS

        return records_frame(self, self.rejections, reason=REASONS)

    def orders_frame(self) -> pd.DataFrame:
        """Return one row an order: bar_end (decided at) and symbol, then the fields of `records.ORDER`."""
        from engine.frames import orders_frame

        return orders_frame(self)

    def trades_frame(self, method: str = "fifo") -> pd.DataFrame:
        """Return one row a trade: symbol, entry and exit (bar_end), then the fields of `records.TRADE`."""
        from engine.frames import trades_frame

        is_default = choice("method", method, METHODS) == "fifo"
        return trades_frame(self, self.trades if is_default else self.trades_by(method))

    def drawdowns_frame(self) -> pd.DataFrame:
        """Return one row a drawdown: peak, start, trough and end (bar_end), then depth and amounts."""
        from engine.frames import drawdowns_frame

        return drawdowns_frame(self)
