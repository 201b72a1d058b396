"""Messages far down a chain of causes, so that a ring of agents that feed each other can be named."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["Chains"]

_KEPT_MAX = 1_000


class Chains:
    """The causes of the newest of these messages."""

    def __init__(self) -> None:
        self._causes: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def add(self, message_id: str, cause_id: str, topic: str) -> None:
        """Remember a message."""
        self._causes[message_id] = (cause_id, topic)
        if len(self._causes) > _KEPT_MAX:
            self._causes.popitem(last=False)

    def ring(self, cause_id: str, topic: str) -> list[str]:
        """The topics that led from `topic` to itself again, or as many as are known."""
        found = [topic]
        while cause_id in self._causes:
            cause_id, before = self._causes[cause_id]
            found.append(before)
            if before == topic:
                break
        found.reverse()
        return found
