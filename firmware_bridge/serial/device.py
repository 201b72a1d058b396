"""One device on a line, as the bridge knows it: who it is, whether it is there, and what passes in both directions.

It has no clock, no line and no broker: it is told what happens, with the moment in microseconds, and puts what is to be done into
`effects`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum, auto

from edgematrix.protocol.path import AgentPath
from firmware_bridge.serial.command import Command
from firmware_bridge.serial.effect import Effect, Send, Tell
from firmware_bridge.serial.errands import Errands
from firmware_bridge.serial.hello import Hello, Port, read_hello
from firmware_bridge.serial.intake import Intake
from firmware_bridge.serial.kind import TO_DEVICE, Kind
from firmware_bridge.serial.pace import Pace
from firmware_bridge.upy.serial_frame import pack

__all__ = ["Device", "Phase"]

_FRAME_BYTES_MAX = 257
_HERE_BYTES = 4


class Phase(Enum):
    """Where a device stands."""

    AWAY = auto()
    """Its line is gone."""
    ASKED = auto()
    """It is asked who it is."""
    WELCOMED = auto()
    """It has said so, and has to answer our welcome."""
    UP = auto()
    """It works."""
    REFUSED = auto()
    """It says that it is somebody else, or something that cannot be understood."""

    @property
    def status(self) -> str:
        """How the bus calls it (docs/spec/topics.md, `state`)."""
        return {Phase.UP: "ready", Phase.REFUSED: "failed"}.get(self, "offline")


class Device:
    """A state machine.

    Args:
        path: its place in the tree.
        address: its address on the line.
        new_session: gives a number from 1 to 65535, another one each time.
        byte_us: how long one byte takes on the line.
    """

    def __init__(self, path: AgentPath, address: int, new_session: Callable[[], int], pace: Pace, byte_us: float = 0.0) -> None:
        self.path = path
        self.address = address
        self.effects: list[Effect] = []
        """What is to be done, in order. Whoever does it clears it."""
        self.counts: Counter[str] = Counter()
        self.phase = Phase.AWAY
        self.reason = "its line was not opened yet"
        """Why it is not up; empty if it is."""
        self.session = 0
        self.damaged = 0
        """Frames that the device could not read, as it says."""
        self._name = path.rpartition("/")[2]
        self._pace = pace
        self._new_session = new_session
        self._answer_us = pace.answer_us + int(2 * _FRAME_BYTES_MAX * byte_us)
        self._due_us: int | None = None
        """When the next question is due."""
        self._tries = 0
        self._tell_us: int | None = None
        """When counts are told next; None while nothing has changed."""
        self._told: Counter[str] = Counter()
        self._intake = Intake(pace, self.counts, self.effects.append, lambda kind, number: self._send(kind, number=number))
        self._errands = Errands(pace, self.counts, self.effects.append, self._send, self._answer_us)

    @property
    def ports(self) -> tuple[Port, ...]:
        """What it has, as it says; empty before it has said so."""
        return self._intake.ports

    @property
    def waiting(self) -> int:
        """How many commands wait, or are under way."""
        return len(self._errands)

    @property
    def deadline_us(self) -> int | None:
        """When `advance` is due; None if nothing is going to happen by itself."""
        moments = (self._due_us, self._errands.deadline_us, self._tell_us)
        return min((moment for moment in moments if moment is not None), default=None)

    # What happens

    def opened(self, now_us: int) -> None:
        """The line is there."""
        self._ask(now_us, "it has not said who it is")

    def gone(self, reason: str) -> None:
        """The line is gone, or was not found."""
        self._due_us = None
        self._go(Phase.AWAY, reason)

    def frame(self, kind: int, number: int, payload: bytes, now_us: int) -> None:
        """A whole frame with its address came in."""
        if kind & TO_DEVICE:
            self._counted("echo", now_us)
            return
        if self.phase is Phase.AWAY:
            return
        if kind == Kind.HELLO:
            self._hello(payload, now_us)
        elif kind == Kind.HERE:
            self._here(payload, now_us)
        elif self.phase is not Phase.UP:
            self._counted("early", now_us)
        else:
            self._heard(now_us)
            self._work(kind, number, payload, now_us)

    def noise(self, reason: str, times: int, now_us: int) -> None:
        """Frames on its line were damaged; whose they were, nobody knows."""
        self.counts[reason] += times
        self._noticed(now_us)

    def command(self, command: Command, now_us: int) -> None:
        """A command came in for it."""
        self._errands.take(command, now_us)
        self._noticed(now_us)

    def redelivered(self) -> None:
        """The broker delivers once more all commands that it still keeps."""
        self._errands.redelivered()

    def confirmed(self, number: int) -> None:
        """The broker has the value of this number."""
        if self.phase is Phase.UP:
            self._intake.confirmed(number)

    def advance(self, now_us: int) -> None:
        """Do what is due."""
        self._errands.step(now_us)
        if self._due_us is not None and now_us >= self._due_us:
            self._question(now_us)
        if self._tell_us is not None and now_us >= self._tell_us:
            self._tell()
        self._noticed(now_us)

    def expiry_us(self, wanted_us: int | None, now_us: int, *, durable: bool = False) -> int:
        """Until when a command is worth something."""
        if wanted_us is not None:
            return wanted_us
        return now_us + (self._pace.durable_us if durable else self._pace.command_us)

    # Who it is

    def _hello(self, payload: bytes, now_us: int) -> None:
        try:
            hello = read_hello(payload)
        except ValueError as error:
            self._refuse(str(error), "hello_malformed", now_us)
            return
        if hello.name and hello.name != self._name:
            self._refuse(f"it says that it is {hello.name!r}, and {self._name!r} is expected here", "is_another", now_us)
            return
        self._meet(hello)
        self._tries = 0
        self._go(Phase.WELCOMED, "it greets anew" if self.phase in (Phase.UP, Phase.REFUSED) else self.reason)
        self._question(now_us)

    def _meet(self, hello: Hello) -> None:
        if hello.session == 0:
            self._errands.begin()
        if hello.session == 0 or hello.session != self.session:
            if self.phase is not Phase.WELCOMED:  # else it greets twice, and nothing has passed since
                self.session = self._new_session()
            self._intake.begin()
        self._intake.ports = self._errands.ports = hello.ports
        self._errands.room = hello.room

    def _here(self, payload: bytes, now_us: int) -> None:
        """It answers a welcome or a ping."""
        if len(payload) < _HERE_BYTES or payload[0] << 8 | payload[1] != self.session or self.phase not in (Phase.WELCOMED, Phase.UP):
            self._counted("early", now_us)
            return
        self.damaged = payload[2] << 8 | payload[3]
        self._heard(now_us)
        if self.phase is Phase.WELCOMED:
            self._go(Phase.UP, "")
            self._errands.step(now_us)

    def _refuse(self, reason: str, count: str, now_us: int) -> None:
        self.counts[count] += 1
        self._go(Phase.REFUSED, reason)
        self._due_us = now_us + self._pace.quiet_us

    # What it says

    def _work(self, kind: int, number: int, payload: bytes, now_us: int) -> None:
        if kind == Kind.EMIT:
            self._intake.emit(number, payload, now_us)
        elif kind == Kind.EVENT:
            self._intake.event(number, payload, now_us)
        elif kind == Kind.ACK:
            self._errands.answered(payload, now_us)
        else:
            self.counts["unknown_kind"] += 1
        self._noticed(now_us)

    # Whether it is there

    def _heard(self, now_us: int) -> None:
        self._tries = 0
        self._due_us = now_us + self._pace.quiet_us

    def _ask(self, now_us: int, reason: str) -> None:
        self._tries = 0
        self._go(Phase.ASKED, reason)
        self._question(now_us)

    def _question(self, now_us: int) -> None:
        """Ask, again; or give it up."""
        if self.phase in (Phase.WELCOMED, Phase.UP) and self._tries >= self._pace.tries_max:
            self._ask(now_us, "it does not answer")
            return
        self._tries += 1
        if self.phase is Phase.UP:
            self._send(Kind.PING, self._session_bytes())
            self._due_us = now_us + max(self._answer_us, self._pace.ask_us)
        elif self.phase is Phase.WELCOMED:
            self._send(Kind.WELCOME, self._session_bytes())
            self._due_us = now_us + self._answer_us
        elif self.phase is Phase.AWAY:
            self._due_us = None
        else:
            self._send(Kind.WHO)
            self._due_us = now_us + (self._pace.ask_us if self.phase is Phase.ASKED else self._pace.quiet_us)

    def _session_bytes(self) -> bytes:
        return self.session.to_bytes(2, "big")

    def _send(self, kind: Kind, payload: bytes = b"", *, number: int = 0) -> None:
        self.effects.append(Send(pack(self.address, kind, number, payload)))

    # What is told

    def _go(self, phase: Phase, reason: str) -> None:
        told = (self.phase.status, self.reason)
        self.phase, self.reason = phase, reason
        self._errands.is_up = phase is Phase.UP
        if phase is not Phase.UP:
            self._errands.again_us = None
        if (phase.status, reason) != told:
            self._tell()

    def _counted(self, count: str, now_us: int) -> None:
        self.counts[count] += 1
        self._noticed(now_us)

    def _noticed(self, now_us: int) -> None:
        if self._tell_us is None and self.counts != self._told:
            self._tell_us = now_us + self._pace.tell_us

    def _tell(self) -> None:
        self._tell_us = None
        self._told = self.counts.copy()
        self.effects.append(Tell())
