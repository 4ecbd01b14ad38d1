"""Search spaces: their points, their middle, and what lies in them."""

from __future__ import annotations

import math

import pytest

from strategies.errors import SpecError
from strategies.registry import Parameter
from strategies.search import Choices, Range, contains, grid, midpoint, parse_domain, size
from strategies.spec import load_spec, spec_names

SPACE = {"n": Range(5, 20, 5), "x": Range(0.1, 0.5, 0.1), "kind": Choices(("a", "b"))}


def test_the_grid_holds_every_point_once_the_last_name_changing_fastest():
    points = grid(SPACE)
    assert len(points) == size(SPACE) == 4 * 5 * 2
    assert points[:3] == [
        {"n": 5, "x": 0.1, "kind": "a"},
        {"n": 5, "x": 0.1, "kind": "b"},
        {"n": 5, "x": 0.2, "kind": "a"},
    ]
    assert points[-1] == {"n": 20, "x": 0.5, "kind": "b"}
    assert len({tuple(point.values()) for point in points}) == len(points)
    assert [point["x"] for point in points[:10:2]] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert all(contains(SPACE, point) for point in points)


def test_the_high_end_is_left_out_where_no_step_meets_it():
    assert Range(1, 10, 4).values == (1, 5, 9)
    assert 10 not in Range(1, 10, 4)


def test_an_empty_space_has_one_point():
    assert grid({}) == [{}]
    assert size({}) == 1
    assert contains({}, {})


@pytest.mark.parametrize(
    ("point", "is_in"),
    [
        ({"n": 10, "x": 0.3, "kind": "a"}, True),
        ({"n": 10, "x": 0.1 + 0.2, "kind": "a"}, True),
        ({"n": 11, "x": 0.3, "kind": "a"}, False),
        ({"n": 10.0, "x": 0.3, "kind": "a"}, False),
        ({"n": 25, "x": 0.3, "kind": "a"}, False),
        ({"n": 10, "x": 0.31, "kind": "a"}, False),
        ({"n": 10, "x": True, "kind": "a"}, False),
        ({"n": 10, "x": 0.3, "kind": "c"}, False),
        ({"n": 10, "x": 0.3}, False),
        ({"n": 10, "x": 0.3, "kind": "a", "y": 1}, False),
    ],
)
def test_a_point_is_in_the_space_if_each_value_is_allowed(point, is_in):
    assert contains(SPACE, point) is is_in


def test_the_midpoint_is_in_the_space():
    assert midpoint(SPACE) == {"n": 10, "x": 0.3, "kind": "a"}
    assert Range(0.0, 1.0).midpoint == 0.5
    assert Range(1, 10, 4).midpoint == 5
    for name in spec_names():
        search = load_spec(name).search
        assert contains(search, midpoint(search))


def test_a_range_without_a_step_has_no_grid_but_holds_all_between():
    space = {"x": Range(0.0, 1.0)}
    assert math.isinf(size(space))
    assert contains(space, {"x": 0.123})
    assert not contains(space, {"x": 1.0001})
    with pytest.raises(SpecError, match=r"x: a range from 0.0 to 1.0 has no grid without a step"):
        grid(space)


def test_a_grid_too_large_to_try_is_refused():
    with pytest.raises(SpecError, match="the grid has 1,002,001 points, at most 1,000,000 are tried"):
        grid({"a": Range(0, 1000, 1), "b": Range(0, 1000, 1)})


def test_domains_follow_the_kind_of_the_parameter():
    n, x = Parameter("n", int, 1), Parameter("x", float, 1.0)
    flag, text = Parameter("flag", bool, True), Parameter("text", str, "a")
    assert parse_domain(n, {"low": 1, "high": 3}) == Range(1, 3, 1)
    assert parse_domain(x, {"low": 1, "high": 3}) == Range(1.0, 3.0, None)
    assert parse_domain(x, {"low": 1, "high": 3, "step": 1}) == Range(1.0, 3.0, 1.0)
    assert parse_domain(x, {"choices": [1, 2.5]}) == Choices((1.0, 2.5))
    assert parse_domain(flag, {"choices": [True, False]}) == Choices((True, False))
    with pytest.raises(SpecError, match=r"must be {choices: \[...\]}, since flag is bool"):
        parse_domain(flag, {"low": 0, "high": 1})
    with pytest.raises(SpecError, match="since text is str"):
        parse_domain(text, {"low": "a", "high": "b"})
    assert 1 not in Choices((True, False))


@pytest.mark.parametrize("domain", [Range(1, 9, 2), Range(0.5, 2.0), Range(0.5, 2.0, 0.25), Choices((1, 5))])
def test_a_domain_is_written_as_it_is_read(domain):
    kind = type(domain.values[0] if isinstance(domain, Choices) else domain.low)
    assert parse_domain(Parameter("p", kind, kind(1)), domain.to_dict()) == domain
