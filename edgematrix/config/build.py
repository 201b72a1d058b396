"""Makes the running objects of a matrix out of its definition: the only composition root."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.group_runner import GroupRunner

__all__ = ["Built"]


@dataclass(frozen=True, slots=True)
class Built:
    """A matrix made ready to run in one place.

    `groups` are the trigger groups in written order, `filters` what is to be subscribed at the broker, each with its QoS,
    `agents` the paths in written order, composites first.
    """

    engine: Engine
    groups: Sequence[GroupRunner]
    filters: dict[str, int]
    agents: Sequence[AgentPath]
