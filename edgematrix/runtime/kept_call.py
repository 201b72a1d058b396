"""An open call as it is kept for a restart, by whoever waits for its end."""

from __future__ import annotations

import msgspec

from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath

__all__ = ["KeptCall", "unbegun"]


class KeptCall(msgspec.Struct, frozen=True, array_like=True):
    """What `Calls.reopen` makes the call of again. `until_us` is when whoever called waits for it no longer; None for never. `ports`
    are the input ports that were given a value, in order, where the receiver is elsewhere.
    """

    runid: str
    caller: AgentPath
    receiver: AgentPath
    wanted: tuple[str, ...]
    inputs: int
    is_here: bool
    given: str
    outputs: dict[str, object]
    taint: str
    loss: str
    is_kept: bool = False
    afar: tuple[str, ...] | None = None
    until_us: int | None = None
    owed: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


def unbegun(message: Message, receiver: AgentPath) -> KeptCall:
    """A call of which nothing is worked on, as it is kept."""
    return KeptCall(message.trail.runid, AgentPath(message.source), receiver, (), message.call_inputs or 1, True, "", {}, "", "")
