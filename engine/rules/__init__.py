"""Rules: decisions that the engine makes itself, fast enough to try thousands of parameter sets.

    simulate(bars, Crossing(fast=20, slow=100, weight=1.0))
    sweep(bars, Crossing(units=100), {"fast": range(5, 50), "slow": range(60, 250, 5)})

A rule sees prices up to the close it decides at, and never later ones. It sees them as traded; where actions are
given, it sees total returns: prices times the units and reinvested dividends that one unit of the first bar has
become, so that neither a split nor an ex-dividend day looks like a move of the market. Both are known at the bar and
later actions never change them. From its delisting on an asset has no price.
"""

from engine.rules.base import Rule
from engine.rules.crossing import Crossing
from engine.rules.ranking import Ranking
from engine.rules.threshold import Threshold

__all__ = ["Crossing", "Ranking", "Rule", "Threshold"]
