"""Errors of strategies, their specs and their checks.

QuantlakeError
├── StrategyError         a decision function breaks a rule; change the function or its parameters
│   └── ClosedPanelError  it asked a panel for something that could show the future; use the operation named
├── SpecError             a spec file says something unknown or unfit; change the file at the place named
├── LookaheadError        a decision was seen to use the future; its results must not count
└── WalkForwardError      the windows asked for do not fit the bars; ask for shorter ones or load more bars
"""

from __future__ import annotations

from engine.errors import QuantlakeError


class StrategyError(QuantlakeError):
    """A decision function, its parameters or its weights break a documented rule."""


class ClosedPanelError(StrategyError, AttributeError, TypeError):
    """A panel or window was asked for its raw values, or for an operation it does not have.

    It is an AttributeError and a TypeError as well, so that `hasattr`, `copy` and numpy treat the refusal as
    Python's own.
    """


class SpecError(QuantlakeError):
    """A spec, a search space or a parameter is not what its declaration allows."""


class LookaheadError(QuantlakeError):
    """A decision changes when the future is taken away."""


class WalkForwardError(QuantlakeError):
    """The walk-forward asked for does not fit the bars there are."""
