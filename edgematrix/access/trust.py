"""Who is believed on which topic, where messages are signed: whoever the access list lets publish there."""

from __future__ import annotations

from collections.abc import Mapping

from edgematrix.access.grant import Access, Grants
from edgematrix.access.signed import SignedTopics
from edgematrix.protocol.topic import Kind

__all__ = ["Trust"]

_CACHED_MAX = 20_000


class Trust:
    """What a matrix says of its signed messages.

    Args:
        root: the first levels of the bus's own topics.
        matrix: its name.
        topics: which topics carry signed messages.
        grants: what each principal may publish, by its name.
    """

    def __init__(self, root: str, matrix: str, topics: SignedTopics, grants: Mapping[str, Grants]) -> None:
        self.topics = topics
        self._matrix = matrix
        self._out = f"{root}/{Kind.OUT}/"
        self._grants = grants
        self._known: dict[tuple[str, str], bool] = {}

    def may_publish(self, name: str, topic: str) -> bool:
        """Whether a principal may publish on a topic."""
        found = self._known.get((name, topic))
        if found is None:
            if len(self._known) >= _CACHED_MAX:
                self._known.clear()
            grants = self._grants.get(name)
            found = self._known[name, topic] = grants is not None and grants.allows(Access.WRITE, topic)
        return found

    def may_speak_for(self, name: str, source: str) -> bool:
        """Whether a principal may name this agent as the source of what it sends; the matrix as a whole is nobody's in particular."""
        return source == self._matrix or self.may_publish(name, f"{self._out}{source}/out")
