"""What an agent's step wants done, as data; whoever drives the agent carries it out, in order."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from edgematrix.protocol.path import AgentPath

__all__ = ["Call", "Effect", "Emit", "Publish", "Refuse", "Send"]


class Publish(msgspec.Struct, gc=False):
    """A bare payload on a foreign topic."""

    topic: str
    value: object
    qos: int = 0
    retain: bool = False


class Emit(msgspec.Struct, gc=False):
    """A value on the agent's own output port; None is an unknown value. `retained`: the message that it is read from was."""

    port: str
    value: object
    retained: bool = False


class Send(msgspec.Struct, gc=False):
    """An event to another agent's input port."""

    path: AgentPath
    port: str
    value: object


class Call(msgspec.Struct, gc=False):
    """An event to another agent's input port, whose answer is awaited for `timeout_us`."""

    path: AgentPath
    port: str
    value: object
    timeout_us: int


class Refuse(msgspec.Struct, gc=False):
    """A message that was not handled: it goes to `dead` with the reason. `cause` is what the caller knows it by."""

    port: str
    value: object
    reason: str
    cause: str = ""


Effect: TypeAlias = Publish | Emit | Send | Call | Refuse
