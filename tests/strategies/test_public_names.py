"""The package's front door: its names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import strategies


def test_the_public_names_are_sorted_and_all_there():
    assert strategies.__all__ == sorted(strategies.__all__, key=lambda name: (name[0].islower(), name))
    for name in strategies.__all__:
        assert getattr(strategies, name) is not None
    assert set(strategies.__all__) <= set(dir(strategies))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Windw'"):
        strategies.Windw  # noqa: B018


def test_importing_the_package_and_reading_specs_does_not_load_what_is_heavy():
    code = (
        "import sys, strategies; assert 'numpy' not in sys.modules; "
        "[strategies.load_spec(name) for name in strategies.spec_names()]; "
        "print([name for name in ('numba', 'pandas', 'scipy', 'dagster', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
