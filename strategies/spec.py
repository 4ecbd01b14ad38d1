"""A spec: everything one study is made of, in one YAML file, checked before anything runs.

    strategy: ma_cross
    universe: sample
    parameters: {fast: 20, slow: 100}
    costs: {commission_per_share: 0.005, commission_min: 1.0}
    search:
      fast: {low: 5, high: 50, step: 5}

An unknown key, at any depth, is an error that names the file, the line and the nearest right key; nothing is
guessed, converted or dropped. What is left out has its default; `start` and `end` are half-open.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from engine.account import Account
from engine.costs import Costs
from engine.errors import nearest
from engine.execution import Execution
from engine.risk import Risk
from strategies.errors import SpecError, StrategyError
from strategies.registry import Value, get_strategy
from strategies.search import Choices, Range
from strategies.spec_reader import Reader
from strategies.spec_yaml import read_yaml
from strategies.walk_forward import WalkForwardSettings

SPECS = Path(__file__).resolve().parent / "specs"
METRICS = (
    "sharpe",
    "sortino",
    "calmar",
    "cagr",
    "total_return",
    "omega",
    "tail_ratio",
    "max_drawdown",
    "cvar_95",
)
# What specs have always said. Settings that came later are written only where they differ from their defaults,
# so that a spec recorded before them keeps its text and its hash.
_ALWAYS_SAID = {
    "account": ("cash", "leverage", "allow_short"),
    "costs": (
        "commission_bps",
        "commission_fixed",
        "commission_per_share",
        "commission_min",
        "commission_max_rate",
        "spread_bps",
        "slippage_bps",
    ),
    "execution": ("timing", "lot_size", "cash_policy"),
    "risk": (),
    "walk_forward": ("train_years", "anchored", "purge_bars", "n_trials"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Spec:
    """One study: what decides, over what, at which costs, and what a search may try.

    Parameters
    ----------
    name : the file's stem; lower case letters, digits and underscores, since it names partitions
    strategy, version : a strategy of the library, and the version of this spec its author counts, from 1
    description : text for people; no part of `hash`
    universe : name of a point-in-time universe
    start, end : first session, and the one after the last; None: as far as the data goes
    parameters : all of the strategy's parameters, with defaults filled in
    account, costs, execution, risk : the engine's settings
    search : parameter -> Range or Choices; what is not named keeps its value
    metric, seed : what a search maximises, and where chance starts
    walk_forward : WalkForwardSettings
    benchmark : symbol to compare with, None for none
    """

    name: str
    strategy: str
    universe: str
    version: int = 1
    description: str = ""
    start: dt.date | None = None
    end: dt.date | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    account: Account = Account()  # noqa: RUF009 - frozen
    costs: Costs = Costs()  # noqa: RUF009 - frozen
    execution: Execution = Execution()  # noqa: RUF009 - frozen
    risk: Risk = Risk()  # noqa: RUF009 - frozen
    search: Mapping[str, Range | Choices] = field(default_factory=dict)
    metric: str = "sharpe"
    walk_forward: WalkForwardSettings = WalkForwardSettings()  # noqa: RUF009 - frozen
    seed: int = 1
    benchmark: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        try:
            parameters = get_strategy(self.strategy).complete(self.parameters)
        except StrategyError as error:
            raise SpecError(f"{self.name}: {error}") from None
        for name in self.search:
            if name not in parameters:
                raise SpecError(f"{self.name}: search.{name} is no parameter{nearest(name, parameters)}")
        if self.metric not in METRICS:
            raise SpecError(f"{self.name}: {self.metric!r} is no metric to maximise{nearest(self.metric, METRICS)}")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise SpecError(f"{self.name}: start must be before end, was {self.start} against {self.end}")
        for name, lowest in {"version": 1, "seed": 0}.items():
            if getattr(self, name) < lowest:
                raise SpecError(f"{self.name}: {name} must be at least {lowest}, was {getattr(self, name)}")
        object.__setattr__(self, "parameters", MappingProxyType(parameters))
        object.__setattr__(self, "search", MappingProxyType(dict(self.search)))

    def __reduce__(self) -> tuple[Callable[[str, str], Spec], tuple[str, str]]:
        return Spec.from_yaml, (self.to_yaml(), self.name)

    @classmethod
    def from_yaml(cls, text: str, name: str) -> Spec:
        """Return the spec a YAML text holds.

        Raises
        ------
        SpecError : with the file, the line, the key and, for a misspelt one, the nearest right one
        """
        values, lines = read_yaml(text, f"{name}.yaml")
        return cls(name=name, **Reader(f"{name}.yaml", lines).spec(values))

    @property
    def hash(self) -> str:
        """The sha256 (hex) of all but the description; key order, comments and defaults do not matter."""
        content = {"name": self.name, **self.to_dict()}
        del content["description"]
        text = json.dumps(_plain(content), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as a spec file says it: settings with their defaults, the rarer ones where they are used."""
        flat = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "name"}
        nested = {name: _settings(getattr(self, name), said) for name, said in _ALWAYS_SAID.items()}
        search = {name: domain.to_dict() for name, domain in self.search.items()}
        said = {**flat, **nested, "parameters": dict(self.parameters), "search": search}
        return {name: value for name, value in said.items() if name != "risk" or value}

    def to_yaml(self) -> str:
        """Return YAML text that `from_yaml` reads back as an equal spec."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=110)

    def with_parameters(self, parameters: Mapping[str, Value]) -> Spec:
        """Return this spec with some parameters replaced; unknown or unfit ones raise SpecError."""
        return dataclasses.replace(self, parameters={**self.parameters, **parameters})


def spec_names(folder: Path | None = None) -> list[str]:
    """Return the names of all specs in a folder, sorted; by default the built-in ones."""
    return sorted(path.stem for path in (folder or SPECS).glob("*.yaml"))


def load_spec(path_or_name: str | Path, folder: Path | None = None) -> Spec:
    """Return a spec by name (from the folder, by default the built-in ones) or by the path of its file.

    Raises
    ------
    SpecError : there is no such spec (the nearest is named), or the file breaks a rule
    """
    path = Path(path_or_name)
    if path.suffix not in (".yaml", ".yml"):
        check_name(str(path_or_name))
        path = (folder or SPECS) / f"{path_or_name}.yaml"
        if not path.is_file():
            raise SpecError(f"there is no spec {str(path_or_name)!r}{nearest(str(path_or_name), spec_names(folder))}")
    check_name(path.stem)
    try:
        return Spec.from_yaml(path.read_text(encoding="utf-8"), path.stem)
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path.name} must be UTF-8 text") from None


def check_name(name: str) -> str:
    """Return the name of a spec, else raise SpecError: it becomes a partition key and a folder."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            "a spec's name (its file's) must be 1 to 64 lower case letters, digits and underscores, a letter "
            f"first, was {name!r}"
        )
    return name


def _settings(settings: Any, always_said: tuple[str, ...]) -> dict[str, Any]:
    """Return settings as a spec file says them, in the order of their fields."""
    said = {}
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if item.name in always_said or value != item.default:
            said[item.name] = [list(pair) for pair in value] if isinstance(value, tuple) else value
    return said


def _plain(value: Any) -> Any:
    """Return what JSON can say exactly: dates as text, infinity by name."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float) and math.isinf(value):
        return "inf"
    return value
