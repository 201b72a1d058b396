"""The port of language models that talk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edgematrix.models.halt import Halt
from edgematrix.models.talk import Reply, Saying, Talk

__all__ = ["Talker"]


class Talker(Protocol):
    """A language model that talks. `talk` blocks, and may be called from several threads."""

    @property
    def trouble(self) -> str:
        """Why it does not work for now, such as that it failed again and again; empty while it does."""

    def talk(self, talk: Talk, timeout_s: float, *, heard: Callable[[Saying], None] | None = None, halt: Halt | None = None) -> Reply:
        """Go on with a talk.

        Args:
            talk: so far.
            timeout_s: how long it may take. What a local model needs to be loaded is not counted.
            heard: is called with each piece of a text, in this thread.
            halt: lets another thread stop it.

        Raises:
            ModelError: it is not there, hangs, died, was stopped, or says what is no reply.
        """

    def close(self) -> None:
        """Let go of all that it holds. Whoever waits for an answer gets an error."""
