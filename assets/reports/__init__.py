"""Reports people read: charts as SVG text and the HTML tear sheet of a run."""

from __future__ import annotations

from assets.reports.charts import (
    Line,
    data_uri,
    drawdown_chart,
    line_chart,
    markdown_image,
    sparkline,
)
from assets.reports.tear_sheet import TearSheet, TearSheetError, ValidityRow, WindowRow, render

__all__ = [
    "Line",
    "TearSheet",
    "TearSheetError",
    "ValidityRow",
    "WindowRow",
    "data_uri",
    "drawdown_chart",
    "line_chart",
    "markdown_image",
    "render",
    "sparkline",
]
