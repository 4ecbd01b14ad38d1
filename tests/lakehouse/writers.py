"""Processes that write to a lake and are killed on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from lakehouse import Lake
from tests.lakehouse.stored import BARS, MONTHS, WINDOWS, answer, bars, windows

# The server imports what a writer needs once; each writer is then forked from it before any thread runs.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["lakehouse.writing", "exchange_calendars", "tests.lakehouse.stored"])


def start(target: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    """Start a writer in its own process."""
    process = CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def run_to_the_end(target: Callable[..., None], *arguments: object) -> int | None:
    """Run a writer and return its exit code, -9 for a killed one."""
    process = start(target, *arguments)
    process.join(60)
    return process.exitcode


def replace_two_months(lake: Lake, price: float) -> None:
    """Give both months this price."""
    lake.replace(BARS, bars(MONTHS, price=price), partitions=MONTHS, batch_id=f"price {price}")


def append_run(lake: Lake) -> None:
    """Append the windows of one run."""
    lake.append_once(WINDOWS, windows("r1"), batch_id="r1")


def put_snapshots(lake: Lake) -> None:
    """Store two answers."""
    lake.snapshots.put(answer(symbol.encode(), symbol=symbol) for symbol in ("A", "B"))


def die_at(home: Path, write: Callable[..., None], arguments: tuple[object, ...], step: str, occurrence: int) -> None:
    """Write, and kill the own process at the n-th time the write reaches the step."""
    seen = 0

    def on_step(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    write(Lake(home, on_step=on_step), *arguments)


def write_prices_for_ever(home: Path, acknowledged: Path) -> None:
    """Give both months one price after another; append each to a file once the lake acknowledged it."""
    lake = Lake(home)
    price = len(acknowledged.read_text().split())
    while True:
        replace_two_months(lake, float(price))
        with acknowledged.open("a") as file:
            file.write(f"{price}\n")
        price += 1


def write_often(home: Path, month: str, price: float, n_writes: int) -> None:
    """Give one month alternating prices, many times."""
    lake = Lake(home)
    for number in range(n_writes):
        value = price + number / 1000
        lake.replace(BARS, bars(month, price=value), partitions=[month], batch_id=f"{value}")


def hold_the_lock(home: Path, seconds: float) -> None:
    """Start a write and stay in it."""
    replace_two_months(Lake(home, on_step=lambda name: time.sleep(seconds) if name == "locked" else None), 5.0)
