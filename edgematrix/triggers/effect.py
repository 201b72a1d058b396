"""What a group asks its host to do."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from edgematrix.triggers.firing import Firing

__all__ = ["Cancel", "DeadLetter", "Effect", "Start"]


class Start(NamedTuple):
    """Begin a run. The group counts it as going until `RunEnded(run)` or `Cancel(run)`."""

    run: int
    firing: Firing


class Cancel(NamedTuple):
    """Stop a run that has not ended yet. The group no longer counts it; no `RunEnded` is needed."""

    run: int


class DeadLetter(NamedTuple):
    """Report a firing that found no room."""

    firing: Firing
    reason: str


Effect: TypeAlias = Start | Cancel | DeadLetter
