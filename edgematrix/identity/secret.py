"""The value of a secret. It shows itself to nobody who does not ask for it."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn

__all__ = ["HIDDEN", "Secret"]

HIDDEN = "***"
"""What is shown in place of a value."""


class Secret:
    """A value that neither `str`, `repr` nor a format shows, and that is not pickled.

    Args:
        name: how it is called.
        value: what `reveal` gives.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._value = value

    def reveal(self) -> str:
        """The value itself. Whoever calls answers for where it goes."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, form: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not stored, nor given to another process")
