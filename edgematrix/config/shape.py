"""What may stand where in a file, read off the JSON Schema of its model: the keys that an error can suggest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgematrix.config.yaml_position import Key

__all__ = ["Shape"]


class Shape:
    """The schema of a document, walked along a path."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._definitions: Mapping[str, Any] = schema.get("$defs", {})

    def keys(self, path: Iterable[Key]) -> list[str]:
        """The keys that are known to the mapping at `path`, in the order of their definition."""
        known: dict[str, None] = {}
        for schema, _ in self._at(path):
            known.update(dict.fromkeys(schema.get("properties", ())))
        return list(known)

    def models(self, path: Iterable[Key]) -> set[str]:
        """The names of the models that may stand at `path`."""
        return {name for _, name in self._at(path) if name}

    def examples(self, path: Iterable[Key]) -> list[Any]:
        """Examples of the value at `path`."""
        return [example for schema, _ in self._at(path) for example in schema.get("examples", ())]

    def _at(self, path: Iterable[Key]) -> list[tuple[Mapping[str, Any], str]]:
        found = self._expanded([self._root])
        for key in path:
            found = self._expanded([step for schema, _ in found for step in _steps(schema, key)])
        return found

    def _expanded(self, schemas: list[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
        """The schemas themselves, and those that they refer to or choose from."""
        waiting = [(schema, "") for schema in schemas]
        found: list[tuple[Mapping[str, Any], str]] = []
        while waiting:
            schema, name = waiting.pop(0)
            found.append((schema, name))
            reference = schema.get("$ref")
            if isinstance(reference, str):
                name = reference.rpartition("/")[2]
                waiting.append((self._definitions.get(name, {}), name))
            for choice in ("anyOf", "oneOf", "allOf"):
                waiting.extend((part, "") for part in schema.get(choice, ()))
        return found


def _steps(schema: Mapping[str, Any], key: Key) -> list[Mapping[str, Any]]:
    if isinstance(key, int):
        items = schema.get("items")
        return [items] if isinstance(items, dict) else []
    properties = schema.get("properties", {})
    if key in properties:
        return [properties[key]]
    rest = schema.get("additionalProperties")
    return [rest] if isinstance(rest, dict) else []
