"""Equality of values: numbers by value, text exactly, `true` is not `1` (docs/spec/triggers.md, "Events and levels")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

__all__ = ["Scalar", "Test", "one_of", "same"]

Scalar: TypeAlias = str | bool | int | float
Test: TypeAlias = Callable[[object], bool]


def same(one: object, other: object) -> bool:
    """Whether two JSON values are equal; a flag equals no number, however deep it stands."""
    if one is other:
        return True
    if type(one) is dict:
        return type(other) is dict and one.keys() == other.keys() and all(same(part, other[name]) for name, part in one.items())
    if type(one) is list:
        return type(other) is list and len(one) == len(other) and all(map(same, one, other))
    return one == other and (type(one) is bool) == (type(other) is bool)


def one_of(asked: Scalar | Sequence[Scalar]) -> Test:
    """Make the test whether a value is `asked`, or one of them."""
    several: Sequence[Scalar] = [asked] if isinstance(asked, (str, bool, int, float)) else asked
    return _test_of(tuple((type(value), value) for value in several))


@lru_cache(maxsize=4096)
def _test_of(asked: tuple[tuple[type, Scalar], ...]) -> Test:
    """Groups of one kind share their tests. The types stand beside the values because 1 and true are one key."""
    texts = frozenset(value for kind, value in asked if kind is str)
    flags = frozenset(value for kind, value in asked if kind is bool)
    numbers = frozenset(value for kind, value in asked if kind is int or kind is float)

    def test(value: object) -> bool:
        kind = type(value)
        if kind is str:
            return value in texts
        if kind is bool:
            return value in flags
        return (kind is int or kind is float) and value in numbers

    return test
