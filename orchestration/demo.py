"""The demo: the sample's months, then every built-in spec, through a real Dagster instance."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from engine.errors import QuantlakeError

Announce = Callable[[str, float | None], None]
DATA = ("raw/sample", "core/daily_bars", "core/corporate_actions", "core/universe", "features/daily")


class DemoError(QuantlakeError):
    """The settings in force do not let the demo run."""


def run_demo(announce: Announce) -> dict[str, Any]:
    """Materialize the sample and all specs; return the headline of each and where the time went.

    Parameters
    ----------
    announce : called with a step's name and None when it begins, and with its seconds when it ends.
    """
    started = time.perf_counter()
    steps: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        announce(name, None)
        begun = time.perf_counter()
        value = work()
        steps[name] = time.perf_counter() - begun
        announce(name, steps[name])
        return value

    from assets.settings import settings

    config = settings()
    if "sample" not in config.sources:
        raise DemoError(
            "the demo needs the embedded sample among the sources"
            f" (they are {', '.join(config.sources)}): unset them, or choose another home"
        )
    instance = step("preparing Dagster and MLflow", lambda: _prepare(config.home))
    with instance:
        first, last = _sample_months()
        step(
            f"prices, actions, universes and features of {first} to {last}",
            lambda: _materialize(instance, DATA, partition_range=(first, last)),
        )
        runs = [_research(instance, spec, step) for spec in _specs()]
    return {"runs": runs, "steps": steps, "seconds": time.perf_counter() - started, "home": str(config.home)}


def _prepare(home: Any) -> Any:
    from assets.tracking import Tracking
    from orchestration.instance import open_instance

    instance = open_instance(home)
    Tracking(home).initialise()
    import orchestration.definitions  # noqa: F401 - its import is part of what this step costs

    return instance


def _sample_months() -> tuple[str, str]:
    from lakehouse.calendar import month_key
    from lakehouse.sources import get_source

    answers = get_source("sample").fetch([], date(1990, 1, 1), date(2100, 1, 1), as_of=datetime.now(UTC))
    answer = next(iter(answers))
    return month_key(answer.first_session), month_key(answer.last_session)


def _specs() -> list[str]:
    from strategies.spec import spec_names

    return spec_names()


def _research(instance: Any, spec: str, step: Callable[[str, Callable[[], Any]], Any]) -> dict[str, Any]:
    step(f"{spec}: backtest", lambda: _materialize(instance, ["research/backtest"], partition=spec))
    step(f"{spec}: sweep", lambda: _materialize(instance, ["research/sweep"], partition=spec))
    first, last = _window_years(spec)
    step(
        f"{spec}: walk-forward {first} to {last}",
        lambda: _materialize(
            instance, ["research/walk_forward"], partition_range=(f"{spec}|{first}", f"{spec}|{last}")
        ),
    )
    step(f"{spec}: report", lambda: _materialize(instance, ["research/report"], partition=spec))
    return _headline(spec)


def _materialize(instance: Any, selection: Any, **partitions: Any) -> Any:
    from orchestration.materialize import materialize

    return materialize(instance, selection, **partitions)


def _window_years(spec: str) -> tuple[str, str]:
    from assets.research.market import INPUTS, load_market
    from assets.research.walk_forward import plan_windows
    from strategies.spec import load_spec

    lake = _lake()
    loaded = load_spec(spec)
    windows = plan_windows(load_market(lake, loaded, lake.pins(INPUTS)), loaded)
    return windows[0].key, windows[-1].key


def _headline(spec: str) -> dict[str, Any]:
    rows = _lake().scan("research/runs", where=[("spec", "=", spec), ("kind", "=", "walk_forward")]).to_pylist()
    row = max(rows, key=lambda item: item["created_at"])
    return {
        "spec": spec,
        "sharpe": row["sharpe"],
        "sharpe_error": row["sharpe_error"],
        "deflated_sharpe": row["deflated_sharpe"],
        "max_drawdown": row["max_drawdown"],
        "trials": row["n_trials"],
        "run_id": row["run_id"],
        "hash": row["result_hash"],
    }


def _lake() -> Any:
    from assets.settings import settings
    from lakehouse.lake import Lake

    return Lake(settings().home)
