"""Where untrusted text comes from, and whose word counts as a person's: what a definition says of it (docs/spec/matrix.md, "Safety")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from edgematrix.protocol.overlap import covers
from edgematrix.protocol.path import AgentPath

__all__ = ["NO_MARKS", "Marks"]

_KNOWN_MAX: Final = 10_000
"""Topics of which it is remembered what they are."""


class Marks:
    """What is known of a matrix before anything is said in it.

    Args:
        speakers: the origin that stands on all that an agent puts out, sends, calls with or publishes: language models, and agents
            that do what is said to them.
        untrusted: filters of topics with texts from outside, each with the origin that stands on what comes there.
        answers: filters of the foreign topics on which people answer: nothing of the matrix publishes there.
        patience: how long a command for a critical input may wait for a person, by topic, in microseconds: so much longer it is worth
            something when it leaves a host.
    """

    __slots__ = ("_answers", "_known", "_untrusted", "patience", "speakers", "untrusted")

    def __init__(
        self,
        speakers: Mapping[AgentPath, str] | None = None,
        untrusted: Sequence[tuple[str, str]] = (),
        answers: Sequence[tuple[str, AgentPath]] = (),
        patience: Mapping[str, int] | None = None,
    ) -> None:
        self.patience: Mapping[str, int] = patience or {}
        self.speakers: Mapping[AgentPath, str] = speakers or {}
        self.untrusted = bool(untrusted)
        """Whether there are any."""
        self._untrusted = [(text.split("/"), origin) for text, origin in untrusted]
        self._answers = [(text.split("/"), agent) for text, agent in answers]
        self._known: dict[str, str] = {}

    def origin_of(self, topic: str) -> str:
        """The origins that stand on what comes on a topic; empty where it is trusted."""
        found = self._known.get(topic)
        if found is None:
            levels = topic.split("/")
            found = " ".join(dict.fromkeys(origin for wide, origin in self._untrusted if covers(wide, levels)))
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[topic] = found
        return found

    def answered_on(self, topic: str) -> AgentPath | None:
        """Whose questions are answered on a topic; None where nobody's are."""
        if not self._answers:
            return None
        levels = topic.split("/")
        return next((agent for wide, agent in self._answers if covers(wide, levels)), None)


NO_MARKS: Final = Marks()
"""Of a matrix that hears nobody but devices and people."""
