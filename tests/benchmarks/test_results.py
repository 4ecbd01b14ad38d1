"""Rounds, medians and ratios of the benchmark, and what is written of them."""

from __future__ import annotations

import json

import pytest

from benchmarks import limits, report
from benchmarks.contests import contests
from benchmarks.results import Known, Row, row
from benchmarks.runs import VECTORBT, VECTORBT_KERNELS
from benchmarks.timing import Sample, affordable, in_turn

SPEEDS = limits.Machine(20.0, 200.0, 0.5, 0.2, 5.0, 400.0, 50.0, 3.0)
KNOWN = {
    "vectorbt a": Known(VECTORBT),
    "vectorbt b": Known(VECTORBT),
    "vectorbt kernels": Known(VECTORBT_KERNELS),
    "other": Known("other", "is not quite the same", difference=0.01),
}


def samples(*seconds: float) -> list[Sample]:
    return [Sample(value, value / 2.0) for value in seconds]


def measured() -> Row:
    theirs = {
        "vectorbt a": samples(8.0, 12.0, 10.0),
        "vectorbt b": samples(6.0),
        "vectorbt kernels": samples(4.0, 4.0, 4.0),
        "other": samples(3.0, 3.0, 3.0),
    }
    return row("W", samples(2.0, 1.0, 3.0), theirs, KNOWN)


def test_contenders_take_turns_and_the_slow_ones_leave_early() -> None:
    order: list[str] = []

    def measure(name: str):
        def taken(number: int) -> Sample:
            order.append(f"{name}{number}")
            return Sample(1.0, 1.0)

        return taken

    found = in_turn({name: measure(name) for name in "abc"}, {"a": 3, "b": 1, "c": 2})
    assert order == ["a0", "b0", "c0", "c1", "a1", "a2"]
    assert {name: len(taken) for name, taken in found.items()} == {"a": 3, "b": 1, "c": 2}


@pytest.mark.parametrize(("seconds", "rounds"), [(0.001, 40), (1.0, 8), (100.0, 1)])
def test_rounds_are_those_the_budget_pays(seconds: float, rounds: int) -> None:
    assert affordable(seconds, 40, budget=8.0) == rounds


def test_ratios_are_medians_of_common_rounds_and_compare_with_the_fastest_of_a_family() -> None:
    found = measured()
    assert found.seconds == 2.0
    assert found.cpu_seconds == 1.0
    assert (found.vectorbt, found.ratio_vectorbt) == ("vectorbt b", 3.0)
    assert found.ratio_vectorbt_kernels == 2.0
    assert (found.best_peer, found.ratio_best_peer) == ("other", 1.5)
    assert [peer.name for peer in found.peers] == ["other", "vectorbt kernels", "vectorbt b", "vectorbt a"]


def test_a_row_without_peers_has_no_ratios() -> None:
    found = row("W", samples(1.0))
    assert found.ratio_vectorbt is None
    assert found.ratio_best_peer is None
    assert found.peers == []


def test_results_are_written_with_their_ratios(tmp_path) -> None:
    facts = report.machine(0.0, ["raptorbt"], {"add_ns": 0.5})
    report.write_json(tmp_path / "results.json", [measured()], facts, "2026-01-01", {})
    (found,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {"workload", "seconds", "ratio_vectorbt", "ratio_best_peer", "peak_mib"} <= set(found)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n")
    report.write_markdown(page, report.markdown([measured()], facts, "2026-01-01"))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "Not installed: raptorbt." in text
    assert "1.0%: is not quite the same" in text


@pytest.mark.parametrize("contest", contests(small=True), ids=lambda contest: contest.name)
def test_every_workload_has_a_floor_and_an_amount(contest) -> None:
    case = contest.make(contest.seeds[0])
    assert contest.amount(case) > 0.0
    assert contest.limit is not None
    assert 0.0 < contest.limit(SPEEDS, case) < 0.1


def test_a_floor_grows_with_the_work_and_falls_with_the_speed() -> None:
    from dataclasses import replace

    from benchmarks.cases import crossing_case

    short, long = crossing_case(1, 600), crossing_case(1, 2_400)
    assert limits.crossing(SPEEDS, long) > 2.0 * limits.crossing(SPEEDS, short)
    faster = replace(SPEEDS, add_ns=0.25, divide_ns=0.1)
    assert limits.crossing(faster, long) < limits.crossing(SPEEDS, long)
