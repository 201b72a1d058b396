"""Values out of payloads: dotted paths, what counts as unknown, text read as a number or a flag (docs/spec/triggers.md, "Sources").

An unknown value is None here: JSON's null is unknown itself, so nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from edgematrix.errors import PathError

__all__ = ["ValuePath", "as_bool", "as_number", "compile_path", "compile_value", "is_unknown"]

ValuePath: TypeAlias = str | Sequence[str | int] | Mapping[str, str | Sequence[str | int]] | None
"""`battery.level`, `["ENERGY", "1.8.0"]`, `{ax: accel.x, ay: accel.y}`, or None for the whole payload."""

Read: TypeAlias = Callable[[object], object]

_STEPS_MAX = 32
_UNKNOWN_WORDS = frozenset({"", "unknown", "unavailable"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_NUMBER_LENGTH_MAX = 64
_FLAGS = {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def is_unknown(value: object) -> bool:
    """Whether a value is null, the empty text, `"unknown"` or `"unavailable"`. `[]`, `{}`, 0 and false are values."""
    return value is None or (type(value) is str and value in _UNKNOWN_WORDS) or value == b""


def as_number(value: object) -> int | float | None:
    """A number as it is, text such as `"21.5"` as the number that it spells; None for anything else, flags too."""
    if type(value) is int:
        return value
    if type(value) is float:
        return value if value - value == 0.0 else None
    if type(value) is not str or len(value) > _NUMBER_LENGTH_MAX:
        return None
    text = value.strip()
    if _WHOLE.fullmatch(text) is not None:
        return int(text)
    if _DECIMAL.fullmatch(text) is None:
        return None
    number = float(text)
    return number if number - number == 0.0 else None


def as_bool(value: object) -> bool | None:
    """A flag as it is; on/off, true/false, yes/no and 1/0 in any case, also as the numbers 1 and 0; None for anything else."""
    if type(value) is bool:
        return value
    if type(value) is str:
        return _FLAGS.get(value.strip().lower())
    if (type(value) is int or type(value) is float) and value in (0, 1):
        return value == 1
    return None


def compile_path(path: ValuePath) -> Read:
    """Make the function that reads `path` out of a payload; what it gives is None where the value is unknown.

    A step into an object is a key, a step into a list a position from 0. A mapping gives an object of the values by
    its names, and is unknown as soon as one of them is.

    Raises:
        PathError: the path is empty, has an empty step, a negative position, or more than 32 steps.
    """
    if path is None:
        return _known
    if isinstance(path, Mapping):
        if not path:
            raise PathError("a value that is a mapping names no path")
        return _record({name: compile_path(part) for name, part in path.items()})
    steps = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
    _check(steps, path)
    if len(steps) == 1:
        return _field(str(steps[0]), _position(steps[0]))
    return _walk(tuple((str(step), _position(step)) for step in steps))


def compile_value(path: ValuePath, read_as: Literal["number", "bool"] | None = None) -> Read:
    """`compile_path`, with its value read as a number or a flag where `read_as` says so.

    Raises:
        PathError: as `compile_path`.
    """
    read = compile_path(path)
    if read_as == "number":
        return lambda payload: as_number(read(payload))
    if read_as == "bool":
        return lambda payload: as_bool(read(payload))
    return read


def _check(steps: tuple[str | int, ...], path: object) -> None:
    if not steps or any(step == "" or (isinstance(step, int) and step < 0) for step in steps):
        raise PathError(f"the value path {str(path)[:120]!r} has an empty or negative step")
    if len(steps) > _STEPS_MAX:
        raise PathError(f"the value path {str(path)[:120]!r} has {len(steps)} steps, at most {_STEPS_MAX} are allowed")


def _position(step: str | int) -> int:
    """The position in a list that a step means; -1 if it can be none."""
    if isinstance(step, int):
        return step
    return int(step) if step.isascii() and step.isdigit() and len(step) <= 9 else -1  # noqa: PLR2004  nine digits are more than any list has


def _known(value: object) -> object:
    return None if type(value) in (str, bytes) and is_unknown(value) else value


def _field(key: str, position: int) -> Read:
    """The one-step reader, apart from `_walk` because most sources have one step."""

    def read(payload: object) -> object:
        if type(payload) is dict:
            value = payload.get(key)
            return None if type(value) is str and value in _UNKNOWN_WORDS else value
        if type(payload) is list and 0 <= position < len(payload):
            return _known(payload[position])
        return None

    return read


def _walk(steps: tuple[tuple[str, int], ...]) -> Read:
    def read(payload: object) -> object:
        value = payload
        for key, position in steps:
            if type(value) is dict:
                value = value.get(key)
            elif type(value) is list and 0 <= position < len(value):
                value = value[position]
            else:
                return None
        return _known(value)

    return read


def _record(readers: dict[str, Read]) -> Read:
    def read(payload: object) -> object:
        found: dict[str, object] = {}
        for name, reader in readers.items():
            value = reader(payload)
            if value is None:
                return None
            found[name] = value
        return found

    return read
