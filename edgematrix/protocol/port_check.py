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

    __slots__ = ("_schema", "_short", "_text")

    def __init__(self, short: str | None, schema: Mapping[str, Any] | None) -> None:
        self._short = short
        self._text = schema
        self._schema: Schema | None = None

    def reason(self, value: object) -> str:
        """Why `value` is none for this port, with the field's name; empty where it is one.

        Raises:
            ProtocolError: the port's schema is none; a matrix that was checked has no such port.
        """
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


_shared: OrderedDict[bytes, PortCheck] = OrderedDict()
