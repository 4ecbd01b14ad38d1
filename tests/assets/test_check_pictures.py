"""Pictures of checks: what they draw is what the check found, counted another way."""

from __future__ import annotations

import base64
import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from assets.check_pictures import by_month, picture, quarantined
from assets.checks import daily_bars_checks, schema_check
from assets.resources import LakeResource, VendorsResource
from lakehouse import Lake
from lakehouse.calendar import sessions
from lakehouse.checks import CheckOutcome, check_bars
from tests.lakehouse.stored import BARS, bars

DAYS = sessions("XNYS", dt.date(2018, 1, 1), dt.date(2020, 1, 1))
NO_ACTIONS = pa.table(
    {
        "symbol": pa.array([], pa.string()),
        "ex_date": pa.array([], pa.date32()),
        "kind": pa.array([], pa.string()),
        "value": pa.array([], pa.float64()),
    }
)
SPOILED = {"close": -1.0, "high": 1.0}


def market(n_symbols: int = 3) -> pd.DataFrame:
    """Return two years of bars at 10, the second symbol's close falling by a quarter in the second March."""
    frames = [
        pd.DataFrame({"symbol": f"S{k}", "session": DAYS, "open": 10.0, "high": 11.0, "low": 6.0, "close": 10.0})
        for k in range(n_symbols)
    ]
    frame = pd.concat(frames, ignore_index=True).assign(volume=1.0)
    is_later = pd.to_datetime(frame["session"]) >= "2019-03-15"
    frame.loc[(frame["symbol"] == "S1") & is_later, ["open", "close"]] = 7.5
    return frame


def outcomes(frame: pd.DataFrame) -> dict[str, CheckOutcome]:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return {outcome.name: outcome for outcome in check_bars(table, NO_ACTIONS, exchange="XNYS")}


def drawn(svg: str) -> list[np.ndarray[Any, Any]]:
    """Return the stems of each group: place, one end and the other, with the zero line's place taken off."""
    root = ET.fromstring(svg)  # well-formed, or this raises
    return [
        np.array([[int(n) for n in stem] for stem in re.findall(r"M(-?\d+) (-?\d+)V(-?\d+)", path.get("d") or "")])
        for path in root.iter("{http://www.w3.org/2000/svg}path")
    ]


def heights(svg: str) -> list[list[float]]:
    """Return the heights of each group's stems in order of time, as shares of the highest."""
    groups = [np.abs(stems[:, 2] - stems[:, 1]) for stems in drawn(svg)]
    top = max(float(group.max()) for group in groups)
    return [(group / top).tolist() for group in groups]


def test_a_sound_history_shows_the_bars_of_each_month_and_the_largest_moves() -> None:
    found = outcomes(market())
    shown = {name: picture(outcome) for name, outcome in found.items()}
    assert {name for name, svg in shown.items() if svg} == {"calendar_gaps", "unexplained_jumps"}
    counts = Counter((day.year, day.month) for day in DAYS)
    (bars_shown,) = heights(shown["calendar_gaps"])
    expected = [counts[month] / max(counts.values()) for month in sorted(counts)]
    assert bars_shown == pytest.approx(expected, abs=0.002)
    (moves,) = heights(shown["unexplained_jumps"])
    assert moves[14] == 1.0 and sum(moves) == 1.0


@pytest.mark.parametrize("name", ["positive_prices", "ohlc_order", "calendar_gaps", "keys_unique"])
def test_offending_rows_are_counted_by_month(name: str) -> None:
    frame, chosen = market(), [30, 31, 35, 200, 450, 451]
    if name == "calendar_gaps":
        bad = frame.drop(index=chosen)
    elif name == "keys_unique":
        bad = pd.concat([frame, frame.loc[chosen]])
    else:
        column = "close" if name == "positive_prices" else "high"
        bad = frame.copy()
        bad.loc[chosen, column] = SPOILED[column]
    svg = picture(outcomes(bad)[name])
    counts = Counter((DAYS[place].year, DAYS[place].month) for place in chosen)
    (shown,) = heights(svg)
    assert shown == pytest.approx([counts[month] / max(counts.values()) for month in sorted(counts)], abs=0.002)
    (stems,) = drawn(svg)
    since = dt.date(2018, 1, 1)
    share = [((dt.date(*month, 16) - since) / (dt.date(2020, 1, 1) - since)) * 2000 for month in sorted(counts)]
    assert stems[:, 0].tolist() == pytest.approx(share, abs=1.0)
    assert len(svg) < 6000


