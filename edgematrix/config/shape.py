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
        for schema in self._at(path):
            known.update(dict.fromkeys(schema.get("properties", ())))
        return list(known)

    def examples(self, path: Iterable[Key]) -> list[Any]:
        """Examples of the value at `path`."""
        return [example for schema in self._at(path) for example in schema.get("examples", ())]

    def _at(self, path: Iterable[Key]) -> list[Mapping[str, Any]]:
        found = self._expanded([self._root])
        for key in path:
            found = self._expanded([step for schema in found for step in _steps(schema, key)])
        return found

    def _expanded(self, schemas: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The schemas themselves, and those that they refer to or choose from."""
        waiting = list(schemas)
        found: list[Mapping[str, Any]] = []
        while waiting:
            schema = waiting.pop(0)
            found.append(schema)
            reference = schema.get("$ref")
            if isinstance(reference, str):
                waiting.append(self._definitions.get(reference.rpartition("/")[2], {}))
            for choice in ("anyOf", "oneOf", "allOf"):
                waiting.extend(schema.get(choice, ()))
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
