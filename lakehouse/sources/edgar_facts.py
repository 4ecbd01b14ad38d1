"""Reading EDGAR's company facts, and what of them was known at a time.

https://data.sec.gov/api/xbrl/companyfacts/CIK##########.json: by taxonomy, concept and unit a list of
{start?, end, val, accn, fy, fp, form, filed}. `fy` and `fp` describe the filing, not the figure. The same
(start, end) comes again with every filing that repeats it, and with another value where one restates it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.errors import BadPayload, EmptyAnswer
from lakehouse.sources.base import Parsed, check_as_of, empty_actions, empty_bars
from lakehouse.sources.limits import MAX_ROWS, check_rows
from lakehouse.sources.payload import load_json

if TYPE_CHECKING:
    import pandas as pd

NEW_YORK = "America/New_York"
PERIOD = ("cik", "taxonomy", "concept", "unit", "start", "end")
COLUMNS = (*PERIOD, "filed", "value", "form", "accession", "fiscal_year", "fiscal_period", "known_at")
_DAYS = ("start", "end", "filed")


def parse_facts(content: bytes, *, symbol: str, cik: int, as_of: dt.datetime, max_rows: int = MAX_ROWS) -> Parsed:
    """Return a company's figures as rows of core/fundamentals, sorted by key.

    A figure about a moment has its end as its start. `known_at` is the end of the filing day in New York: the
    time a filing was accepted is not in this answer, and while most come after the close, EDGAR takes them from
    06:00 to 22:00 and gives a filing after 17:30 the next business day's date, so that nobody could read it
    after that day's end for the first time.

    One filing day may have several filings of the same figure. Equal values are one row and counted, of
    different ones the greatest accession number wins, which is counted, too.

    Raises
    ------
    EmptyAnswer : no figures at all.
    BadPayload : another company's, not in the known form, more than `max_rows`, or filed after `as_of`.
    """
    what = f"the SEC's figures of {symbol}"
    page = load_json(content, what=what)
    if not isinstance(page, dict) or not isinstance(page.get("facts"), dict):
        raise BadPayload(f"{what} have no facts; try again later")
    if page.get("cik") != cik:
        raise BadPayload(f"{what} are of company {page.get('cik')!r:.40}, asked for {cik}")
    rows = list(_rows(page["facts"], what))
    check_rows(len(rows), max_rows, what=what)
    facts = _frame(rows, what)
    if not len(facts):
        raise EmptyAnswer(f"{what} are empty; try again later")
    facts.insert(0, "cik", cik)
    facts["known_at"] = end_of_day(facts["filed"])
    last = facts["filed"].max()
    if last.date() > as_of.astimezone(dt.UTC).date():
        raise BadPayload(f"{what} have a filing of {last:%Y-%m-%d}, after the request of {as_of:%Y-%m-%d %H:%M} UTC")
    counts = {"facts without a value": int(facts["value"].isna().sum())}
    facts = facts[facts["value"].notna()]
    backwards = facts["start"] > facts["end"]
    counts["facts that end before they start"] = int(backwards.sum())
    facts, repeated = _one_row_a_filing_day(facts[~backwards])
    counts |= repeated
    return Parsed(
        bars=empty_bars(),
        actions=empty_actions(),
        tables={"core/fundamentals": facts[list(COLUMNS)]},
        counts={reason: n for reason, n in counts.items() if n},
    )


def as_of(frame: pd.DataFrame, when: dt.datetime) -> pd.DataFrame:
    """Return the figures as they were known at a time: for each (concept, unit, start, end) the latest filing's.

    Parameters
    ----------
    frame : rows of core/fundamentals, of any companies
    when : timezone-aware; a figure known at that very moment is in

    Returns
    -------
    DataFrame : the rows of `frame` that count, sorted by company, taxonomy, concept, unit, start and end
    """
    known = frame[frame["known_at"] <= check_as_of(when)]
    ordered = known.sort_values([*PERIOD, "filed", "accession"], kind="stable")
    return ordered.drop_duplicates(list(PERIOD), keep="last").reset_index(drop=True)


def end_of_day(days: pd.Series[Any]) -> pd.Series[Any]:
    """Return the midnight in New York that ends each day, as UTC times in microseconds."""
    import pandas as pd

    midnights = (days + pd.Timedelta(days=1)).astype("datetime64[us]")
    return midnights.dt.tz_localize(NEW_YORK).dt.tz_convert("UTC")


def _rows(facts: Mapping[str, Any], what: str) -> Iterator[tuple[Any, ...]]:
    """Yield the figures of every taxonomy, concept and unit, unchecked but for their form."""
    for taxonomy, concepts in facts.items():
        for concept, body in _items(concepts, what):
            units = body.get("units") if isinstance(body, dict) else None
            for unit, rows in _items(units, what):
                if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                    raise BadPayload(f"{what} have no list of {taxonomy} {concept} in {unit}")
                for row in rows:
                    end = row.get("end")
                    yield (
                        taxonomy,
                        concept,
                        unit,
                        row.get("start", end),
                        end,
                        row.get("filed"),
                        row.get("val"),
                        row.get("form"),
                        row.get("accn"),
                        row.get("fy"),
                        row.get("fp"),
                    )


def _items(value: Any, what: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise BadPayload(f"{what} are not by taxonomy, concept and unit, was {value!r:.40}")
    yield from value.items()


def _frame(rows: list[tuple[Any, ...]], what: str) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    names = [name for name in COLUMNS if name not in ("cik", "known_at")]
    columns: dict[str, Any] = dict.fromkeys(names, ())
    if rows:
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    for name in (*_DAYS, "form", "accession"):
        if not all(isinstance(value, str) for value in columns[name]):
            raise BadPayload(f"{what} have a figure without {name}")
    if not all(value is None or type(value) is str for value in columns["fiscal_period"]):
        raise BadPayload(f"{what} have a fiscal period that is no text")
    if not all(value is None or type(value) is int for value in columns["fiscal_year"]):
        raise BadPayload(f"{what} have a fiscal year that is no whole number")
    if not all(value is None or type(value) in (int, float) for value in columns["value"]):
        raise BadPayload(f"{what} have values that are not numbers")
    frame = pd.DataFrame({name: pd.Series(list(values), dtype=object) for name, values in columns.items()})
    try:
        for name in _DAYS:
            frame[name] = pd.to_datetime(frame[name], format="%Y-%m-%d").astype("datetime64[s]")
            if frame[name].isna().any():
                raise ValueError(f"{name} is empty or NaT")  # which pandas takes for a missing day
    except ValueError as error:
        raise BadPayload(f"{what} have a day that is none ({str(error)[:100]})") from error
    values = np.array(columns["value"], dtype=np.float64)
    frame["value"] = np.where(np.isfinite(values), values, np.nan)
    frame["fiscal_year"] = frame["fiscal_year"].astype("Int64")
    text = ["taxonomy", "concept", "unit", "form", "accession", "fiscal_period"]
    return frame.astype(dict.fromkeys(text, "str"))


def _one_row_a_filing_day(facts: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep the figure with the greatest accession of each filing day, and count the others by whether they agree."""
    key = [*PERIOD, "filed"]
    ordered = facts.sort_values([*key, "accession"], kind="stable", ignore_index=True)
    last = ordered.groupby(key, sort=False)["value"].transform("last")
    is_kept = ~ordered.duplicated(key, keep="last")
    differs = ~is_kept & (ordered["value"] != last)
    counts = {
        "facts given twice": int((~is_kept & ~differs).sum()),
        "facts overruled by a filing of the same day": int(differs.sum()),
    }
    return ordered[is_kept].reset_index(drop=True), counts
