"""The way that a run took through a matrix, for whoever draws it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from edgematrix.cli.run_tree import UNDER_WAY, Work, every

__all__ = ["RUN_STYLES", "TAKEN_STYLE", "Hop", "Style", "Taken"]

TAKEN_STYLE = "stroke:#111827,stroke-width:4px"


class Style(NamedTuple):
    """How Mermaid draws what a run has done: the name of the class, and what it says."""

    name: str
    text: str


RUN_STYLES = {
    "done": Style("run_done", "stroke:#15803d,stroke-width:4px"),
    "cancelled": Style("run_cancelled", "stroke:#6b7280,stroke-width:4px,stroke-dasharray:6"),
    UNDER_WAY: Style("run_under_way", "fill:#fde68a,stroke:#d97706,stroke-width:4px"),
    "failed": Style("run_failed", "fill:#fecaca,stroke:#dc2626,stroke-width:4px"),
}


class Hop(NamedTuple):
    """From agent to agent, as step `step` of the run of a composite."""

    start: str
    end: str
    step: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Hops in order of time, and the state of each agent that worked: the worst of its works, where it has several."""

    hops: list[Hop] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, works: Iterable[Work]) -> Taken:
        """Read a run."""
        taken = cls()
        for work in every(works):
            taken._judge(work.path, work.state)
            members = {step.step: step.member for step in work.steps}
            for step in work.steps:
                taken._judge(step.member, step.state)
                origins = {0: work.path, **members}  # 0 is the request
                starts = [origins[number] for number in step.after if number in origins] or [work.path]
                taken.hops.extend(Hop(start, step.member, step.step) for start in dict.fromkeys(starts))
            if work.outputs and work.state in ("done", "stopped"):
                taken._end(work)
        return taken

    def _end(self, work: Work) -> None:
        """What a composite put out came from the steps that led no further."""
        led_on = {number for step in work.steps for number in step.after}
        for step in work.steps:
            if step.step not in led_on and step.outputs:
                self.hops.append(Hop(step.member, work.path, step.step))

    def _judge(self, path: str, state: str) -> None:
        order = list(RUN_STYLES)
        state = "done" if state == "stopped" else state if state in RUN_STYLES else "cancelled"
        before = self.states.get(path)
        if before is None or order.index(state) > order.index(before):
            self.states[path] = state
