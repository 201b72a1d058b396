"""A call: work that somebody waits for the end of. The book of all of them: `calls`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.outbound import Outbound
from edgematrix.runtime.part import Part
from edgematrix.runtime.run import Run

__all__ = ["ERROR", "Answer", "Call", "Holder", "Keeping"]

ERROR = "error"
"""The port on which a composite tells of its failure, right before its run ends: the end is what a call waits for then."""


class Holder(Protocol):
    """Whoever may hold work back before it begins: a trigger group in a host."""

    def runs_held(self) -> Collection[str]:
        """The ids of all runs of which a token or a firing waits in it."""

    def runs(self) -> Sequence[Run]:
        """The runs under way."""

    def retire(self, now_us: int) -> None:
        """End what is under way, and begin nothing any more: the agent is taken out."""

    def waits_for(self, runid: str) -> str:
        """What the agent waits for in this run, in words; empty if it does not say."""


class Keeping(Protocol):
    """Who keeps a call for a restart: the run that called."""

    def touched(self) -> None:
        """The call is no longer what it was."""


class Call:
    """One call. Its end is told once, by `answered(call, now_us)`.

    `outputs` are the values by port, `failure` says why there is nothing more, `gone` that the receiver is not there. `taint`
    has the origins of untrusted text in the outputs. `inputs` is how many input ports were given a value. `is_here` tells that the
    receiver runs on this host, `is_remote` that the caller does not.
    """

    __slots__ = (
        "afar",
        "answered",
        "awaiting",
        "by",
        "caller",
        "failure",
        "gathered",
        "given",
        "gone",
        "held_by",
        "inputs",
        "is_here",
        "is_kept",
        "is_remote",
        "loss",
        "outputs",
        "over_here",
        "owed",
        "part_heard",
        "parts_heard",
        "ports",
        "receiver",
        "runid",
        "runs",
        "sent",
        "taint",
        "wanted",
    )

    def __init__(
        self, runid: str, caller: AgentPath, receiver: AgentPath, wanted: frozenset[str], answered: Answer, *, inputs: int, is_here: bool
    ) -> None:
        self.runid = runid
        self.caller = caller
        self.receiver = receiver
        self.wanted = wanted
        self.answered = answered
        self.inputs = inputs
        self.is_here = is_here
        self.by: Keeping | None = None
        """The run that called, where that goes on after a restart, or who else keeps the call for one."""
        self.outputs: dict[str, object] = {}
        self.taint = ""
        self.given = ""
        """The taint of what it was given."""
        self.failure = ""
        self.gone = False
        self.part_heard: Callable[[Call, Part, int], None] | None = None
        """Called with each piece of its outputs that is streamed, where the caller wants them."""
        self.parts_heard: dict[str, int] | None = None
        """The newest piece by port, where the receiver is elsewhere."""
        self.held_by: list[Holder] | None = None
        """The groups in which its work waits to begin."""
        self.loss = ""
        """Why work of it was lost before it began."""
        self.runs: list[Run] | None = None
        """The runs of the receiver that are under way; None before the first."""
        self.is_remote = False
        self.is_kept = False
        """Whether caller and receiver, on two hosts, are durable: it outlives the absence of either."""
        self.gathered: list[Message] = []
        """Inputs that have come while others are yet to come, where the caller is elsewhere: all are given at one instant, as they are
        where the caller is here, so that a group which joins them mixes no calls."""
        self.awaiting = 0
        """Inputs that are yet to come, where the caller is elsewhere."""
        self.afar: set[AgentPath] | None = None
        """The agents elsewhere that are yet to tell that their work on it has ended; None where none tells it."""
        self.owed: frozenset[str] = frozenset()
        """The ports that the receiver, elsewhere, has put something out on before its end, and that are yet to come: each port is an edge
        of its own, and one may overtake another."""
        self.over_here: Callable[[Call, int], None] | None = None
        """To be called when the work on it that is done here has ended, where somebody elsewhere waits for that word."""
        self.sent: tuple[Outbound, ...] = ()
        """What was sent to a receiver elsewhere."""
        self.ports: tuple[str, ...] = ()
        """The input ports of a receiver elsewhere that were given a value, in order."""

    def lose(self, reason: str) -> None:
        """Work of it was lost before it began."""
        self.loss = reason
        if self.by is not None:
            self.by.touched()


Answer: TypeAlias = Callable[[Call, int], None]
