"""Reading EDGAR's lists of filings.

https://data.sec.gov/submissions/CIK##########.json: the newest filings as lists side by side, and the names of
further files with older ones, which are such lists without a frame.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.errors import BadPayload
from lakehouse.sources.base import Parsed, empty_actions, empty_bars
from lakehouse.sources.edgar_facts import NEW_YORK
from lakehouse.sources.limits import MAX_ROWS, check_rows
from lakehouse.sources.payload import load_json

if TYPE_CHECKING:
    import pandas as pd

NAME = "filings of form {form}"
OPENS_AT = dt.timedelta(hours=6)
"""When, in New York, EDGAR makes public what it accepted after the day before had ended for it."""

MAX_SHARE_AT_NIGHT = 0.01
_COLUMNS = ("accessionNumber", "filingDate", "acceptanceDateTime", "form")
_PAGE = re.compile(r"CIK\d{10}-submissions-\d{3}\.json", re.ASCII)


def parse_filings(content: bytes, *, symbol: str, cik: int, as_of: dt.datetime, max_rows: int = MAX_ROWS) -> Parsed:
    """Return how many filings of each form a company made, as rows of core/series by the moment they were public.

    The name is "filings of form 10-K" and so on, `about` the filing day, the value how many became known at that
    very moment. `known_at` is when EDGAR accepted a filing, or the opening of its filing day at 06:00 in New York
    where it was accepted before that: late filings are dated and made public the next business day.

    Raises
    ------
    BadPayload : another company's, not in the known form, more than `max_rows`, accepted after `as_of`, or at hours
        of the night that show that the times are not UTC.
    """
    import pandas as pd

    what = f"the SEC's filings of {symbol}"
    lists = _lists(content, cik, what)
    check_rows(len(lists["form"]), max_rows, what=what)
    rows = _frame(lists, what)
    if len(rows) and rows["accepted"].max() > as_of + dt.timedelta(minutes=5):
        raise BadPayload(f"{what} have one accepted at {rows['accepted'].max()}, after the request of {as_of}")
    hour = rows["accepted"].dt.tz_convert(NEW_YORK).dt.hour
    at_night = int(((hour >= 2) & (hour < 6)).sum())
    if at_night > MAX_SHARE_AT_NIGHT * len(rows):
        raise BadPayload(
            f"{what} have {at_night} of {len(rows)} accepted from 02:00 to 06:00 in New York, when EDGAR is closed: "
            "their times are not UTC"
        )
    opening = (rows["filed"].astype("datetime64[us]") + OPENS_AT).dt.tz_localize(NEW_YORK).dt.tz_convert("UTC")
    series = pd.DataFrame(
        {
            "name": [NAME.format(form=form) for form in rows["form"]],
            "symbol": symbol,
            "about": rows["filed"],
            "known_at": rows["accepted"].where(rows["accepted"] > opening, opening),
        }
    )
    counted = series.groupby(["name", "symbol", "about", "known_at"], sort=True).size().reset_index(name="value")
    return Parsed(
        bars=empty_bars(),
        actions=empty_actions(),
        tables={"core/series": counted.astype({"value": "float64", "name": "str", "symbol": "str"})},
    )


def older_pages(content: bytes, *, symbol: str, cik: int, start: dt.date) -> list[str]:
    """Return the names of the further files that hold filings from `start` on.

    Raises
    ------
    BadPayload : a name or a date in another form than the known one.
    """
    what = f"the SEC's filings of {symbol}"
    page = load_json(content, what=what)
    names = []
    for file in page["filings"].get("files") or []:
        name, last = file.get("name"), file.get("filingTo")
        if not isinstance(name, str) or not _PAGE.fullmatch(name) or f"CIK{cik:010d}" not in name:
            raise BadPayload(f"{what} name a further file {name!r:.80}, which is none of the company's")
        try:
            is_wanted = dt.date.fromisoformat(str(last)) >= start
        except ValueError:
            raise BadPayload(f"{what} have a further file up to {last!r:.40}, which is no day") from None
        if is_wanted:
            names.append(name)
    return names


def _lists(content: bytes, cik: int, what: str) -> Mapping[str, Any]:
    """Return the lists side by side, of the first file or a further one."""
    page = load_json(content, what=what)
    if not isinstance(page, dict):
        raise BadPayload(f"{what} are no object; try again later")
    if "filings" in page:
        if not str(page.get("cik", "")).isdecimal() or int(page["cik"]) != cik:
            raise BadPayload(f"{what} are of company {page.get('cik')!r:.40}, asked for {cik}")
        filings = page["filings"]
        page = filings.get("recent") if isinstance(filings, dict) else None
    lists = [page.get(name) for name in _COLUMNS] if isinstance(page, dict) else [None]
    if not all(isinstance(values, list) and all(isinstance(value, str) for value in values) for values in lists):
        raise BadPayload(f"{what} lack one of the lists {', '.join(_COLUMNS)}; try again later")
    if len({len(values) for values in lists if isinstance(values, list)}) != 1:
        raise BadPayload(f"{what} have lists of different lengths; fetch them again")
    return dict(zip(_COLUMNS, lists, strict=True))


def _frame(lists: Mapping[str, Any], what: str) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in lists.items()})
    if not frame["acceptanceDateTime"].str.endswith("Z").all():
        raise BadPayload(f"{what} have times that are not UTC")
    try:
        filed = pd.to_datetime(frame["filingDate"], format="%Y-%m-%d").astype("datetime64[s]")
        accepted = pd.to_datetime(frame["acceptanceDateTime"], format="ISO8601", utc=True).dt.as_unit("us")
    except ValueError as error:
        raise BadPayload(f"{what} have a time that is none ({str(error)[:100]})") from error
    frame = pd.DataFrame(
        {"accession": frame["accessionNumber"], "form": frame["form"], "filed": filed, "accepted": accepted}
    )
    return frame.drop_duplicates("accession", ignore_index=True)
