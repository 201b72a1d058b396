"""What all runs of one intent agent share: its rules, what is near, and whom it asks next (docs/spec/matrix.md, "The cascade")."""

from __future__ import annotations

from typing import Protocol

from edgematrix.agents.clauses import exact
from edgematrix.agents.sentences import Sentences
from edgematrix.agents.understanding import Understanding
from edgematrix.composition.escalation import Escalation

__all__ = ["Near", "SentencesPlan"]


class Near(Protocol):
    """What makes commands of sentences that are like those that rules know."""

    @property
    def timeout_us(self) -> int:
        """How long the model may take."""

    @property
    def sure(self) -> float:
        """From which confidence on what it found is carried out."""

    def asked(self, text: str) -> tuple[str, ...]:
        """What its model is to find the nearest sentences of; nothing where that cannot help."""

    def understood(self, text: str, found: str, exact: Understanding) -> Understanding:
        """What the sentence asks for, given what the model found for each of the texts: JSON, as `NearFound`."""


class SentencesPlan:
    """A compiled definition.

    Args:
        asks: the path of whoever is asked next, for people; empty where nobody is.
    """

    __slots__ = ("asks", "escalation", "near", "sentences")

    def __init__(self, sentences: Sentences, near: Near | None, escalation: Escalation | None, asks: str = "") -> None:
        self.sentences = sentences
        self.near = near
        self.escalation = escalation
        self.asks = asks

    @property
    def sure(self) -> float:
        """From which confidence on something is carried out."""
        return 0.0 if self.near is None else self.near.sure

    def heard(self, text: str) -> Understanding:
        """What the exact rules make of a sentence: all of its clauses, or nothing."""
        return exact(self.sentences, text)
