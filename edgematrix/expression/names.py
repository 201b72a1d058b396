"""What an expression may name, and how a named path is read out of a scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from edgematrix.errors import ExpressionError

__all__ = ["ANY", "Any_", "Key", "Read", "Scope", "Shape", "key_of", "nearest", "reader"]


class Any_:  # noqa: N801  the type of ANY, which is a value and not for use by others
    """The shape of a value whose fields are not known before it comes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = Any_()

Shape: TypeAlias = Any_ | Mapping[str, "Shape"]
"""`ANY`, or the fields that exist, each with its own shape."""

Key: TypeAlias = tuple[tuple[str, "Key"], ...] | None
Scope: TypeAlias = Mapping[str, object]
Read: TypeAlias = Callable[[Scope], object]


def key_of(shape: Shape) -> Key:
    """What tells one shape from another in a cache: shapes of one key allow the same names."""
    return None if isinstance(shape, Any_) else tuple([(name, key_of(part)) for name, part in shape.items()])


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like `name`, else empty."""
    from difflib import get_close_matches  # noqa: PLC0415 - only what is wrong needs it

    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


@lru_cache(1_024)
def reader(path: tuple[str, ...]) -> Read:
    """Make the function that reads a path out of a scope; whoever reads the same path shares it.

    The function raises ExpressionError where a step is missing or the value before it is no object.
    """
    if len(path) == 1:
        (name,) = path
        return lambda scope: _read_one(scope, name)
    if len(path) == 2:  # noqa: PLR2004  `source.value` is what most expressions read
        return _pair_reader(*path)

    def read(scope: Scope) -> object:
        value: object = scope
        for position, step in enumerate(path):
            try:
                value = value[step]  # type: ignore[index]  # what cannot be indexed by a name is the error below
            except (KeyError, TypeError):
                raise _missing(path, position, value) from None
        return value

    return read


def _read_one(scope: Scope, name: str) -> object:
    try:
        return scope[name]
    except KeyError:
        raise _missing((name,), 0, scope) from None


def _pair_reader(first: str, second: str) -> Read:
    def read(scope: Scope) -> object:
        try:
            return scope[first][second]  # type: ignore[index]  # what cannot be indexed by a name is the error below
        except (KeyError, TypeError):
            value = _read_one(scope, first)
            raise _missing((first, second), 1, value) from None

    return read


def _missing(path: tuple[str, ...], position: int, value: object) -> ExpressionError:
    so_far = ".".join(path[:position])
    if position and not isinstance(value, Mapping):
        return ExpressionError(f"`{so_far}` has no field `{path[position]}`: it is {_kind(value)}")
    return ExpressionError(f"`{'.'.join(path[: position + 1])}` is not there")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, (list, tuple)) else "no object"
