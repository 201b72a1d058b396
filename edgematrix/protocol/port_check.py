"""What a declared port takes: each value is judged where it crosses into, or out of, an agent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from edgematrix.protocol.schema import Schema, port_schema

__all__ = ["PortCheck", "port_check"]

_SHARED_MAX = 1_024
"""Checks that are kept for sharing: replicas, and agents of one type, declare the same."""


class PortCheck:
    """Judges values for a port that is declared with a short name, a JSON Schema, or both. The schema is compiled for the first value."""

    __slots__ = ("_plain", "_schema", "_short", "_text")

    def __init__(self, short: str | None, schema: Mapping[str, Any] | None) -> None:
        self._short = short
        self._text = schema
        self._plain = short if not schema and short in _PLAIN else None
        """A short name that is judged without the library, which takes 11 MB."""
        self._schema: Schema | None = None

    def reason(self, value: object) -> str:
        """Why `value` is none for this port, with the field's name; empty where it is one.

        Raises:
            ProtocolError: the port's schema is none; a matrix that was checked has no such port.
        """
        if self._plain is not None:
            return _plain_refusal(self._plain, value)
        if self._schema is None:
            self._schema = port_schema(self._short, self._text)
            if self._schema is None:
                return ""
        return self._schema.refusal(value) or ""


def port_check(short: str | None, schema: Mapping[str, Any] | None) -> PortCheck | None:
    """The check of a port as it is declared, shared by all that are declared alike; None where it takes any value.

    `schema` must have come from JSON.
    """
    if short in (None, "any") and not schema:
        return None
    key = msgspec.json.encode((short, schema), order="sorted")
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = PortCheck(short, schema)
        if len(_shared) > _SHARED_MAX:
            _shared.popitem(last=False)
    else:
        _shared.move_to_end(key)
    return found


_PLAIN: Mapping[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a text"),
    "number": ((int, float), "a number"),
    "whole": ((int,), "a whole number"),
    "bool": ((bool,), "true or false"),
    "object": ((dict,), "an object"),
    "list": ((list,), "a list"),
}


_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "true or false",
    bytes: "bytes",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "a text",
}


def _plain_refusal(short: str, value: object) -> str:
    kinds, expected = _PLAIN[short]
    kind = type(value)
    if isinstance(value, float):
        if value - value == 0.0 and (short == "number" or (short == "whole" and value.is_integer())):  # no NaN, no infinity
            return ""
    elif kind in kinds:
        return ""
    found = "no JSON number" if isinstance(value, float) and value - value != 0.0 else _KINDS.get(kind, kind.__name__)
    return f"expected {expected}, found {found}"


_shared: OrderedDict[bytes, PortCheck] = OrderedDict()
