"""The outcome of one step of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgematrix.triggers.effect import Effect
from edgematrix.triggers.state import GroupState
from edgematrix.triggers.trace import Trace

__all__ = ["Step"]


class Step(NamedTuple):
    """What followed from one event.

    `effects` are to be carried out in order. `deadline_us` is the moment of the next change by time alone, on the
    caller's timeline; None if there is none. It may be now, or (after a restart) in the past: then `Tick` again.
    """

    state: GroupState
    effects: Sequence[Effect]
    deadline_us: int | None
    traces: Sequence[Trace]
