"""Charts as SVG text, made by hand: no plotting library, no script, no outside file.

A chart is either *fluid* (it fills the width of the page around it while its letters keep their size) or,
given a width, a picture that stands alone. Lines are drawn in a stretched inner coordinate system, letters
outside it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assets.reports.scales import date_ticks, downsample, log_ticks, padded_range, round_ticks
from assets.reports.text import axis_label

Unit = Literal["number", "money", "rate"]

_SPAN = 2000  # inner coordinates are integers in [0, 2000]: finer than a pixel, and short to write
_MARGIN = (10, 14, 26, 54)  # top, right, bottom, left, pixels

# Of groups of events: a main one, what is wrong, what is beside it, and one more.
_COLOURS = ("var(--accent,#4f83d1)", "var(--loss,#c9703f)", "var(--other,#8b93a0)", "var(--fourth,#6f9a4f)")
# The fallback colours reach a contrast of 3 on white and on near-black alike.
CHART_CSS = (
    ".ql-grid{stroke:var(--rule,#8b96a5);stroke-opacity:var(--grid,.28);stroke-width:1}"
    ".ql-base{stroke:var(--muted,#7a8594);stroke-width:1}"
    ".ql-main,.ql-other,.ql-loss{fill:none;vector-effect:non-scaling-stroke;stroke-linejoin:round}"
    ".ql-main{stroke:var(--accent,#4f83d1);stroke-width:1.7}"
    ".ql-other{stroke:var(--other,#8b93a0);stroke-width:1.3;stroke-dasharray:4 3}"
    ".ql-loss{stroke:var(--loss,#c9703f);stroke-width:1.2}"
    ".ql-area{fill:var(--accent,#4f83d1);fill-opacity:.1}"
    ".ql-under{fill:var(--loss,#c9703f);fill-opacity:.2}"
    ".ql-shade{fill:var(--muted,#7a8594);fill-opacity:.13}"
    ".ql-dot{fill:var(--accent,#4f83d1)}"
    ".ql-text{fill:var(--muted,#7a8594);font:11px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;"
    "font-variant-numeric:tabular-nums}"
)


@dataclass(frozen=True)
class Line:
    """One line of a chart: `y` float64[n_bars] (NaN: a gap) and how it looks."""

    y: NDArray[np.float64]
    style: Literal["main", "other", "loss"] = "main"
    is_area: bool = False


@dataclass(frozen=True)
class Events:
    """Values at single moments: `at` datetime64[n], `y` and `base` float64[n]; how they look and what they are.

    width : pixels of a stem.
    """

    at: NDArray[np.datetime64]
    y: NDArray[np.float64]
    name: str
    colour: int = 0
    base: NDArray[np.float64] | float = 0.0
    width: float = 4.0


def line_chart(
    bar_end: NDArray[np.datetime64],
    lines: Sequence[Line],
    *,
    label: str,
    is_log: bool = False,
    unit: Unit = "number",
    baseline: float | None = None,
    in_sight: Sequence[float] = (),
    shaded: NDArray[np.bool_] | None = None,
    height: int = 300,
    width: int | None = None,
    n_points: int = 400,
) -> str:
    """Return a line or area chart over time as SVG.

    Parameters
    ----------
    bar_end : datetime64[n_bars], increasing, UTC.
    lines : drawn in this order, the last one on top; an area reaches down to `baseline`.
    label : what the picture shows, in words, for those who cannot see it.
    is_log : logarithmic axis; values at or below zero become gaps.
    unit : how the axis writes its numbers; `rate` is a fraction written as percent.
    baseline : a value with a stronger line (the initial cash, zero); it is always in sight.
    in_sight : other values that the axis must reach.
    shaded : bool[n_bars], bars with a shaded background (the ones that are in sample).
    height, width : pixels; without a width the chart is fluid.
    n_points : about how many points of a line are kept; extremes always survive.
    """
    shown = [np.asarray(line.y, dtype=np.float64) for line in lines]
    wanted = np.array([*in_sight, *([] if baseline is None else [baseline])])
    low, high = padded_range(*shown, wanted, is_log=is_log)
    x = _Axis.of_time(bar_end)
    y = _Axis(low, high, is_log=is_log, is_down=True)
    parts = [_shades(x, bar_end, shaded), _y_axis(y, unit, height), _x_axis(x, bar_end)]
    if baseline is not None and (baseline > 0 or not is_log):
        at = _percent(y(np.array([baseline]))[0])
        parts.append(f'<line class="ql-base" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
    floor = baseline if baseline is not None and (baseline > 0 or not is_log) else low
    inner = "".join(_line(x, y, bar_end, line, floor, n_points) for line in lines)
    parts.append(_stretched(inner))
    parts.extend(_lone_dot(x, y, bar_end, line) for line in lines)
    return _frame("".join(parts), label=label, height=height, width=width)


def drawdown_chart(
    bar_end: NDArray[np.datetime64],
    drawdown: NDArray[np.float64],
    *,
    label: str,
    height: int = 150,
    width: int | None = None,
) -> str:
    """Return the underwater chart of `drawdown` float64[n_bars], a rate at or below zero."""
    line = Line(np.asarray(drawdown, dtype=np.float64), style="loss", is_area=True)
    return line_chart(
        bar_end,
        [line],
        label=label,
        unit="rate",
        baseline=0.0,
        # An account that never fell shows a calm line, not the rounding noise around it.
        in_sight=(-0.01,),
        height=height,
        width=width,
    )


def sparkline(
    bar_end: NDArray[np.datetime64],
    y: NDArray[np.float64],
    *,
    label: str = "equity",
    width: int = 360,
    height: int = 72,
    n_points: int = 160,
) -> str:
    """Return a small picture of one line without axes, under 8 kB as a data URI; legible on light and dark.

    The thin horizontal line is the first finite value.
    """
    y = np.asarray(y, dtype=np.float64)
    finite = y[np.isfinite(y)]
    start = float(finite[0]) if finite.size else 0.0
    x = _Axis.of_time(bar_end)
    axis = _Axis(*padded_range(y), is_down=True)
    line = Line(y, is_area=True)
    at = _percent(axis(np.array([start]))[0])
    inner = (
        f'<line class="ql-grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>'
        f"{_stretched(_line(x, axis, bar_end, line, start, n_points))}{_lone_dot(x, axis, bar_end, line)}"
    )
    return _alone(inner, label=label, width=width, height=height, margin=(3, 3, 3, 3))


def event_chart(
    start: np.datetime64,
    end: np.datetime64,
    groups: Sequence[Events],
    *,
    label: str,
    unit: Unit = "number",
    limit: float | None = None,
    width: int = 560,
    height: int = 150,
) -> str:
    """Return a picture of values at single moments of [start, end], each a stem from zero; legible on light and dark.

    Parameters
    ----------
    groups : drawn in this order, each in its colour and named above; a stem that begins at another's end
        (`base`) stands on it.
    label : what the picture shows, in words, for those who cannot see it.
    limit : a value with a stronger line, such as the one that a check allows.
    """
    x = _Axis.of_time(np.array([start, end]))
    tops = [np.asarray(group.base + group.y, dtype=np.float64) for group in groups]
    low, high = padded_range(np.array([0.0] if limit is None else [0.0, limit]), *tops)
    y = _Axis(low, high, is_down=True)
    parts = [_y_axis(y, unit, height), _x_axis(x, np.array([start, end]))]
    for value in (0.0,) if limit is None else (0.0, limit):
        at = _percent(y(np.array([value]))[0])
        parts.append(f'<line class="ql-base" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
    parts.append(_stretched("".join(_stems(x, y, group) for group in groups)))
    names = "\N{NO-BREAK SPACE} ".join(
        f'<tspan style="fill:{_COLOURS[group.colour]}">\N{BLACK SQUARE}</tspan> {escape(group.name)}'
        for group in groups
    )
    parts.append(f'<text class="ql-text" x="4" y="-2">{names}</text>')
    return _frame("".join(parts), label=label, height=height, width=width)


def data_uri(svg: str) -> str:
    """Return a stand-alone SVG as a `data:` address."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def markdown_image(svg: str, alt: str) -> str:
    """Return a stand-alone SVG as a Markdown image; characters that Markdown reads are taken out of `alt`."""
    words = " ".join("".join(c for c in alt if c not in "[]()\\`*_<>").split())
    return f"![{words}]({data_uri(svg)})"


