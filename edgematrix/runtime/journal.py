"""What a run was told, or did, in order: so that it can be brought to the same place again after a restart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["Journal", "read_journal"]

_TAIL_MAX = 1_000
"""Records that are kept as objects; with more they become bytes, which are smaller and whose size is known."""


class Journal:
    """The records of one run since the last write, oldest first. Each is a row of plain values, its kind first."""

    __slots__ = ("_packed", "size", "tail")

    def __init__(self) -> None:
        self.tail: list[Sequence[object]] = []
        self._packed: tuple[bytes, ...] = ()
        self.size = 0
        """Bytes of all that has become bytes here so far, written or not."""

    def add(self, record: Sequence[object]) -> None:
        """Note what has happened.

        Raises:
            StateError: something of it, or of what was noted before, has no stored form.
        """
        self.tail.append(record)
        if len(self.tail) >= _TAIL_MAX:
            self._pack()

    def take(self) -> tuple[bytes, ...]:
        """What was noted since the last call.

        Raises:
            StateError: something of it has no stored form.
        """
        if self.tail:
            self._pack()
        packed, self._packed = self._packed, ()
        return packed

    def _pack(self) -> None:
        data = pack(self.tail)
        self.tail = []
        self._packed = (*self._packed, data)
        self.size += len(data)


def read_journal(parts: Iterable[bytes]) -> list[list[object]]:
    """All records, oldest first.

    Raises:
        StateError: a part is damaged.
    """
    found: list[list[object]] = []
    for part in parts:
        found += unpack(part, list[list[object]])
    return found
