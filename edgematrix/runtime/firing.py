"""What made an agent work, as its code sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter

from edgematrix import triggers
from edgematrix.errors import UsageError

__all__ = ["Firing", "Named"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Named(Protocol[T_co]):
    """A source of type T, as it was written: an agent, or a source made from a topic."""

    @property
    def origin(self) -> object:
        """What it was derived from: `judge` for `judge.where(…)`."""

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """Reads a value as T."""

    def __type_of__(self) -> T_co:
        """Ties T to the object for type checkers; never called."""


class Firing:
    """One firing of a trigger group. `firing[source]` is what the source gave.

    Args:
        firing: what the trigger group says.
        names: the name in the group of each source, by its origin.
    """

    def __init__(self, firing: triggers.Firing, names: Mapping[int, str]) -> None:
        self._firing = firing
        self._names = names

    @property
    def group(self) -> str:
        """The name of the group that fired."""
        return self._firing.group

    @property
    def key(self) -> str | None:
        """The value of the capture that the group is keyed by."""
        return self._firing.key

    @property
    def missing(self) -> tuple[str, ...]:
        """The sources that a `timeout` did not wait for, in written order."""
        return tuple(self._firing.missing)

    @property
    def captures(self) -> Mapping[str, str]:
        """What the captures of the topics held."""
        return self._firing.captures

    @property
    def fired_at_us(self) -> int:
        """When it fired, microseconds since the epoch."""
        return self._firing.fired_at_us

    def __getitem__(self, source: Named[T]) -> T:
        """What `source` gave.

        Raises:
            LookupError: it took no part.
            pydantic.ValidationError: the value is not of the source's type.
        """
        value = self.get(source)
        if value is None:
            raise LookupError(f"the source {self._name(source)!r} took no part in the firing of {self.group!r}")
        return value

    def get(self, source: Named[T]) -> T | None:
        """What `source` gave; None if it took no part.

        Raises:
            UsageError: the group has no such source.
            pydantic.ValidationError: the value is not of the source's type.
        """
        reading = self._firing.sources[self._name(source)]
        if reading is None:
            return None
        value: T = source.adapter.validate_python(reading.value)
        return value

    def value(self, name: str) -> object:
        """The value of the source of that name, as it came; None if it took no part.

        Raises:
            UsageError: the group has no such source.
        """
        if name not in self._firing.sources:
            raise UsageError(f"the group {self.group!r} has no source {name!r}; it has {', '.join(self._firing.sources)}")
        reading = self._firing.sources[name]
        return None if reading is None else reading.value

    def _name(self, source: Named[object]) -> str:
        name = self._names.get(id(source.origin))
        if name is None or name not in self._firing.sources:
            raise UsageError(f"the group {self.group!r} has no source {source!r}; it has {', '.join(self._firing.sources)}")
        return name
