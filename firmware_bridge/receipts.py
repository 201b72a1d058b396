"""Messages that the broker keeps until a device is done with them. It is told of them in the order in which they came."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finished", "Receipts"]


@dataclass(frozen=True, slots=True)
class Finished:
    """An effect: the broker need not keep the message of this receipt any more."""

    receipt: int


class Receipts:
    """Those of one connection."""

    def __init__(self) -> None:
        self._are_finished: dict[int, bool] = {}
        """In the order in which they came."""

    def clear(self) -> None:
        """A new connection: the broker sends again what it keeps."""
        self._are_finished.clear()

    def took(self, receipt: int) -> None:
        """A message has come."""
        self._are_finished[receipt] = False

    def finish(self, receipt: int) -> int:
        """Done with one: the last receipt that may be acknowledged now, with all before it; 0 if none may."""
        if receipt in self._are_finished:
            self._are_finished[receipt] = True
        last = 0
        for one, is_finished in list(self._are_finished.items()):
            if not is_finished:
                break
            last = one
            del self._are_finished[one]
        return last