def heat_class(value: float, full_scale: float) -> str:
    """Return the CSS class of a cell: `n5` (worst) to `n1`, `z` (none), `p1` to `p5` (best).

    Blue for gains and rust for losses: a pair that colour-blind readers tell apart. A value of `full_scale`
    or more gets the deepest colour, one below a hundredth of it none.
    """
    if not np.isfinite(value) or full_scale <= 0 or abs(value) < 0.01 * full_scale:
        return "z"
    return f"{'p' if value > 0 else 'n'}{min(int(abs(value) / full_scale * 5) + 1, 5)}"


class _Axis:
    """Maps values to [0, 2000], flipped for a vertical axis; NaN outside a logarithm's domain."""

    def __init__(self, low: float, high: float, *, is_log: bool = False, is_down: bool = False) -> None:
        self.low, self.high, self.is_log, self.is_down = low, high, is_log, is_down

    @classmethod
    def of_time(cls, bar_end: NDArray[np.datetime64]) -> _Axis:
        if not len(bar_end):
            return cls(0.0, 1.0)
        first, last = (float(_micros(bar_end[k])) for k in (0, -1))
        # A single bar stands in the middle.
        return cls(first, last) if last > first else cls(first - 1.0, first + 1.0)

    def __call__(self, given: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(given, dtype=np.float64)
        low, high = self.low, self.high
        if self.is_log:
            low, high = np.log(low), np.log(high)
            values = np.log(np.where(values > 0, values, np.nan))
        share = (values - low) / (high - low)
        return _SPAN * (1.0 - share if self.is_down else share)


def _micros(instants: NDArray[np.datetime64] | np.datetime64) -> NDArray[np.int64]:
    return np.asarray(instants).astype("datetime64[us]").astype(np.int64)


def _percent(coordinate: float) -> str:
    return f"{coordinate * 100 / _SPAN:.2f}".rstrip("0").rstrip(".") + "%"


def _stretched(inner: str) -> str:
    return f'<svg width="100%" height="100%" viewBox="0 0 {_SPAN} {_SPAN}" preserveAspectRatio="none">{inner}</svg>'


def _line(x: _Axis, y: _Axis, bar_end: NDArray[np.datetime64], line: Line, floor: float, n_points: int) -> str:
    """One line (and its area) as paths; each run of finite values is a path piece of its own."""
    rows = downsample(np.asarray(line.y, dtype=np.float64), n_points)
    if not rows.size:
        return ""
    across, up = x(_micros(bar_end[rows])), y(np.asarray(line.y)[rows])
    finite = np.isfinite(up)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], finite.astype(np.int8), [0]])))
    ground = round(float(y(np.array([floor]))[0]))
    stroke, fill = [], []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        points = [(round(float(across[k])), round(float(up[k]))) for k in range(start, end)]
        steps = "M{} {}".format(*points[0]) + "".join(f"L{a} {b}" for a, b in points[1:])
        stroke.append(steps)
        fill.append(f"{steps}V{ground}H{points[0][0]}Z")
    under = "ql-under" if line.style == "loss" else "ql-area"
    area = f'<path class="{under}" d="{"".join(fill)}"/>' if line.is_area and fill else ""
    return area + (f'<path class="ql-{line.style}" d="{"".join(stroke)}"/>' if stroke else "")


