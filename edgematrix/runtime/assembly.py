"""The agents of one host, built and ready to start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.group_runner import GroupRunner

if TYPE_CHECKING:
    from edgematrix.runtime.questions import Questions
    from edgematrix.runtime.workshop import Workshop  # agents without code need none

__all__ = ["Assembly"]


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a host runs.

    `groups` are the trigger groups in written order, `agents` the paths in written order, composites before what is in them.
    `filters` is what is to be subscribed at the broker, each with its QoS. `openings` are called once at the start with the
    moment: what puts out the first value of a port.
    """

    engine: Engine
    groups: Sequence[GroupRunner]
    filters: Mapping[str, int]
    agents: Sequence[AgentPath]
    elsewhere: frozenset[AgentPath] = frozenset()
    """Agents of the matrix that speak for themselves, such as boards."""
    openings: Sequence[Callable[[int], None]] = field(default=())
    workshop: Workshop | None = None
    """Where agents' code runs; None where no agent has any."""
    session_durable: bool = False
    """Whether the broker is to keep what comes while the host is away."""
    questions: Questions | None = None
    """What people are asked; None where no agent asks any."""

    def start(self, stored: Mapping[str, Mapping[str, bytes]], now_us: int, damaged: Callable[[str, Exception], None]) -> None:
        """Start every group, from its stored parts where there are some, and do what is due.

        Args:
            stored: parts by the owner's key.
            damaged: called with the key and the error where a stored state is of no use; the group starts afresh.
        """
        for runner in self.groups:
            parts = stored.get(runner.store_key)
            if parts is None:
                runner.start(now_us)
            elif not runner.resume(parts, now_us, damaged):
                runner.start_afresh(now_us)
        for opening in self.openings:
            opening(now_us)
        self.engine.advance(now_us)

    def set_clock(self, skew_us: int, now_us: int) -> None:
        """Tell every group that the wall clock was set: it is the timeline plus `skew_us`."""
        self.engine.skew_us = skew_us
        for runner in self.groups:
            runner.set_clock(skew_us, now_us)
        self.engine.advance(now_us)
