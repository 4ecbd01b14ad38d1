"""Turns the plain values of a spec file into the fields of a spec, refusing whatever does not fit.

Every error says the file, the line and the key path: `ma_cross.yaml, line 7: costs.comission_bps is unknown;
did you mean 'commission_bps'?`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from engine.account import Account
from engine.costs import Costs
from engine.errors import QuantlakeError, nearest
from engine.execution import Execution
from engine.risk import Risk
from strategies.errors import SpecError, StrategyError
from strategies.registry import Strategy, Value, get_strategy
from strategies.search import Choices, Range, parse_domain
from strategies.walk_forward import WalkForwardSettings

_KEYS: dict[str, Any] = {
    "strategy": str,
    "version": int,
    "description": str,
    "universe": str,
    "start": dt.date,
    "end": dt.date,
    "parameters": dict,
    "account": Account,
    "costs": Costs,
    "execution": Execution,
    "risk": Risk,
    "search": dict,
    "metric": str,
    "walk_forward": WalkForwardSettings,
    "seed": int,
    "benchmark": str,
}
_REQUIRED = ("strategy", "universe")
_NULLABLE = ("start", "end", "benchmark")
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    dt.date: "a date",
    list: "a list",
}
_KINDS = {"int": int, "float": float, "bool": bool, "str": str, "Tiers": list}
_EXPONENT = re.compile(r"[-+]?[0-9]+e[-+]?[0-9]+", re.IGNORECASE)
_SETTINGS = (Account, Costs, Execution, Risk, WalkForwardSettings)
Settings = TypeVar("Settings", Account, Costs, Execution, Risk, WalkForwardSettings)
Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads one file's values; knows its name and the line of each key."""

    source: str
    lines: Mapping[Path, int]

    def spec(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a spec."""
        self._known((), values, _KEYS)
        for key in _REQUIRED:
            if values.get(key) is None:
                self._fail((), f"{key} must be given")
        fields: dict[str, Any] = {}
        for key, value in values.items():
            kind = _KEYS[key]
            if value is None and key in _NULLABLE:
                fields[key] = None
            elif kind in _SETTINGS:
                fields[key] = self._settings((key,), value, kind)
            elif kind is not dict:
                fields[key] = self._value((key,), value, kind)
        strategy = self._strategy(fields["strategy"])
        fields["parameters"] = self._parameters(strategy, values.get("parameters"))
        fields["search"] = self._search(strategy, values.get("search"))
        return fields

    def _strategy(self, name: str) -> Strategy:
        try:
            return get_strategy(name)
        except StrategyError as error:
            self._fail(("strategy",), str(error))

    def _parameters(self, strategy: Strategy, values: Any) -> dict[str, Value]:
        parameters = self._mapping(("parameters",), values)
        for name, value in parameters.items():
            path = ("parameters", name)
            self._known(("parameters",), {name: value}, strategy.parameters)
            parameters[name] = self._value(path, value, strategy.parameters[name].kind)
        return strategy.complete(parameters)

    def _search(self, strategy: Strategy, values: Any) -> dict[str, Range | Choices]:
        space = {}
        for name, domain in self._mapping(("search",), values).items():
            self._known(("search",), {name: domain}, strategy.parameters)
            try:
                space[name] = parse_domain(strategy.parameters[name], domain)
            except SpecError as error:
                self._fail(("search", name), str(error))
        return space

    def _settings(self, path: Path, value: Any, kind: type[Settings]) -> Settings:
        declared = {field.name: _KINDS[str(field.type)] for field in dataclasses.fields(kind)}
        mapping = self._mapping(path, value)
        self._known(path, mapping, declared)
        given = {key: self._value((*path, key), inner, declared[key]) for key, inner in mapping.items()}
        try:
            return kind(**given)
        except QuantlakeError as error:
            self._fail(path, str(error))

    def _mapping(self, path: Path, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._fail(path, f"{'.'.join(path)} must be a mapping of names to values, was {value!r}")
        return dict(value)

    def _value(self, path: Path, value: Any, kind: Any) -> Any:
        """Return a value of exactly this kind; the only conversions are 1 to 1.0 and ISO text to a date."""
        if kind is float and type(value) is int:
            return float(value)
        if kind is dt.date and isinstance(value, str):
            try:
                return dt.date.fromisoformat(value)
            except ValueError:
                pass
        if type(value) is kind:
            return value
        hint = ""
        if kind is str and isinstance(value, bool | int | float | dt.date):
            hint = ": quote it, since YAML reads unquoted ON, NO, Y, dates and digits as something else"
        elif kind in (int, float) and isinstance(value, str):
            hint = ": write 1.0e-3 for 1e-3" if _EXPONENT.fullmatch(value) else ": take the quotes away"
        self._fail(path, f"{'.'.join(path)} must be {_WORDS[kind]}, was {value!r}{hint}")

    def _known(self, path: Path, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        for key in values:
            if key not in known:
                self._fail((*path, key), f"{'.'.join((*path, key))} is unknown{nearest(key, known)}")

    def _fail(self, path: Path, problem: str) -> NoReturn:
        line = f", line {self.lines[path]}" if path in self.lines else ""
        raise SpecError(f"{self.source}{line}: {problem}")
