"""The steps of a compiled `do:`, one for each action of each rule.

They hold no cycles, so the garbage collector passes them over (`gc=False`): 16 bytes less for each.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from edgematrix.agents.effect import Call, Effect, Emit, Publish, Send
from edgematrix.agents.topic import TopicTemplate
from edgematrix.expression import Condition, Scope, Template
from edgematrix.protocol.path import AgentPath

__all__ = ["Calling", "Delay", "Delaying", "Emitting", "Outcome", "Publishing", "Sending", "Step", "Stop", "Stopping"]


class Delay(msgspec.Struct, frozen=True, gc=False):
    """Go on after so long."""

    length_us: int


class Stop(msgspec.Struct, frozen=True, gc=False):
    """The run is over."""


Outcome: TypeAlias = "list[Effect] | Delay | Stop"


class Step(msgspec.Struct, frozen=True, gc=False):
    """One action: the `number`th of its list, carried out if `when` holds. `calls` tells that it waits for an answer."""

    number: int
    when: Condition | None
    kind: ClassVar[str]
    calls: ClassVar[bool] = False

    @property
    def place(self) -> str:
        """Where it stands, as in `do.2.publish`."""
        return f"do.{self.number}.{self.kind}"

    def act(self, scope: Scope) -> Outcome:
        """What to do.

        Raises:
            ExpressionError: an expression failed.
            TopicError: a topic may not be published on.
        """
        raise NotImplementedError


class Publishing(Step, frozen=True, gc=False):
    """`publish:`; a topic without an expression is text."""

    kind: ClassVar[str] = "publish"
    topic: str | TopicTemplate
    payload: Template
    qos: int
    retain: bool

    def act(self, scope: Scope) -> Outcome:
        """A publication."""
        topic = self.topic if isinstance(self.topic, str) else self.topic.render(scope)
        return [Publish(topic, self.payload.render(scope), self.qos, self.retain)]


class Emitting(Step, frozen=True, gc=False):
    """`emit:` on one or more ports."""

    kind: ClassVar[str] = "emit"
    values: tuple[tuple[str, Template], ...]

    def act(self, scope: Scope) -> Outcome:
        """A value for each port."""
        return [Emit(port, value.render(scope)) for port, value in self.values]


class Sending(Step, frozen=True, gc=False):
    """`send:` to an input port."""

    kind: ClassVar[str] = "send"
    path: AgentPath
    port: str
    payload: Template

    def act(self, scope: Scope) -> Outcome:
        """An event for the receiver."""
        return [Send(self.path, self.port, self.payload.render(scope))]


class Calling(Step, frozen=True, gc=False):
    """`call:` an agent, and wait."""

    kind: ClassVar[str] = "call"
    calls: ClassVar[bool] = True
    path: AgentPath
    port: str
    payload: Template
    timeout_us: int

    def act(self, scope: Scope) -> Outcome:
        """One call."""
        return [Call(self.path, self.port, self.payload.render(scope), self.timeout_us)]


class Delaying(Step, frozen=True, gc=False):
    """`delay:`."""

    kind: ClassVar[str] = "delay"
    delay: Delay

    def act(self, scope: Scope) -> Outcome:  # noqa: ARG002 - the signature of all steps
        """The wait."""
        return self.delay


class Stopping(Step, frozen=True, gc=False):
    """`stop:`, always or never, or by a condition."""

    kind: ClassVar[str] = "stop"
    stops: bool | Condition

    def act(self, scope: Scope) -> Outcome:
        """The end, or nothing."""
        stops = self.stops if isinstance(self.stops, bool) else self.stops.holds(scope)
        return _STOP if stops else []


_STOP = Stop()
