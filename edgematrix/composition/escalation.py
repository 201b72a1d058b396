"""Whether an answer is sure enough, and what the next one is asked where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from edgematrix.composition.finding import Finding, compiled
from edgematrix.composition.judgement import Judgement
from edgematrix.composition.spec import EscalateSpec
from edgematrix.errors import ExpressionError

__all__ = ["CANDIDATES_MAX", "ESCALATION", "Escalation", "answered", "check_escalation", "request"]

ESCALATION: Final = "escalate.to"
"""The name of the member that is asked next: no tool can have it, for its dot."""
CANDIDATES_MAX: Final = 8
"""Of what a stage thinks was meant, so many are passed on."""
_FIELDS: Final = ("confidence", "reason")


class Escalation:
    """A compiled `escalate:`."""

    __slots__ = ("_when",)

    def __init__(self, when: Judgement) -> None:
        self._when = when

    @classmethod
    def compile(cls, spec: EscalateSpec) -> Escalation:
        """Compile it.

        Raises:
            ExpressionError: `when` is wrong; `where` is `line:column` in it.
        """
        return cls(Judgement.condition(spec.when, _FIELDS))

    def is_wanted(self, confidence: float, reason: str) -> bool:
        """Whether somebody else is to be asked. What cannot be judged is not sure."""
        try:
            return self._when.holds({"confidence": confidence, "reason": reason})
        except ExpressionError:
            return True


def request(text: object, candidates: list[dict[str, Any]]) -> dict[str, Any]:
    """What the next one is asked: the same as this one was, with what this one thinks was meant."""
    return {"text": text, "candidates": candidates[:CANDIDATES_MAX]}


def answered(text: object, value: object, by: str) -> dict[str, Any]:
    """What the next one has answered, as the answer of this one: an object with `answer` is one already."""
    said: dict[str, Any] = dict(value) if isinstance(value, Mapping) and "answer" in value else {"answer": value}
    return {"text": text, "by": by} | said


def check_escalation(spec: EscalateSpec) -> Iterator[Finding]:
    """What is wrong with one."""
    yield from compiled(partial(Escalation.compile, spec), ("escalate", "when"))
