"""Narrower filters for what a broker does not let somebody subscribe to as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from edgematrix.protocol.overlap import covers
from edgematrix.protocol.topic import Kind

__all__ = ["Narrowing"]

_SHOWN = (Kind.OUT, Kind.PART, Kind.TRACE, Kind.DEAD, Kind.SPEC, Kind.LEASE, Kind.ACK, Kind.IN, Kind.CTL)
"""What an operator sees of each matrix, besides the states of its agents."""
_MATRICES_MAX = 100


class Narrowing:
    """What takes the place of wide filters of the bus: one for each kind of topics, of each matrix that is there.

    Some brokers refuse a filter that is wider than what they grant. Who may see all of a matrix is granted each kind by itself, as
    `em/out/home/#`; which matrices there are, the states of their agents tell.

    Args:
        root: the first level of the bus's own topics.
        filters: what is wanted.
    """

    def __init__(self, root: str, filters: Sequence[str]) -> None:
        self._root = root
        self._states = f"{root}/{Kind.STATE}/"
        self._kinds: dict[Kind, None] = {}
        """Those that are wanted of every matrix."""
        self._matrices: set[str] = set()
        self._wanted = [text.split("/") for text in filters]
        self.instead: dict[str, list[str]] = {}
        """What is subscribed to first in place of a filter that is refused."""
        for text in filters:
            self._narrow(text)

    def more(self, topic: str) -> list[str]:
        """What is to be subscribed to besides, once a message has come on `topic`: the rest of a matrix that is new."""
        if not topic.startswith(self._states):
            return []
        matrix = topic.removeprefix(self._states).partition("/")[0]
        if matrix in self._matrices or len(self._matrices) >= _MATRICES_MAX:
            return []
        self._matrices.add(matrix)
        return [f"{self._root}/{kind}/{matrix}/#" for kind in self._kinds]

    def shows(self, topic: str) -> bool:
        """Whether a message was asked for: states may have come for the names of matrices alone."""
        return not topic.startswith(self._states) or any(covers(levels, topic.split("/")) for levels in self._wanted)

    def _narrow(self, text: str) -> None:
        root, states = self._root, f"{self._states}#"
        first, _, rest = text.removeprefix(f"{root}/").partition("/")
        if text in ("#", f"{root}/#", f"{root}/+/#"):
            self._kinds |= dict.fromkeys(_SHOWN)
            self.instead[text] = [f"{root}/{Kind.HOST}/#", states]
        elif not text.startswith(f"{root}/"):
            return
        elif first in _SHOWN and rest == "#":
            self._kinds[Kind(first)] = None
            self.instead[text] = [states]
        elif first == "+" and "+" not in rest:
            self.instead[text] = [f"{root}/{kind}/{rest}" for kind in (Kind.STATE, *_SHOWN)]
