"""All figures of a run as one read-only mapping, each computed when it is first asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.drawdowns import average_drawdown, drawdowns_of, longest_drawdown_bars, max_drawdown_bars_of
from engine.errors import UnknownFigure, nearest
from engine.kernels.statistics import drawdown_nb, mean_and_variance_nb, moments_nb, partial_moments_nb
from engine.metrics import definitions as define
from engine.metrics.benchmark import benchmark_metrics
from engine.metrics.series import initial, lanes_of, returns_of
from engine.metrics.trading import OF_TRADES, mean_exposure, time_in_market, trade_metrics, turnover_of
from engine.metrics.undefined import Undefined
from engine.panels import Floats, records_of, series_of
from engine.settings import LARGEST, number, periods, shown


class Metrics(Mapping[str, float]):
    """Figures of one run by name, in a fixed order; what is undefined is NaN and has an entry in `reasons`.

    A figure is computed when it is first asked for, together with those that share its work: the Sharpe ratio does
    not sort returns, and no trade is derived before a figure of trades is read. The mapping compares with any other;
    two undefined figures are equal.

    Parameters
    ----------
    equity : float64[n_bars]
        Ccy at each bar's end.
    initial_cash : float
        Ccy before the first bar, the first peak.
    returns : float64[n_bars] or callable, optional
        Return of each bar; by default that of equity.
    exposure : float64[n_bars] or callable, optional
        Ccy, gross: adds exposure and time in market.
    trades : structured or callable, optional
        `records.TRADE`: adds the figures of trades.
    n_fills, traded_value : float, optional
        Number of fills, and sum of |quantity x price| (ccy): add both figures of fills.
    costs : float or callable, optional
        Ccy paid in all: adds costs_ccy.
    benchmark : float64[n_bars], optional
        Its return of each bar: adds alpha, beta and the like.
    periods_per_year : float
        Bars a year.

    Raises
    ------
    InputError
        An argument is none of these; `UnknownFigure`, which is a `KeyError` too, where a figure is asked for that is
        not there.
    """

    __slots__ = (
        "_benchmark",
        "_costs",
        "_equity",
        "_exposure",
        "_figures",
        "_initial_cash",
        "_lanes",
        "_n_fills",
        "_names",
        "_periods",
        "_returns",
        "_traded_value",
        "_trades",
    )

    def __init__(
        self,
        equity: Floats,
        *,
        initial_cash: float,
        returns: Floats | Callable[[], Floats] | None = None,
        exposure: Floats | Callable[[], Floats] | None = None,
        trades: NDArray[Any] | Callable[[], NDArray[Any]] | None = None,
        n_fills: float | None = None,
        traded_value: float | None = None,
        costs: float | Callable[[], float] | None = None,
        benchmark: Floats | None = None,
        periods_per_year: float = 252.0,
    ) -> None:
        self._equity = series_of("equity", equity)
        n_bars = self._equity.size
        self._initial_cash = initial(initial_cash)
        self._returns = returns if returns is None or callable(returns) else series_of("returns", returns, n_bars)
        self._exposure = exposure if exposure is None or callable(exposure) else series_of("exposure", exposure, n_bars)
        self._trades = trades if trades is None or callable(trades) else records_of("trades", trades, OF_TRADES)
        self._n_fills = None if n_fills is None else _sum("n_fills", n_fills)
        self._traded_value = None if traded_value is None else _sum("traded_value", traded_value)
        self._costs = costs if costs is None or callable(costs) else _sum("costs", costs)
        self._benchmark = None if benchmark is None else series_of("benchmark", benchmark, n_bars)
        self._periods = periods(periods_per_year)
        self._figures: dict[str, float] = {}
        self._names: tuple[str, ...] | None = None
        self._lanes: Floats | None = None

    def __getitem__(self, name: str) -> float:
        figures = self._figures
        if not isinstance(name, str) or name not in figures:
            if name not in self:
                known = nearest(name, self) if isinstance(name, str) else ""
                raise UnknownFigure(f"no figure {shown(name)}{known}")
            figures.update(_GROUPS[name].figures(self))
        return figures[name]

    def __iter__(self) -> Iterator[str]:
        if self._names is None:
            self._names = tuple(name for name in _GROUPS if name in self)
        return iter(self._names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        group = _GROUPS.get(name) if isinstance(name, str) else None
        return group is not None and (group.needs is None or getattr(self, group.needs) is not None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.keys() == other.keys() and all(
            value == other[name] or (value != value and other[name] != other[name]) for name, value in self.items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Metrics({dict(self)!r})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[dict[str, float]]]:
        return dict, (dict(self),)

    @property
    def reasons(self) -> dict[str, str]:
        """Why each undefined figure is, by name, in the order of the mapping."""
        return {name: value.reason for name, value in self.items() if isinstance(value, Undefined)}

    def _series(self) -> Floats:
        """Return the returns, computed once."""
        if self._returns is None:
            self._returns = returns_of(self._equity, self._initial_cash)
        elif callable(self._returns):
            self._returns = series_of("returns", self._returns(), self._equity.size)
        return self._returns

    def _scratch(self) -> Floats:
        """Return scratch for the kernels, made once."""
        if self._lanes is None:
            self._lanes = lanes_of()
        return self._lanes

    def _growth(self) -> dict[str, float]:
        n = self._equity.size
        last = float(self._equity[-1]) if n else math.nan
        return {
            "total_return": define.finite(last / self._initial_cash - 1.0 if self._initial_cash > 0.0 else math.nan, n),
            "cagr": define.growth_rate(last, self._initial_cash, n / self._periods),
        }

    def _spread(self) -> dict[str, float]:
        returns = self._series()
        n = returns.size
        mean, second = mean_and_variance_nb(returns, self._scratch())
        return {
            "mean_return": define.finite(mean, n),
            "volatility": define.annual_volatility(second, n, self._periods),
            "sharpe": define.annual_sharpe(mean, second, n, self._periods),
        }

    def _depth(self) -> dict[str, float]:
        return {"max_drawdown": define.finite(drawdown_nb(self._equity, self._initial_cash), self._equity.size)}

    def _calmar(self) -> dict[str, float]:
        return {"calmar": define.calmar_ratio(self["cagr"], self["max_drawdown"])}

    def _lengths(self) -> dict[str, float]:
        depth = self["max_drawdown"]
        if isinstance(depth, Undefined):
            return dict.fromkeys(_LENGTHS, depth)
        drawdowns = drawdowns_of(self._equity, self._initial_cash)
        return {
            "max_drawdown_bars": float(max_drawdown_bars_of(drawdowns)),
            "longest_drawdown_bars": float(longest_drawdown_bars(drawdowns)),
            "average_drawdown": average_drawdown(drawdowns) if drawdowns.size else Undefined("no drawdown"),
        }

    def _sides(self) -> dict[str, float]:
        returns = self._series()
        n = returns.size
        above, below, squares = partial_moments_nb(returns, 0.0, self._scratch())
        return {
            "sortino": define.annual_sortino(above, below, squares, n, self._periods),
            "omega": define.omega_ratio(above, below, n),
        }

    def _shape(self) -> dict[str, float]:
        returns = self._series()
        mean, second, third, fourth = moments_nb(returns, self._scratch())
        return {
            "skew": define.standardised(third, mean, second, 3, returns.size),
            "kurtosis": define.standardised(fourth, mean, second, 4, returns.size),
        }

    def _tails(self) -> dict[str, float]:
        ordered = np.sort(self._series())
        return {
            "var_95": define.quantile(ordered, 0.05),
            "cvar_95": define.tail_mean(ordered, 0.05),
            "tail_ratio": define.tail_size_ratio(ordered),
            "best_return": define.extreme(ordered, -1),
            "worst_return": define.extreme(ordered, 0),
        }

    def _trading(self) -> dict[str, float]:
        trades = self._trades() if callable(self._trades) else self._trades
        return trade_metrics(records_of("trades", trades, OF_TRADES))

    def _filling(self) -> dict[str, float]:
        return {"n_fills": float(self._n_fills or 0.0)}

    def _turning(self) -> dict[str, float]:
        return {"turnover": turnover_of(self._traded_value or 0.0, self._equity, self._periods)}

    def _paying(self) -> dict[str, float]:
        return {"costs_ccy": _sum("costs", self._costs() if callable(self._costs) else self._costs)}

    def _exposing(self) -> dict[str, float]:
        exposure = series_of("exposure", self._exposure() if callable(self._exposure) else self._exposure)
        return {"exposure": mean_exposure(exposure, self._equity), "time_in_market": time_in_market(exposure)}

    def _comparing(self) -> dict[str, float]:
        if self._benchmark is None:
            return {}
        return benchmark_metrics(self._series(), self._benchmark, periods_per_year=self._periods)


def _sum(name: str, value: Any) -> float:
    """Return a sum of amounts (ccy, or a number of things), which is not negative."""
    return number(name, value, low=0.0, high=LARGEST, rule="zero or positive, and finite")


class _Group(NamedTuple):
    """Figures that share their work, and the attribute without which they are not there."""

    figures: Callable[[Metrics], dict[str, float]]
    needs: str | None = None


_LENGTHS = ("max_drawdown_bars", "longest_drawdown_bars", "average_drawdown")
_GROWTH, _SPREAD, _SIDES = _Group(Metrics._growth), _Group(Metrics._spread), _Group(Metrics._sides)
_DEPTH, _CALMAR, _UNDER = _Group(Metrics._depth), _Group(Metrics._calmar), _Group(Metrics._lengths)
_SHAPE, _TAILS = _Group(Metrics._shape), _Group(Metrics._tails)
_TRADING = _Group(Metrics._trading, "_trades")
_EXPOSING = _Group(Metrics._exposing, "_exposure")
_COMPARING = _Group(Metrics._comparing, "_benchmark")

# In the order of the mapping.
_GROUPS: dict[str, _Group] = {
    "total_return": _GROWTH,
    "cagr": _GROWTH,
    "mean_return": _SPREAD,
    "best_return": _TAILS,
    "worst_return": _TAILS,
    "volatility": _SPREAD,
    "sharpe": _SPREAD,
    "sortino": _SIDES,
    "calmar": _CALMAR,
    "max_drawdown": _DEPTH,
    "max_drawdown_bars": _UNDER,
    "longest_drawdown_bars": _UNDER,
    "average_drawdown": _UNDER,
    "skew": _SHAPE,
    "kurtosis": _SHAPE,
    "var_95": _TAILS,
    "cvar_95": _TAILS,
    "omega": _SIDES,
    "tail_ratio": _TAILS,
    "n_trades": _TRADING,
    "n_open_trades": _TRADING,
    "win_rate": _TRADING,
    "profit_factor": _TRADING,
    "expectancy": _TRADING,
    "sqn": _TRADING,
    "average_win_ccy": _TRADING,
    "average_loss_ccy": _TRADING,
    "average_trade_bars": _TRADING,
    "average_mae_ccy": _TRADING,
    "average_mfe_ccy": _TRADING,
    "n_fills": _Group(Metrics._filling, "_n_fills"),
    "turnover": _Group(Metrics._turning, "_traded_value"),
    "costs_ccy": _Group(Metrics._paying, "_costs"),
    "exposure": _EXPOSING,
    "time_in_market": _EXPOSING,
    "alpha": _COMPARING,
    "beta": _COMPARING,
    "information_ratio": _COMPARING,
    "tracking_error": _COMPARING,
    "correlation": _COMPARING,
}
