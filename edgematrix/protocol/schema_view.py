"""What a JSON Schema says, as far as it is understood: a schema as a list of alternatives, its types, its given values.

Nothing here judges whether it is a schema: what is malformed says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "View", "alternatives_of", "branches_of", "conjuncts_of", "items_of", "listed", "may_be", "names_of", "parts_of", "properties_of",
    "sizes_of", "told", "types_of", "values_of",
]  # fmt: skip

_DEPTH_MAX = 16
_ALTERNATIVES_MAX = 100
_TOLD_MAX = 5

_WORDS = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "nothing",
}
_ANNOTATIONS = frozenset({"$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description", "examples", "title"})


class View(NamedTuple):
    """A schema, and the document that its `$ref`s point into."""

    schema: object
    root: object

    def at(self, schema: object) -> View:
        """Another schema of the same document."""
        return View(schema, self.root)

    def mapping(self) -> Mapping[str, Any]:
        """What it says by key; nothing where it is true, false, or malformed."""
        return self.schema if isinstance(self.schema, Mapping) else {}


def conjuncts_of(view: View) -> list[View]:
    """Schemas that all hold at once: what `$ref` and `allOf` name, and what stands beside them. A `$ref` that is not found stays."""
    found: list[View] = []
    waiting = [view]
    for _ in range(_ALTERNATIVES_MAX):
        if not waiting:
            break
        one = waiting.pop(0)
        schema = one.schema
        if not isinstance(schema, Mapping):
            found.append(one)
            continue
        target = _target(one)
        if target is not None:
            waiting.append(target)
        waiting.extend(parts_of(one, "allOf"))
        resolved = ("$ref", "allOf") if target is not None else ("allOf",)
        beside = {key: part for key, part in schema.items() if key not in resolved}
        if beside.keys() - _ANNOTATIONS or len(beside) == len(schema):
            found.append(one.at(beside))
    return [*found, *waiting]


def alternatives_of(view: View, depth: int = 0) -> list[View] | None:
    """Schemas of one type (or of given values) each, of which every value of `view` has one; None where that is not understood."""
    merged = None if depth > _DEPTH_MAX else _merged(conjuncts_of(view))
    if merged is None:
        return None
    schema = merged.schema
    if not isinstance(schema, Mapping):
        return [] if schema is False else [merged]
    for key in ("anyOf", "oneOf"):
        branches = parts_of(merged, key)
        if not branches:
            continue
        beside = merged.at({name: part for name, part in schema.items() if name != key})
        found: list[View] = []
        for branch in branches:
            both = _merged([beside, *conjuncts_of(branch)])
            some = None if both is None or len(found) > _ALTERNATIVES_MAX else alternatives_of(both, depth + 1)
            if some is None:
                return None
            found.extend(some)
        return found
    values = values_of(merged)
    if values is not None:
        return [merged.at({"enum": values})] if values else []
    kinds = schema.get("type")
    return [merged.at({**schema, "type": kind}) for kind in kinds] if isinstance(kinds, list) else [merged]


def _merged(parts: list[View]) -> View | None:
    """Schemas that hold at once as one; None where one says more of what another says."""
    if any("$ref" in part.mapping() or "allOf" in part.mapping() for part in parts):
        return None  # it leads nowhere, or in a circle
    if len(parts) == 1:
        return parts[0]
    merged: dict[str, Any] = {}
    for part in parts:
        if part.schema is True:
            continue
        if part.schema is False:
            return part
        for key, value in part.mapping().items():
            if key in _ANNOTATIONS or merged.get(key) == value:
                continue
            if key == "required" and isinstance(value, list):
                merged[key] = [*merged.get(key, []), *value]
            elif key in merged:
                return None
            else:
                merged[key] = value
    speakers = [part for part in parts if {"properties", "additionalProperties"} & part.mapping().keys()]
    return None if "additionalProperties" in merged and len(speakers) > 1 else parts[0].at(merged)


def _target(view: View) -> View | None:
    """What `$ref` names, if it stands in the same document."""
    reference = view.mapping().get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: object = view.root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return view.at(found)


def branches_of(view: View) -> list[View]:
    """The alternatives as far as they are understood; for words."""
    return alternatives_of(view) or [view]


def parts_of(view: View, key: str) -> list[View]:
    """The schemas that are listed under a key."""
    parts = view.mapping().get(key)
    return [view.at(part) for part in parts] if isinstance(parts, list) else []


def names_of(view: View, key: str) -> list[str]:
    """The texts that are listed under a key."""
    names = view.mapping().get(key)
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def properties_of(view: View) -> Mapping[str, object]:
    """The schemas of the properties that are named."""
    properties = view.mapping().get("properties")
    return properties if isinstance(properties, Mapping) else {}


def items_of(view: View) -> tuple[list[View], View | None]:
    """The schemas of the first items, and that of the others."""
    rest = view.mapping().get("items")
    return parts_of(view, "prefixItems"), None if rest is None or isinstance(rest, list) else view.at(rest)


def sizes_of(view: View) -> tuple[int, int | None]:
    """How many items there are at least, and at most."""
    least, most = view.mapping().get("minItems"), view.mapping().get("maxItems")
    return least if isinstance(least, int) else 0, most if isinstance(most, int) and most >= 0 else None


def types_of(view: View) -> frozenset[str]:
    """The types that a schema names; empty where it names none."""
    kinds = view.mapping().get("type")
    return frozenset(kind for kind in ([kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else ()) if kind in _WORDS)


def values_of(view: View) -> list[object] | None:
    """The values that `enum` and `const` leave, as far as they are of the schema's type; None where neither stands there."""
    schema = view.mapping()
    values = schema.get("enum")
    if "const" in schema:
        values = [schema["const"]] if not isinstance(values, list) or any(_same(schema["const"], value) for value in values) else []
    if not isinstance(values, list):
        return None
    kinds = types_of(view)
    return [value for value in values if not kinds or _is_of(value, kinds)]


def may_be(given: View, wanted: View) -> bool:
    """Whether types and given values leave anything that is both."""
    kinds, asked = types_of(given), types_of(wanted)
    offered, allowed = values_of(given), values_of(wanted)
    if offered is not None:
        fitting = [value for value in offered if not asked or _is_of(value, asked)]
        return any(allowed is None or any(_same(value, other) for other in allowed) for value in fitting)
    if allowed is not None:
        return not kinds or any(_is_of(value, kinds) for value in allowed)
    if not kinds or not asked or kinds & asked:
        return True
    return {"integer", "number"} <= kinds | asked


def _is_of(value: object, kinds: frozenset[str]) -> bool:
    kind = _type_of(value)
    return kind in kinds or (kind == "integer" and "number" in kinds)


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "integer" if value == value // 1 else "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _same(one: object, other: object) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    return _type_of(one) == _type_of(other) and one == other


def told(views: list[View]) -> str:
    """What the values of any of these schemas are, in words."""
    words: dict[str, None] = {}
    for view in views:
        values = values_of(view)
        if values is not None:
            words |= dict.fromkeys(repr(value)[:60] for value in values)
        elif types_of(view):
            words |= dict.fromkeys(_WORDS[kind] for kind in sorted(types_of(view)))
        else:
            words["any value" if view.schema is not False else "no value"] = None
    return listed(list(words))


def listed(words: list[str]) -> str:
    """Words as people list alternatives."""
    if len(words) > _TOLD_MAX:
        return f"{', '.join(words[:_TOLD_MAX])} or {len(words) - _TOLD_MAX} more"
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
