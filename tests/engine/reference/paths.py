"""The way of a price through its bar, where it is assumed to be known: a place is (leg, way along the leg)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Slice:
    """A bar, or one of its finer bars, as an asset's orders meet it."""

    open: float
    high: float
    low: float
    close: float

    def reaches(self, level, direction):
        """Whether the range reaches a level from below (+1) or from above (-1)."""
        return self.high >= level if direction > 0 else self.low <= level

    def passes(self, level, direction):
        return self.high > level if direction > 0 else self.low < level

    def contains(self, level):
        return self.low <= level <= self.high


@dataclass
class Path:
    points: list

    @classmethod
    def of(cls, bar, rule, held):
        """The path of a bar; the adaptive rule visits the nearer extreme first, in doubt the worse for what is held."""
        up, down = bar.high - bar.open, bar.open - bar.low
        is_high_first = rule == "ohlc" or (rule == "adaptive" and (up < down or (up == down and held < 0.0)))
        middle = [bar.high, bar.low] if is_high_first else [bar.low, bar.high]
        return cls([bar.open, *middle, bar.close])

    def legs(self, begin):
        """(number, origin of the leg, from, to) of what is left of the path."""
        for leg in range(begin.place[0] if begin else 0, 3):
            origin = self.points[leg]
            start = begin.price if begin and leg == begin.place[0] else origin
            yield leg, origin, start, self.points[leg + 1]

    def reach(self, level, begin):
        """The first place at which the price is the level, or None."""
        for leg, origin, start, end in self.legs(begin):
            if min(start, end) <= level <= max(start, end):
                return leg, abs(level - origin)
        return None

    def passing(self, level, direction, begin):
        """The place of a level that the price then leaves beyond, upwards (+1) or downwards (-1); or None."""
        for leg, origin, start, end in self.legs(begin):
            if direction * (end - level) > 0.0:
                return leg, abs(level - origin) if direction * (start - level) <= 0.0 else abs(start - origin)
        return None
