"""Whether values of one JSON Schema can be values of another, as far as their structure tells.

Judged are types, properties, items, `enum`, `const`, and what `$ref`, `allOf`, `anyOf` and `oneOf` make of them; numbers' and texts'
bounds are not. A mismatch means that no value of the one that has every property it declares, and something in each list, is a value
of the other. So what certainly fits is never called a mismatch; what is not understood may fit. Schemas that no value conforms
to are not looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from edgematrix.protocol.schema_view import (
    View,
    alternatives_of,
    branches_of,
    conjuncts_of,
    items_of,
    listed,
    may_be,
    names_of,
    parts_of,
    properties_of,
    sizes_of,
    told,
    types_of,
    values_of,
)

__all__ = ["JsonSchema", "field_names", "join_mismatch", "mismatch"]

JsonSchema: TypeAlias = Mapping[str, Any] | bool

_DEPTH_MAX = 16
_COMPARISONS_MAX = 5_000
"""Beyond these nothing more is judged: schemas that refer to themselves, or branch again and again, may fit."""

_BEYOND_OBJECTS = frozenset(
    {
        "allOf", "dependencies", "dependentRequired", "dependentSchemas", "else", "if", "maxProperties", "minProperties", "not",
        "patternProperties", "propertyNames", "then", "unevaluatedProperties",
    }
)  # fmt: skip
_BEYOND_LISTS = frozenset({"additionalItems", "allOf", "contains", "else", "if", "not", "then", "unevaluatedItems"})
"""What may promise, or forbid, more of a giver's properties and items than is understood here."""
_ANY = View(True, True)


class _Reason(NamedTuple):
    """What does not fit, and at which field."""

    steps: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        place = ".".join(self.steps).replace(".[]", "[]")
        return f"{place}: {self.what}" if place else self.what


class _Object(NamedTuple):
    """What the giver of an object says of its properties. `more` is the schema of those that it does not name."""

    properties: Mapping[str, View]
    promised: frozenset[str]
    more: View | None

    def may_have(self, name: str) -> View | None:
        """The schema of the property, if the giver may have it."""
        found = self.properties.get(name)
        if found is not None:
            return found
        if name in self.promised or not (self.properties or self.more):
            return _ANY
        return None if self.more is None or self.more.schema is False else self.more


def mismatch(given: JsonSchema | None, wanted: JsonSchema | None, path: str = "") -> str:
    """Why values of `given` are no values of `wanted`, with the field's name; empty where they may be.

    `path` is what stands before each field's name, such as the name of the value as a whole. None is the schema of any value.

    A property that the receiver requires is missing where the giver does not name it, unless it says nothing of its
    properties at all, or says that there are more. A number may be a whole one.
    """
    if given is None or wanted is None or (given == wanted and repr(given) == repr(wanted)):  # 1 and true are equal to Python
        return ""
    found = _Comparison().views(View(given, given), View(wanted, wanted), (path,) if path else ())
    return "" if found is None else str(found)


def join_mismatch(parts: Mapping[str, JsonSchema | None], wanted: JsonSchema | None, path: str = "") -> str:
    """Why an object with these properties, of which each may be left out, is no value of `wanted`; empty where it may be."""
    if wanted is None:
        return ""
    views = {name: _ANY if part is None else View(part, part) for name, part in parts.items()}
    joined = _Object(views, frozenset(), View(False, False))
    found = _Comparison().joined(joined, View(wanted, wanted), (path,) if path else (), 0)
    return "" if found is None else str(found)


def field_names(schema: JsonSchema | None) -> tuple[str, ...] | None:
    """The properties that values of the schema have names for, none where they are no objects; None where others may be there."""
    alternatives = None if schema is None else alternatives_of(View(schema, schema))
    if not alternatives:
        return None
    found: dict[str, None] = {}
    for view in alternatives:
        given = values_of(view)
        if (types_of(view) and "object" not in types_of(view)) or (
            given is not None and not any(isinstance(value, Mapping) for value in given)
        ):
            continue
        properties = view.mapping().get("properties")
        is_open = view.mapping().get("additionalProperties") not in (None, False)
        if types_of(view) != {"object"} or is_open or not isinstance(properties, Mapping) or _BEYOND_OBJECTS & view.mapping().keys():
            return None
        found |= dict.fromkeys(properties)
    return tuple(found)


