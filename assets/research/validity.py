"""Whether a result can be believed: the statistics that stand beside every headline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from assets.reports.tear_sheet import ValidityRow
    from assets.research.coverage import Coverage
    from engine import Result


@dataclass(frozen=True)
class Validity:
    """Inference on one run's returns, given all trials that led to it.

    Attributes
    ----------
    sharpe, sharpe_error : annual Sharpe ratio and its standard error (Lo 2002).
    probabilistic_sharpe : probability that the true Sharpe ratio is above zero (Bailey, Lopez de Prado 2012).
    deflated_sharpe : the same against the best of `n_trials` lucky ones (Bailey, Lopez de Prado 2014).
    n_trials, trial_variance : trials counted, and the pooled variance of their per-bar Sharpe ratios.
    minimum_years : track record needed to tell the Sharpe ratio from zero at 95 %.
    """

    sharpe: float
    sharpe_error: float
    probabilistic_sharpe: float
    deflated_sharpe: float
    n_trials: int
    trial_variance: float
    minimum_years: float


def assess(
    result: Result, studies: Mapping[str, Sequence[float]], *, n_trials: int, periods_per_year: float
) -> Validity:
    """Return the inference on a run.

    Parameters
    ----------
    studies : per-bar Sharpe ratios of the trials that have one, by study.
    n_trials : all trials, those without a Sharpe ratio too.
    """
    from engine import deflated_sharpe, minimum_track_record, probabilistic_sharpe, sharpe_error

    returns = result.returns
    n = len(returns)
    metrics = result.metrics
    per_bar = metrics["sharpe"] / math.sqrt(periods_per_year)
    skew, kurtosis = metrics["skew"], metrics["kurtosis"]
    variance = trial_variance(studies)
    nan = math.nan
    if not math.isfinite(per_bar):
        return Validity(nan, nan, nan, nan, n_trials, variance, nan)
    if n_trials > 1 and variance > 0.0:
        deflated = deflated_sharpe(per_bar, n, skew=skew, kurtosis=kurtosis, n_trials=n_trials, variance=variance)
    else:
        deflated = probabilistic_sharpe(per_bar, n, skew=skew, kurtosis=kurtosis)
    years = minimum_track_record(per_bar, skew=skew, kurtosis=kurtosis) / periods_per_year
    return Validity(
        sharpe=metrics["sharpe"],
        sharpe_error=sharpe_error(per_bar, n) * math.sqrt(periods_per_year),
        probabilistic_sharpe=probabilistic_sharpe(per_bar, n, skew=skew, kurtosis=kurtosis),
        deflated_sharpe=deflated,
        n_trials=n_trials,
        trial_variance=variance,
        minimum_years=years if per_bar > 0.0 else nan,
    )


def trial_variance(studies: Mapping[str, Sequence[float]]) -> float:
    """Return the variance of trials' Sharpe ratios within their studies, pooled; 0 where no study has two.

    The deflated Sharpe ratio asks how much trials differ on the same bars. Studies on other years differ by what
    the market did in them, which is no choice anybody made.
    """
    squares, freedom = 0.0, 0
    for sharpes in studies.values():
        values = np.asarray(sharpes, dtype=np.float64)
        if values.size > 1:
            squares += float(((values - values.mean()) ** 2).sum())
            freedom += values.size - 1
    return squares / freedom if freedom else 0.0


def validity_rows(
    validity: Validity, coverage: Coverage, *, in_sample_sharpe: float, n_cuts: int, assumed_ends: Sequence[str]
) -> list[ValidityRow]:
    """Return the rows of the tear sheet's table "Can I believe this?"."""
    from assets.reports.tear_sheet import ValidityRow

    drop = 1.0 - validity.sharpe / in_sample_sharpe if in_sample_sharpe > 0.0 else math.nan
    return [
        ValidityRow(
            "Look-ahead check",
            f"clean at {n_cuts} cuts",
            "ok",
            "decisions recomputed on data cut at these bars equal those made with all data",
        ),
        ValidityRow(
            "Trials counted",
            f"{validity.n_trials}",
            "ok",
            "every parameter set tried for this spec, in sweeps and walk-forward searches",
        ),
        ValidityRow(
            "Sharpe ratio",
            _plus_minus(validity.sharpe, validity.sharpe_error),
            _verdict(validity.sharpe - 2.0 * validity.sharpe_error, 0.0, -math.inf),
            "ok where it is two standard errors above zero",
        ),
        ValidityRow(
            "Probability that Sharpe > 0",
            _percent(validity.probabilistic_sharpe),
            _verdict(validity.probabilistic_sharpe, 0.95, 0.80),
            "before the number of trials is taken into account",
        ),
        ValidityRow(
            "Deflated Sharpe ratio",
            _percent(validity.deflated_sharpe),
            _verdict(validity.deflated_sharpe, 0.95, 0.50),
            f"probability of beating the luckiest of {validity.n_trials} worthless trials",
        ),
        ValidityRow(
            "Track record needed",
            "undefined" if math.isnan(validity.minimum_years) else f"{validity.minimum_years:.1f} years",
            "ok" if math.isfinite(validity.minimum_years) else "caution",
            "length at which this Sharpe ratio differs from zero at 95 %",
        ),
        ValidityRow(
            "Drop out of sample",
            _percent(drop),
            _verdict(-drop, -0.5, -0.9),
            f"against a mean in-sample Sharpe ratio of {in_sample_sharpe:.2f}; a median of 73 % was found for 215 sold"
            " strategies (Suhonen, Lennkh, Perez 2017)",
        ),
        _universe_row(coverage),
        ValidityRow(
            "Members with bars",
            coverage.shown,
            "ok" if coverage.is_enough else "fail",
            f"{coverage.with_bars:,} of {coverage.member_days:,} days of members; the members without bars are mostly"
            " those that did not survive",
        ),
        ValidityRow(
            "Ends assumed",
            f"{len(assumed_ends)}" + (f": {_names(assumed_ends)}" if assumed_ends else ""),
            "caution" if assumed_ends else "ok",
            "their bars stopped and no delisting is known: closed at the last mark, as if nothing was lost",
        ),
    ]


def _universe_row(coverage: Coverage) -> ValidityRow:
    from assets.reports.tear_sheet import ValidityRow

    if coverage.is_point_in_time:
        reason = "a source told who was a member when: symbols that have gone since are among them"
        return ValidityRow("Universe", "point in time", "ok", reason)
    reason = "its members are those the data source still knows: survivorship bias flatters the result"
    return ValidityRow("Universe", "chosen in hindsight", "caution", reason)


def _names(symbols: Sequence[str], most: int = 5) -> str:
    more = f" and {len(symbols) - most} more" if len(symbols) > most else ""
    return ", ".join(symbols[:most]) + more


def _plus_minus(value: float, error: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.2f} ± {error:.2f}"


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.0%}"


def _verdict(value: float, good: float, bad: float) -> str:
    if math.isnan(value) or value < bad:
        return "fail"
    return "ok" if value >= good else "caution"
