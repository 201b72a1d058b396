"""Field types that definitions share: durations, names, values to compare with."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetPydanticSchema, Strict, WithJsonSchema
from pydantic_core import core_schema

from edgematrix.errors import PathError
from edgematrix.protocol.duration import format_duration, parse_duration
from edgematrix.protocol.path import check_name

__all__ = ["CLOSED", "PART", "Duration", "Flag", "Microseconds", "Name", "Number", "Scalar", "Whole", "read_duration"]

CLOSED = ConfigDict(extra="forbid", populate_by_name=True)
"""How every definition is read: an unknown key is an error."""
PART = CLOSED | ConfigDict(defer_build=True)
"""The same for what is read as part of another definition; readers of its own are made once somebody asks, 8 ms less at each start."""

Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
"""Strict, so that no text is taken for a number, nor a number for a flag."""


def _name(value: object) -> object:
    if isinstance(value, str):
        try:
            return check_name(value)
        except PathError as error:
            raise ValueError(str(error)) from None
    return value


class Microseconds(int):
    """A duration that was read already; so a definition may be copied with `dataclasses.replace`, which reads every field anew."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """How pydantic reads and writes it."""
        return core_schema.no_info_plain_validator_function(
            read_duration, serialization=core_schema.plain_serializer_function_ser_schema(format_duration)
        )


def read_duration(value: object) -> Microseconds:
    """Read a duration as a file has it; one that was read already stays.

    Raises:
        ValueError: it is no duration.
    """
    if isinstance(value, Microseconds):
        return value
    if isinstance(value, (int, float, str)):
        return Microseconds(parse_duration(value))
    raise ValueError(f"expected a duration such as 500ms, 2s, 5m, 1h30m or 1d, found {type(value).__name__}")


Duration = Annotated[
    int,
    GetPydanticSchema(Microseconds.__get_pydantic_core_schema__),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[0-9.dhms]+$"}], "title": "Duration"}),
]
"""Microseconds; written as a number of seconds or as text such as `1h30m`."""

Name = Annotated[str, BeforeValidator(_name)]
"""A segment of a path, or a port."""

Scalar = str | Flag | Whole | Number
