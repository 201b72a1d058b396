"""Calls that nobody waits for any more, whose work still waits in trigger groups: it is not to begin, after a restart either."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["LeftBehind"]

_MAX = 1_000
"""Beyond it the oldest is forgotten."""


class LeftBehind:
    """The ids of their runs, each with the receiver.

    Args:
        key: under which they are stored.
    """

    __slots__ = ("is_changed", "is_stored", "key", "runids")

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_changed = False
        self.is_stored = False
        self.runids: OrderedDict[str, AgentPath] = OrderedDict()

    def add(self, runid: str, receiver: AgentPath) -> None:
        """Remember one."""
        self.runids[runid] = receiver
        if len(self.runids) > _MAX:
            self.runids.popitem(last=False)

    def keep_only(self, runids: Iterable[str]) -> None:
        """Forget all others."""
        known = set(runids)
        self.runids = OrderedDict((runid, receiver) for runid, receiver in self.runids.items() if runid in known)

    def read(self, data: bytes) -> None:
        """Take up what was written.

        Raises:
            StateError: it is damaged.
        """
        self.runids = OrderedDict((runid, AgentPath(receiver)) for runid, receiver in unpack(data, list[tuple[str, str]]))
        self.is_stored = True

    def parts(self) -> dict[str, bytes | None]:
        """What is to be written now."""
        return {self.key: pack(list(self.runids.items()))}

    def erased(self) -> dict[str, bytes | None]:
        """The key of what was written."""
        return {self.key: None}