class _Comparison:
    """One comparison of two schemas, with a bound on its work."""

    def __init__(self) -> None:
        self._left = _COMPARISONS_MAX

    def views(self, given: View, wanted: View, steps: tuple[str, ...], depth: int = 0) -> _Reason | None:
        """Why nothing of `given` fits `wanted`."""
        if not self._may_go_on(depth):
            return None
        alternatives = alternatives_of(given)
        if not alternatives:
            return None
        reasons: list[_Reason] = []
        for one in alternatives:
            reason = self._one(one, wanted, steps, depth)
            if reason is None:
                return None
            reasons.append(reason)
        return _best(reasons, steps, f"{told(alternatives)}, expected {told(branches_of(wanted))}")

    def joined(self, given: _Object, wanted: View, steps: tuple[str, ...], depth: int) -> _Reason | None:
        """As `views`, for an object that is put together."""
        if not self._may_go_on(depth):
            return None
        for part in conjuncts_of(wanted):
            if types_of(part) and "object" not in types_of(part):
                return _Reason(steps, f"an object of {listed(list(given.properties))}, expected {told(branches_of(part))}")
            for key in ("anyOf", "oneOf"):
                branches = parts_of(part, key)
                reasons = [self.joined(given, branch, steps, depth + 1) for branch in branches]
                if branches and all(reasons):
                    return _best([reason for reason in reasons if reason], steps)
            found = self._object(given, part, steps, depth)
            if found is not None:
                return found
        return None

    def _may_go_on(self, depth: int) -> bool:
        self._left -= 1
        return self._left > 0 and depth < _DEPTH_MAX

    def _one(self, given: View, wanted: View, steps: tuple[str, ...], depth: int) -> _Reason | None:
        """Why one alternative of a giver does not fit: it fits if it fits everything that is asked at once."""
        for part in conjuncts_of(wanted):
            found = self._part(given, part, steps, depth)
            if found is not None:
                return found
        return None

    def _part(self, given: View, wanted: View, steps: tuple[str, ...], depth: int) -> _Reason | None:
        if wanted.schema is False:
            return _Reason(steps, f"{told([given])}, which is not expected here")
        for key in ("anyOf", "oneOf"):
            branches = parts_of(wanted, key)
            reasons = [self.views(given, branch, steps, depth + 1) for branch in branches]
            if branches and all(reasons):
                return _best([reason for reason in reasons if reason], steps, f"{told([given])}, expected {told(branches_of(wanted))}")
        if not may_be(given, wanted):
            return _Reason(steps, f"{told([given])}, expected {told(branches_of(wanted))}")
        return None if values_of(given) is not None else self._inside(given, wanted, steps, depth)

    def _inside(self, given: View, wanted: View, steps: tuple[str, ...], depth: int) -> _Reason | None:
        """Why the properties or the items of a giver do not fit."""
        kinds = types_of(given)
        if kinds == {"object"} and not _BEYOND_OBJECTS & given.mapping().keys():
            return self._object(_object_of(given), wanted, steps, depth)
        if kinds == {"array"} and not _BEYOND_LISTS & given.mapping().keys():
            return self._list(given, wanted, steps, depth)
        return None

    def _object(self, given: _Object, wanted: View, steps: tuple[str, ...], depth: int) -> _Reason | None:
        asked = properties_of(wanted)
        for name in names_of(wanted, "required"):
            found = given.may_have(name)
            expected = wanted.at(asked.get(name, True))
            if found is None:
                words = told(branches_of(expected))
                return _Reason((*steps, name), f"missing, expected {words}")
            if name not in given.properties:
                reason = self.views(found, expected, (*steps, name), depth + 1)
                if reason is not None:
                    return reason
        more = wanted.mapping().get("additionalProperties", True)
        is_open = more is True or "patternProperties" in wanted.mapping()
        for name, view in given.properties.items():
            if name in asked:
                reason = self.views(view, wanted.at(asked[name]), (*steps, name), depth + 1)
            elif is_open or (more is False and name not in given.promised):
                continue
            else:
                reason = self.views(view, wanted.at(more), (*steps, name), depth + 1)
            if reason is not None:
                return reason
        return None

    def _list(self, given: View, wanted: View, steps: tuple[str, ...], depth: int) -> _Reason | None:
        least, most = sizes_of(given)
        asked_least, asked_most = sizes_of(wanted)
        if asked_most is not None and least > asked_most:
            return _Reason(steps, f"a list of at least {least}, expected at most {asked_most}")
        if most is not None and asked_least > most:
            return _Reason(steps, f"a list of at most {most}, expected at least {asked_least}")
        offered, rest = items_of(given)
        asked, asked_rest = items_of(wanted)
        if rest is not None:
            offered = [*offered, rest]
        for index, view in enumerate(offered[:most]):
            expected = asked[index] if index < len(asked) else asked_rest
            if expected is None or expected.schema is False:
                continue
            reason = self.views(view, expected, (*steps, "[]"), depth + 1)
            if reason is not None:
                return reason
        return None


def _object_of(view: View) -> _Object:
    more = view.mapping().get("additionalProperties")
    properties = {name: view.at(part) for name, part in properties_of(view).items()}
    return _Object(properties, frozenset(names_of(view, "required")), None if more is None else view.at(more))


def _best(reasons: list[_Reason], steps: tuple[str, ...], general: str = "") -> _Reason:
    """The reason that goes deepest; where all are about the value as a whole, one in general words."""
    deepest = max(reasons, key=lambda reason: len(reason.steps))
    return deepest if len(reasons) == 1 or len(deepest.steps) > len(steps) or not general else _Reason(steps, general)
