"""A language model as an agent (docs/spec/matrix.md, "Language models")."""

from __future__ import annotations

from edgematrix.composition.llm_course import LlmCourse
from edgematrix.composition.llm_plan import LlmPlan

__all__ = ["Llm"]


class Llm:
    """A compiled agent. It puts out `out`, the answer, and each field of an answer that is an object on the port of its name."""

    __slots__ = ("plan",)

    def __init__(self, plan: LlmPlan) -> None:
        self.plan = plan

    @property
    def says_pieces(self) -> bool:
        """Only a text is an answer from its first piece on; with tools, or where somebody else may be asked, nobody knows yet."""
        return self.plan.spec.output is None and not self.plan.tools and self.plan.escalation is None

    def course(self, runid: str) -> LlmCourse:  # noqa: ARG002 - it shares nothing with other runs
        """A course for a run."""
        return LlmCourse(self.plan)
