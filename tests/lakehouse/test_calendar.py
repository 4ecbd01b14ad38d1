"""Sessions, opens, closes and months against days everyone remembers."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from lakehouse.calendar import (
    exchanges,
    is_session,
    month_key,
    month_keys,
    month_range,
    session_close,
    session_from,
    session_open,
    sessions,
)
from lakehouse.errors import BadName, LakeError


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2024-03-08", "21:00"),  # the last session before the clocks go forward
        ("2024-03-11", "20:00"),
        ("2024-11-01", "20:00"),
        ("2024-11-04", "21:00"),
        ("2024-11-29", "18:00"),  # half day after Thanksgiving
        ("2024-07-03", "17:00"),  # half day in summer
        ("2000-02-29", "21:00"),
    ],
)
def test_new_york_closes(day: str, close: str) -> None:
    assert list(session_close("XNYS", [_day(day)])) == [pd.Timestamp(f"{day} {close}", tz="UTC")]


@pytest.mark.parametrize(
    ("exchange", "day", "opened"),
    [
        ("XNYS", "2024-03-08", "2024-03-08 14:30"),  # the last session before the clocks go forward
        ("XNYS", "2024-03-11", "2024-03-11 13:30"),
        ("XNYS", "2024-11-29", "2024-11-29 14:30"),  # half day
        ("XNYS", "2000-02-29", "2000-02-29 14:30"),
        ("XTKS", "2024-06-03", "2024-06-03 00:00"),
        ("XASX", "2024-01-08", "2024-01-07 23:00"),  # Sydney's morning, the day before in UTC
        ("24/7", "2024-03-01", "2024-03-01 00:00"),
    ],
)
def test_opens(exchange: str, day: str, opened: str) -> None:
    assert list(session_open(exchange, [_day(day)])) == [pd.Timestamp(opened, tz="UTC")]


def test_opens_keep_the_order_asked_for_in_microseconds() -> None:
    opens = session_open("XNYS", [_day("2024-11-29"), _day("2024-11-27")])
    assert str(opens.dtype) == "datetime64[us, UTC]"
    assert opens[0] > opens[1]
    assert len(session_open("XNYS", [])) == 0
    with pytest.raises(LakeError, match="2024-11-28 is not a session of XNYS"):
        session_open("XNYS", [_day("2024-11-28")])


def test_the_session_from_a_day_on() -> None:
    days = [_day(text) for text in ("2024-11-28", "2024-11-27", "2024-11-30", "2001-09-11")]
    assert [day.isoformat() for day in session_from("XNYS", days)] == [
        "2024-11-29",
        "2024-11-27",
        "2024-12-02",
        "2001-09-17",
    ]
    assert session_from("XNYS", []) == []
    for day in ("2041-01-01", "1959-12-31"):
        with pytest.raises(LakeError, match=rf"asked from {day} on"):
            session_from("XNYS", [_day(day)])


@pytest.mark.parametrize("day", ["2012-10-29", "2012-10-30", "2025-01-09", "2001-09-11", "2024-06-19", "2024-03-30"])
def test_days_new_york_did_not_trade(day: str) -> None:
    assert not is_session("XNYS", _day(day))
    with pytest.raises(LakeError, match=f"{day} is not a session of XNYS"):
        session_close("XNYS", [_day(day)])


def test_juneteenth_was_a_session_before_it_was_a_holiday() -> None:
    assert is_session("XNYS", _day("2020-06-19"))


def test_the_number_of_sessions_agrees_with_a_second_calendar() -> None:
    # pandas_market_calendars 5.5.0 has as many
    assert len(sessions("XNYS", _day("1990-01-01"), _day("2026-01-01"))) == 9067


def test_ranges_are_half_open() -> None:
    week = sessions("XNYS", _day("2024-01-01"), _day("2024-01-05"))
    assert week == [_day("2024-01-02"), _day("2024-01-03"), _day("2024-01-04")]
    assert sessions("XNYS", _day("2024-01-05"), _day("2024-01-05")) == []


def test_an_exchange_that_never_closes_has_every_day() -> None:
    days = sessions("24/7", _day("2024-02-28"), _day("2024-03-02"))
    assert [day.isoformat() for day in days] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert session_close("24/7", days[-1:])[0] == pd.Timestamp("2024-03-02", tz="UTC")


def test_closes_keep_the_order_asked_for_in_microseconds() -> None:
    closes = session_close("XNYS", [_day("2024-11-29"), _day("2024-11-27")])
    assert str(closes.dtype) == "datetime64[us, UTC]"
    assert closes[0] > closes[1]
    assert len(session_close("XNYS", [])) == 0


def test_an_unknown_exchange_names_the_nearest() -> None:
    with pytest.raises(BadName, match="unknown exchange 'XNYX'; did you mean 'XNYS'"):
        sessions("XNYX", _day("2024-01-01"), _day("2024-02-01"))
    assert {"XNYS", "NYSE", "24/7", "XTKS"} <= set(exchanges())


def test_a_day_the_calendar_does_not_know_is_an_error_not_a_holiday() -> None:
    with pytest.raises(LakeError, match=r"XTKS knows sessions in \[1997-01-01, 2041-01-01\)"):
        sessions("XTKS", _day("1990-01-01"), _day("2000-01-01"))
    with pytest.raises(LakeError, match="asked for"):
        is_session("XNYS", _day("2050-01-03"))


def test_months() -> None:
    assert month_key(_day("2000-03-31")) == "2000-03"
    assert month_range("1999-12") == (_day("1999-12-01"), _day("2000-01-01"))
    assert month_range("2024-02") == (_day("2024-02-01"), _day("2024-03-01"))
    assert month_keys(_day("1999-11-30"), _day("2000-02-01")) == ["1999-11", "1999-12", "2000-01"]
    assert month_keys(_day("2000-02-01"), _day("2000-02-01")) == []
    assert month_keys(_day("2000-02-15"), _day("2000-02-15")) == []


@pytest.mark.parametrize("key", ["2000-3", "2000-13", "2000", "2000-03-01", "", "20x0-01", 200003])
def test_a_month_in_another_form_is_refused(key: str) -> None:
    with pytest.raises(BadName, match="a month is written like '2000-03'"):
        month_range(key)
