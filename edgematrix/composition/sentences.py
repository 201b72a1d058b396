"""An agent that hears sentences (docs/spec/matrix.md, "The cascade")."""

from __future__ import annotations

from edgematrix.composition.sentences_course import SentencesCourse
from edgematrix.composition.sentences_plan import SentencesPlan

__all__ = ["SentencesHeard"]


class SentencesHeard:
    """A compiled agent. What was done leaves on `out`; what nobody is sure of on `unknown`, with what there is to say about it."""

    __slots__ = ("plan",)

    def __init__(self, plan: SentencesPlan) -> None:
        self.plan = plan

    def course(self, runid: str) -> SentencesCourse:  # noqa: ARG002 - it shares nothing with other runs
        """A course for a run."""
        return SentencesCourse(self.plan)
