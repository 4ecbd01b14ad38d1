"""The definition of a feature changes with its code and numbers, and with nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import strategies
from strategies.errors import StrategyError
from strategies.features import FEATURES, Feature, compute, momentum
from strategies.features.definition import FOUNDATION, _parts, definition_hash
from strategies.window import Window
from tests.strategies.feature_markets import market

ROOT = Path(strategies.__path__[0]).parent
PRINT = (
    "import json\nfrom strategies.features import FEATURES\n"
    "from strategies.features.definition import definition_hash\n"
    "print(json.dumps({name: definition_hash(feature) for name, feature in FEATURES.items()}))"
)
RECURSIVE = {"rsi_14", "atr_14", "ema_gap_12_26"}
EDITS = [
    ("trend", "index / index.mean(n) - 1.0", "index / index.mean(n) - 1", {"distance_sma_50", "distance_sma_200"}),
    ("trend", "partial(distance_from_mean, n=50)", "partial(distance_from_mean, n=51)", {"distance_sma_50"}),
    ("trend", '"""Return by what fraction the index', '"""Tells by what fraction the index', set()),
    ("trend", "    return index / index.mean", "    # a remark\n\n    return index / index.mean", set()),
    ("momentum", "Wilder's relative strength index of", "The index of", set()),
    (
        "volatility",
        "return bar_return(window).std(n)",
        "return bar_return(window).std(n, ddof=0)",
        {"volatility_21", "volatility_63", "rank_volatility_63"},
    ),
    ("smoothing", "FORGOTTEN = 1e-8", "FORGOTTEN = 1e-9", RECURSIVE),
    (
        "across",
        "np.where(np.isnan(ordered), 0.0, ordered)",
        "np.where(np.isnan(ordered), -0.0, ordered)",
        {"beta_252", *(name for name in FEATURES if name.startswith("rank_"))},
    ),
    (
        "filed",
        '"shares", False, 400',
        '"shares", False, 300',
        {name for name, feature in FEATURES.items() if "core/fundamentals" in feature.reads},
    ),
    ("../rolling", "return rolling_sum(values, n) / n", "return rolling_sum(values, n) / float(n)", set(FEATURES)),
]


def hashes(root: Path) -> dict[str, str] | None:
    done = subprocess.run([sys.executable, "-c", PRINT], cwd=root, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for package in ("strategies", "engine"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def before(project: Path) -> dict[str, str]:
    found = hashes(project)
    assert found is not None and len(set(found.values())) == len(FEATURES)
    return found


def test_a_definition_is_the_same_in_another_process_and_folder(before: dict[str, str]) -> None:
    assert before == {name: definition_hash(feature) for name, feature in FEATURES.items()}


@pytest.mark.parametrize(("file", "old", "new", "changed"), EDITS, ids=[edit[0] for edit in EDITS])
def test_an_edit_changes_the_features_that_stand_on_it_and_no_others(
    project: Path, before: dict[str, str], file: str, old: str, new: str, changed: set[str]
) -> None:
    path = project / "strategies" / "features" / f"{file}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(old) == 1
    path.write_text(source.replace(old, new), encoding="utf-8")
    try:
        found = hashes(project)
    finally:
        path.write_text(source, encoding="utf-8")
    assert found is not None
    assert {name for name in before if found[name] != before[name]} == changed


@pytest.mark.parametrize("name", FEATURES)
def test_every_file_that_runs_while_a_feature_is_computed_is_part_of_its_definition(name: str) -> None:
    window = market(300, 3, seed=1, missing=0.01)
    ran = functions_run(window, name)
    parts = "\n".join(_parts(FEATURES[name].function))
    unnamed = {
        (file, function)
        for file, function in ran
        if file not in FOUNDATION
        and f"{file[:-3].replace('/', '.')}.{function.partition('.<locals>')[0]}: " not in parts
        and not file.startswith(("strategies/features/__init__.py", "tests/"))
    }
    assert not unnamed
    assert any(file.startswith("strategies/features/") for file, _ in ran)


def functions_run(window: Window, name: str) -> set[tuple[str, str]]:
    """Return the file and the name of each Python function of the project that computing a feature calls."""
    ran: set[tuple[str, str]] = set()

    def note(frame, event, argument) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT) and ".venv" not in path.parts:
            ran.add((path.relative_to(ROOT).as_posix(), frame.f_code.co_qualname))

    compute(window, [name])  # kernels are loaded the first time
    sys.setprofile(note)
    try:
        compute(window, [name])
    finally:
        sys.setprofile(None)
    return ran


class Scale:
    """An object that no code names."""


def test_what_no_code_names_is_refused() -> None:
    with pytest.raises(StrategyError, match="must be one of this project"):
        definition_hash(Feature(np.positive, 0, "x", "d", "s"))  # type: ignore[arg-type]
    with pytest.raises(StrategyError, match="is Scale: a feature is made of functions, numbers and texts"):
        definition_hash(Feature(partial(momentum.reversal, n=Scale()), 0, "x", "d", "s"))  # type: ignore[arg-type]
    with pytest.raises(StrategyError, match="is ndarray"):
        definition_hash(Feature(partial(momentum.reversal, n=np.ones(3)), 0, "x", "d", "s"))  # type: ignore[arg-type]


def test_a_partial_of_a_partial_counts_with_all_its_numbers() -> None:
    features = [
        Feature(partial(partial(momentum.past_return, since=since), until=21), 252, "x", "d", "s")
        for since in (252, 126)
    ]
    assert definition_hash(features[0]) != definition_hash(features[1])