def _stems(x: _Axis, y: _Axis, group: Events) -> str:
    """All stems of a group as one path; those that would look the same are drawn once."""
    base = np.broadcast_to(np.asarray(group.base, dtype=np.float64), np.shape(group.y))
    places = np.rint(np.column_stack([x(_micros(group.at)), y(base), y(base + group.y)])).astype(np.int64)
    path = "".join(f"M{at} {low}V{high}" for at, low, high in np.unique(places, axis=0).tolist())
    look = f"stroke:{_COLOURS[group.colour]};stroke-width:{group.width:.3g}"
    return f'<path style="fill:none;vector-effect:non-scaling-stroke;{look}" d="{path}"/>'


def _lone_dot(x: _Axis, y: _Axis, bar_end: NDArray[np.datetime64], line: Line) -> str:
    """A dot for a line with one finite value, which a path would not show."""
    known = np.flatnonzero(np.isfinite(y(np.asarray(line.y, dtype=np.float64))))
    if known.size != 1:
        return ""
    across, up = x(_micros(bar_end[known]))[0], y(np.asarray(line.y)[known])[0]
    return f'<circle class="ql-dot" cx="{_percent(across)}" cy="{_percent(up)}" r="3"/>'


def _y_axis(y: _Axis, unit: Unit, height: int) -> str:
    n_ticks = max(height // 55, 2)
    ticks = log_ticks(y.low, y.high, n_ticks) if y.is_log else round_ticks(y.low, y.high, n_ticks)
    parts = []
    for tick in ticks:
        at = _percent(y(np.array([tick]))[0])
        parts.append(
            f'<line class="ql-grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>'
            f'<text class="ql-text" x="-8" y="{at}" dy="4" text-anchor="end">{axis_label(tick, unit)}</text>'
        )
    return "".join(parts)


def _x_axis(x: _Axis, bar_end: NDArray[np.datetime64]) -> str:
    if not len(bar_end):
        return '<text class="ql-text" x="50%" y="50%" dy="-8" text-anchor="middle">no bars</text>'
    parts = []
    for k, (instant, text) in enumerate(date_ticks(bar_end[0], bar_end[-1])):
        at = x(_micros(instant))
        anchor = "end" if at > 0.97 * _SPAN else "middle"
        # Every second label leaves a narrow page.
        kind = "ql-text ql-second" if k % 2 else "ql-text"
        place = _percent(float(at))
        parts.append(f'<text class="{kind}" x="{place}" y="100%" dy="18" text-anchor="{anchor}">{escape(text)}</text>')
    return "".join(parts)


def _shades(x: _Axis, bar_end: NDArray[np.datetime64], shaded: NDArray[np.bool_] | None) -> str:
    if shaded is None or not len(bar_end):
        return ""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(shaded).astype(np.int8), [0]])))
    parts = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        left, right = x(_micros(bar_end[[start, min(end, len(bar_end) - 1)]]))
        place = f'x="{_percent(left)}" y="0" width="{_percent(right - left)}" height="100%"'
        parts.append(f'<rect class="ql-shade" {place}/>')
    return "".join(parts)


def _frame(inner: str, *, label: str, height: int, width: int | None) -> str:
    if width is not None:
        return _alone(inner, label=label, width=width, height=height, margin=_MARGIN)
    # The style sheet of a page makes tall charts lower on paper.
    kind = "ql-chart tall" if height >= 200 else "ql-chart"
    return f'<svg class="{kind}" role="img" aria-label="{escape(label)}" height="{height}">{inner}</svg>'


def _alone(inner: str, *, label: str, width: int, height: int, margin: tuple[int, int, int, int]) -> str:
    top, right, bottom, left = margin
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}"><style>{CHART_CSS}</style>'
        f'<svg x="{left}" y="{top}" width="{width - left - right}" height="{height - top - bottom}" '
        f'overflow="visible">{inner}</svg></svg>'
    )
