"""Policies: compiled bar functions."""

from __future__ import annotations


class Policy:
    """A compiled bar function."""
