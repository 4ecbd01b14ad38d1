"""docs/features.md is what the registry says, and its example works."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from strategies.errors import StrategyError
from strategies.features import FEATURES, Feature
from strategies.features.filed import FIGURES
from strategies.features.prices import bar_return
from strategies.features.table import brought_up_to_date
from strategies.panel import Panel, values_of
from strategies.window import Window
from tests.strategies.feature_markets import market

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_the_table_is_the_registry() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == brought_up_to_date(text), "run: python -m strategies.features.table docs/features.md"
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) >= set(FEATURES)


def test_the_figures_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = re.findall(r"^\| [^`|]+ \| `(\w+)` \|$", text, re.MULTILINE)
    assert told == [concept for figure in FIGURES.values() for concept in figure.concepts]
    days = {figure.max_age_days for figure in FIGURES.values()}
    assert all(str(number) in text for number in days)


def test_the_feature_of_the_example_can_be_computed() -> None:
    code = "\n".join(re.findall(r"^   ```python\n(.*?)^   ```", PAGE.read_text(encoding="utf-8"), re.S | re.M)[:2])
    function, row = re.sub(r"^   ", "", code, flags=re.M).split('"upside_share_63": ')
    names: dict[str, object] = {"Window": Window, "Panel": Panel, "Feature": Feature, "bar_return": bar_return}
    exec("from functools import partial\n" + function, names)
    feature = eval(row.strip().rstrip(","), names)
    window = market(200, 2, seed=1)
    found = values_of(feature.function(window))
    gained = values_of(window.total_return) > 0.0
    np.testing.assert_allclose(found[100], gained[38:101].mean(axis=0))
    assert np.isnan(found[: feature.warmup_bars]).all() and not np.isnan(found[feature.warmup_bars :]).any()


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(StrategyError, match="needs the lines <!-- features: begin -->"):
        brought_up_to_date("# Features\n")
