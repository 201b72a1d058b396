"""What an agent's step wants done, as data; whoever drives the agent carries it out, in order.

`of_request` tells that something of what began the run is in it, and not the answer to a call alone: it is as untrusted as that was.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from edgematrix.protocol.path import AgentPath

__all__ = ["Call", "Effect", "Emit", "Hold", "Publish", "Refuse", "Send"]


class Publish(msgspec.Struct, gc=False):
    """A bare payload on a foreign topic. `taint` has the origins of untrusted text that it follows from, where the step knows them."""

    topic: str
    value: object
    qos: int = 0
    retain: bool = False
    taint: str = ""
    of_request: bool = True


class Emit(msgspec.Struct, gc=False):
    """A value on the agent's own output port; None is an unknown value. `retained`: the message that it is read from was."""

    port: str
    value: object
    retained: bool = False
    of_request: bool = True


class Send(msgspec.Struct, gc=False):
    """An event to another agent's input port."""

    path: AgentPath
    port: str
    value: object
    of_request: bool = True


class Call(msgspec.Struct, gc=False):
    """An event to another agent's input port, whose answer is awaited for `timeout_us`."""

    path: AgentPath
    port: str
    value: object
    timeout_us: int
    of_request: bool = True


class Refuse(msgspec.Struct, gc=False):
    """A message that was not handled: it goes to `dead` with the reason. `cause` is what the caller knows it by."""

    port: str
    value: object
    reason: str
    cause: str = ""


class Hold(msgspec.Struct, gc=False):
    """A command that is within its limits, and waits for a person's approval."""

    port: str
    value: object


Effect: TypeAlias = Publish | Emit | Send | Call | Refuse | Hold
