"""Reads the YAML of a spec into plain values, each with the line it stands on, refusing what YAML guesses or
hides.

Refused, with file, key and line: keys that stand twice, aliases and merge keys, tags, keys that are no text
(`on:` is True to YAML), and files over 64 kB.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import yaml

from strategies.errors import SpecError

Path = tuple[str, ...]
_LARGEST = 64 * 1024
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_SCALARS = (str, bool, int, float, dt.date, type(None))


class _Loader(yaml.SafeLoader):
    """The safe loader without aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not used in specs", problem_mark=mark)
        return super().compose_node(parent, index)


def read_yaml(text: str, source: str) -> tuple[dict[str, Any], dict[Path, int]]:
    """Return the mapping a YAML text holds, and the line of each key by its path.

    Raises
    ------
    SpecError : the text is no YAML mapping, or one of the refusals above
    """
    if len(text.encode()) > _LARGEST:
        raise SpecError(f"{source}: a spec must not exceed {_LARGEST} bytes, has {len(text.encode())}")
    lines: dict[Path, int] = {}
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            values = None if node is None else _read(loader, node, (), lines, source)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SpecError(f"{source}{line}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{source}: not valid YAML: {error}") from None
    except RecursionError:
        raise SpecError(f"{source}: nested too deeply") from None
    if not isinstance(values, dict):
        raise SpecError(f"{source}: a spec must be a mapping of keys to values, was {type(values).__name__}")
    return values, lines


def _read(loader: _Loader, node: yaml.Node, path: Path, lines: dict[Path, int], source: str) -> Any:
    if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
        line = node.start_mark.line + 1
        raise SpecError(f"{source}, line {line}: {'.'.join(path)} must be plain YAML, was tagged {node.tag}")
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines, source)
    if isinstance(node, yaml.SequenceNode):
        return [_read(loader, item, (*path, str(i)), lines, source) for i, item in enumerate(node.value)]
    value = loader.construct_object(node, deep=True)
    if not isinstance(value, _SCALARS):
        line = node.start_mark.line + 1
        raise SpecError(f"{source}, line {line}: {'.'.join(path)} must be plain YAML, was tagged {node.tag}")
    return value


def _mapping(
    loader: _Loader, node: yaml.MappingNode, path: Path, lines: dict[Path, int], source: str
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
            written = getattr(key_node, "value", "?")
            raise SpecError(f"{source}, line {line}: a key must be text, {written!r} is not: quote it")
        key = str(key_node.value)
        if key in mapping:
            first = lines[(*path, key)]
            where = ".".join((*path, key))
            raise SpecError(f"{source}, line {line}: {where} stands twice, first on line {first}")
        lines[(*path, key)] = line
        mapping[key] = _read(loader, value_node, (*path, key), lines, source)
    return mapping
