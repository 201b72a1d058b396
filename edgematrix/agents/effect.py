"""What an agent's step wants done, as data; whoever drives the agent carries it out, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from edgematrix.protocol.path import AgentPath

__all__ = ["Call", "Effect", "Emit", "Publish", "Refuse", "Send"]


@dataclass(slots=True)
class Publish:
    """A bare payload on a foreign topic."""

    topic: str
    value: object
    qos: int = 0
    retain: bool = False


@dataclass(slots=True)
class Emit:
    """A value on the agent's own output port; None is an unknown value. `retained`: the message that it is read from was."""

    port: str
    value: object
    retained: bool = False


@dataclass(slots=True)
class Send:
    """An event to another agent's input port."""

    path: AgentPath
    port: str
    value: object


@dataclass(slots=True)
class Call:
    """An event to another agent's input port, whose answer is awaited for `timeout_us`."""

    path: AgentPath
    port: str
    value: object
    timeout_us: int


@dataclass(slots=True)
class Refuse:
    """A message that was not handled: it goes to `dead` with the reason. `cause` is what the caller knows it by."""

    port: str
    value: object
    reason: str
    cause: str = ""


Effect: TypeAlias = Publish | Emit | Send | Call | Refuse
