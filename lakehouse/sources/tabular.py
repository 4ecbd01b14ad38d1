"""Tables out of files, read strictly: CSV (plain or gzip) or Parquet, text as text, each row with its line.

pandas by default reads NA and NULL as missing, and fills up a row that was cut short; here every field of a
CSV file stays text until a rule says what it is, and a row has as many fields as the header.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import nearest
from lakehouse.errors import BadName, BadPayload, BadRows, EmptyAnswer, SourceError
from lakehouse.sources.base import check_symbol
from lakehouse.sources.payload import gunzip

if TYPE_CHECKING:
    import pandas as pd

LINE = "line"
_N_SAMPLE = 10
_MAGIC = b"PAR1"


def read_rows(
    content: bytes,
    *,
    what: str,
    columns: Mapping[str, str],
    delimiter: str = ",",
    max_bytes: int,
    max_rows: int,
) -> pd.DataFrame:
    """Return the mapped columns in our names, and `line`: the line in the file, or the row number in Parquet.

    Fields of CSV are text, an empty one is "". Blank lines are no rows.

    Parameters
    ----------
    content : CSV, gzip of CSV, or Parquet
    what : named in errors, such as the file's name
    columns : our name -> the table's column; a value that begins with "=" is literal
    delimiter : of CSV
    max_bytes, max_rows : limits of the unpacked table

    Raises
    ------
    SourceError : a mapped column is not there; names the nearest.
    BadPayload : no readable table, or one past the limits.
    BadRows : a row with fewer fields than the header.
    EmptyAnswer : no rows.
    """
    wanted = {name: column for name, column in columns.items() if not column.startswith("=")}
    if content.startswith(_MAGIC):
        rows = _read_parquet(content, what, wanted, max_bytes, max_rows)
    else:
        text = gunzip(content, what=what, max_bytes=max_bytes)
        rows = _read_csv(text, what, wanted, delimiter, max_rows)
    if not len(rows):
        raise EmptyAnswer(f"{what} has no rows below its header")
    for name, column in columns.items():
        if column.startswith("="):
            rows[name] = column[1:]
    return rows


def as_symbols(rows: pd.DataFrame, what: str, *, none_allowed: bool = False) -> pd.Series:
    """Return the column `symbol` as text, each a symbol; where `none_allowed` it may be empty.

    Raises
    ------
    BadRows : one is no symbol.
    """
    problems: dict[Any, str] = {}
    for symbol in rows["symbol"].unique():
        if none_allowed and isinstance(symbol, str) and not symbol:
            continue
        try:
            check_symbol(symbol)
        except BadName as error:
            problems[symbol] = str(error)
    if problems:
        bad = rows["symbol"].isin(list(problems)) | (rows["symbol"].isna() if None in problems else False)
        refuse(rows, bad.to_numpy(), what, "usable_symbols", next(iter(problems.values())))
    return rows["symbol"].astype("str")


def as_days(
    rows: pd.DataFrame, name: str, what: str, date_format: str, *, empty_allowed: bool = False
) -> NDArray[np.datetime64]:
    """Return a column of days as datetime64[s]; NaT where it is empty and `empty_allowed`.

    Raises
    ------
    BadRows : one is no day written as `date_format`, or has a time of day.
    """
    column = rows[name]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        bad = (column.notna() & (column != column.dt.normalize())) | (column.isna() & (not empty_allowed))
        refuse(rows, bad.to_numpy(), what, "plain_dates", f"{name} must be a day without a time", (name,))
        stamps: NDArray[np.datetime64] = column.to_numpy().astype("datetime64[s]")
        return stamps
    text = column.map(_day_text)
    is_text = text.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
    is_empty = (text == "").to_numpy(dtype=bool) | column.isna().to_numpy(dtype=bool)
    filled = text.where(is_text & ~is_empty, "")
    rule = f"{name} must be a day written as {date_format}"
    return written_days(rows, filled, what, date_format, rule, allowed=is_empty & empty_allowed, shown=(name,))


def written_days(
    rows: pd.DataFrame,
    text: pd.Series,
    what: str,
    date_format: str,
    rule: str,
    *,
    allowed: NDArray[np.bool_] | None = None,
    shown: tuple[str, ...] = (),
) -> NDArray[np.datetime64]:
    """Return days written as text as datetime64[s]; NaT where one is no day and `allowed` has a True.

    Raises
    ------
    BadRows : one is no day written as `date_format`; the text begins with `rule`.
    """
    import pandas as pd

    codes, found = pd.factorize(text)
    days = pd.to_datetime(pd.Series(found), format=date_format, errors="coerce", exact=True)
    # Written back, a day must give its own text: strptime takes 2020-1-2 for 2020-01-02.
    good = (days.dt.strftime(date_format) == found).to_numpy(dtype=bool)[codes]
    refuse(rows, ~good if allowed is None else ~(good | allowed), what, "plain_dates", rule, shown)
    written: NDArray[np.datetime64] = days.to_numpy().astype("datetime64[s]")[codes]
    return written


def as_numbers(rows: pd.DataFrame, name: str, what: str, *, empty: float | None = None) -> NDArray[np.float64]:
    """Return a column as finite float64; `empty` stands for a blank field and for a column that is not there.

    Raises
    ------
    BadPayload : true and false.
    BadRows : one is no finite number.
    """
    import pandas as pd

    if name not in rows and empty is not None:
        return np.full(len(rows), empty, dtype=np.float64)
    column = rows[name]
    if column.dtype == bool:
        raise BadPayload(f"{what} has true and false where {name} should be")
    values: NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if empty is not None:
        is_blank = column.isna() | (column.astype("str").str.strip() == "")
        values = np.where(is_blank.to_numpy(dtype=bool), empty, values)
    refuse(rows, ~np.isfinite(values), what, "numbers", f"{name} must be a number", (name,))
    return values


def refuse(
    rows: pd.DataFrame,
    mask: NDArray[np.bool_],
    what: str,
    rule: str,
    text: str,
    shown: tuple[str, ...] = (),
) -> None:
    """Raise BadRows where the mask has any row; the text holds the first and its line.

    Parameters
    ----------
    rows : with `line`
    mask : bool[n_rows], the offenders
    rule : in a few words, stable enough to group by
    text : the rule as a sentence
    shown : columns that the text shows; all by default
    """
    if not mask.any():
        return
    sample = [
        {str(name): _plain(value) for name, value in row.items()}
        for row in rows[mask].head(_N_SAMPLE).to_dict("records")
    ]
    first = sample[0]
    values = ", ".join(f"{name} {first[name]!r}" for name in (shown or first) if name != LINE)
    raise BadRows(
        f"{text}: {int(mask.sum()):,} rows of {what} break it, first at {LINE} {first[LINE]} ({values})",
        rule=rule,
        rows=sample,
    )


def _read_csv(text: bytes, what: str, wanted: Mapping[str, str], delimiter: str, max_rows: int) -> pd.DataFrame:
    import pandas as pd

    try:
        first = text[: 1 << 16].decode("utf-8-sig", "ignore").splitlines()
        header = next(csv.reader(first[:1], delimiter=delimiter, strict=True), [])
        _check_header([name.strip() for name in header], what, wanted)
        with warnings.catch_warnings():
            # pandas warns and goes on where the first row has more fields than the header.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            raw = pd.read_csv(
                io.BytesIO(text),
                sep=delimiter,
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                index_col=False,
                encoding="utf-8-sig",
                skip_blank_lines=False,
                nrows=max_rows + 1,
                on_bad_lines="error",
            )
        if len(raw) > max_rows:
            raise BadPayload(f"{what} has more than {max_rows:,} rows (max_rows)")
        _check_widths(text, what, delimiter, len(header))
    except UnicodeDecodeError as error:
        raise BadPayload(f"{what} is not UTF-8 text ({error}); save it as UTF-8") from error
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        raise BadPayload(f"{what} is not a readable CSV file: {str(error).strip()[:300]}") from error
    raw.columns = pd.Index([str(name).strip() for name in raw.columns])
    picked = raw[list(wanted.values())].set_axis(list(wanted), axis=1)
    picked[LINE] = np.arange(2, len(picked) + 2)
    is_blank = (raw == "").all(axis=1)
    return picked[~is_blank].reset_index(drop=True)


def _check_widths(text: bytes, what: str, delimiter: str, n_fields: int) -> None:
    """Refuse a row with fewer fields than the header: pandas fills it up, as if the last were empty."""
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(text), "utf-8-sig", newline=""), delimiter=delimiter)
    for fields in lines:
        if fields and len(fields) < n_fields:
            raise BadRows(
                f"a row must have the header's {n_fields} fields: line {lines.line_num} of {what} has {len(fields)}",
                rule="whole_rows",
                rows=[{LINE: lines.line_num, "fields": fields[:_N_SAMPLE]}],
            )


def _read_parquet(content: bytes, what: str, wanted: Mapping[str, str], max_bytes: int, max_rows: int) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        meta = file.metadata
        unpacked = sum(meta.row_group(place).total_byte_size for place in range(meta.num_row_groups))
        if meta.num_rows > max_rows or unpacked > max_bytes:
            raise BadPayload(
                f"{what} has {meta.num_rows:,} rows and {unpacked:,} bytes unpacked; the limits are "
                f"{max_rows:,} (max_rows) and {max_bytes:,} (max_bytes)"
            )
        _check_header(list(file.schema_arrow.names), what, wanted)
        table = file.read(columns=list(dict.fromkeys(wanted.values())))
    except (pa.ArrowException, OSError) as error:
        raise BadPayload(f"{what} is not a readable Parquet file: {str(error)[:300]}") from error
    rows: pd.DataFrame = table.select(list(wanted.values())).rename_columns(list(wanted)).to_pandas()
    rows[LINE] = np.arange(1, len(rows) + 1)
    return rows


def _check_header(header: list[str], what: str, wanted: Mapping[str, str]) -> None:
    for name, column in wanted.items():
        if column not in header:
            raise SourceError(f"{what} has no column {column!r} for {name!r}{nearest(column, header)}")
        if header.count(column) > 1:
            raise BadPayload(f"{what} has {header.count(column)} columns named {column!r}")


def _day_text(value: Any) -> Any:
    """Return a day's text; a time of day, an empty text and anything else stay as they are."""
    is_day = isinstance(value, dt.date) and not isinstance(value, dt.datetime)
    return value.isoformat() if is_day else value


def _plain(value: Any) -> Any:
    """Return a value as it reads best in an error: days as days, numbers as Python's."""
    if hasattr(value, "date") and hasattr(value, "normalize"):
        return str(value.date()) if value == value.normalize() else str(value)
    return value.item() if isinstance(value, np.generic) else value