def test_jumps_are_stems_at_their_session_and_wrong_prices_do_not_flatten_the_others() -> None:
    frame = market()
    frame.loc[100, ["open", "close", "high"]] = [10.0, 10_000.0, 10_000.0]
    frame.loc[frame.index[700], ["open", "close"]] = [10.0, 4.0]
    outcome = outcomes(frame)["unexplained_jumps"]
    assert outcome.n_failed == 4
    svg = picture(outcome)
    _, beyond = drawn(svg)
    _, high = heights(svg)
    assert len(beyond) == 4 and "cut at 300%" in svg and "beyond 40%: 4" in svg
    # Down by 60 % and up again by 150 %; up a thousandfold, which is cut at 300 %, and back down by 99.9 %.
    assert sorted(high) == pytest.approx([0.6 / 3.0, 0.999 / 3.0, 1.5 / 3.0, 1.0], abs=0.01)


def test_quarantined_bars_stand_on_each_other_by_reason() -> None:
    days = [dt.date(2024, 1, 5)] * 3 + [dt.date(2024, 2, 5)] * 2 + [dt.date(2024, 4, 1)]
    reasons = ["ohlc_order", "ohlc_order", "no_prices", "ohlc_order", "<b>&", "ohlc_order"]
    svg = quarantined([{"session": day, "reason": reason} for day, reason in zip(days, reasons, strict=True)])
    assert "ohlc_order: 4" in svg and "&lt;b&gt;&amp;: 1" in svg
    groups = heights(svg)
    assert groups[0] == pytest.approx([1.0, 0.5, 0.5], abs=0.01)
    assert groups[1:] == [pytest.approx([0.5], abs=0.01)] * 2
    first, *others = drawn(svg)
    for stems, below in zip(others, (first[0], first[1]), strict=True):
        assert stems[0][:2].tolist() == [below[0], below[2]]
    assert quarantined([]) == ""
    day = np.array(["2024-01-05"], "datetime64[D]")
    many = by_month(day.repeat(6), list("aabbcd"), day)
    assert "others: 1" in many and len(drawn(many)) == 4


def test_silent_symbols_stand_at_their_last_session() -> None:
    rows = pd.DataFrame({"symbol": ["A", "B"], "session": DAYS[100:300:199], "sessions_behind": [400, 200]})
    outcome = CheckOutcome("stale_symbols", False, False, 2, "silent", [], rows)
    assert heights(picture(outcome)) == [pytest.approx([1.0, 0.5], abs=0.01)]
    assert picture(CheckOutcome("stale_symbols", True, False, 0, "none")) == ""


def test_a_check_of_the_graph_has_its_picture(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(BARS, bars("2024-01").slice(0, 1), partitions=["2024-01"], batch_id="a")

    @dg.asset(key=BARS.split("/"))
    def stored() -> None: ...

    result = dg.materialize(
        [stored, daily_bars_checks, schema_check(BARS)],
        resources={
            "lake": LakeResource(home=str(tmp_path)),
            "vendors": VendorsResource(sources=["sample"], symbols=[], exchange="XNYS"),
        },
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    found = {item.check_name: item.metadata for item in result.get_asset_check_evaluations()}
    for name in ("calendar_gaps", "unexplained_jumps", "schema"):
        text = str(found[name]["picture"].value)
        head, _, encoded = text.partition("base64,")
        assert head.startswith("![") and head.endswith("(data:image/svg+xml;")
        assert drawn(base64.b64decode(encoded.rstrip(")")).decode())
    assert "picture" not in found["keys_unique"]
