"""Finds out that another process says that it is this host."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.birth import host_topic
from edgematrix.runtime.engine import Hits

__all__ = ["OwnName"]


class OwnName:
    """Hears what is said in this host's name. A listener of the engine.

    What stands there from an earlier life of this host is heard before what it says itself, and offends nobody. Of another process
    it is mostly its will that is heard: the broker says it when it is thrown out.

    Args:
        agent: for whom it listens: the matrix.
        session: of this process.
        told: called with a sentence, once for each other process.
        again: called when the other one is said to be gone, for what stands retained then says that this host is.
    """

    def __init__(
        self,
        root: str,
        name: str,
        session: str,
        told: Callable[[str], None],
        agent: str = "",
        again: Callable[[], None] | None = None,
    ) -> None:
        self.topic = host_topic(root, name)
        self.agent = AgentPath(agent)
        self._name = name
        self._session = session
        self._told = told
        self._again = again
        self._is_heard = False
        self._other = ""

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:  # noqa: ARG002 - there is one input
        """Take a birth."""
        self.take(message.value)

    def take(self, about: object) -> None:
        """Take a birth, decoded."""
        if not isinstance(about, Mapping):
            return
        session = about.get("session")
        if session == self._session:
            self._is_heard = True
        elif self._is_heard and isinstance(session, str):
            if session != self._other:
                self._other = session
                remedy = "give each a --name of its own"
                self._told(f"another process is the host {self._name} too: each throws the other out, or is taken for it; {remedy}")
            if self._again is not None and about.get("status") == "offline":
                self._again()
