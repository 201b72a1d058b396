"""Commands on their way to a device: one at a time, again until it answers, and none longer than it is worth something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from firmware_bridge.receipts import Finished
from firmware_bridge.serial.command import WIRE_ID_BYTES, Command, Commands
from firmware_bridge.serial.effect import Answer, Committed, Effect
from firmware_bridge.serial.hello import Port
from firmware_bridge.serial.kind import Kind, Result
from firmware_bridge.serial.pace import Pace
from firmware_bridge.upy.serial_frame import PAYLOAD_MAX

__all__ = ["Errands"]

_HEAD = WIRE_ID_BYTES + 1
_VALUE_BYTES_MAX = PAYLOAD_MAX - _HEAD
_ERROR_LENGTH_MAX = 80


class Errands:
    """Sends the commands of one device.

    Args:
        pace: the waits and bounds.
        counts: where is counted what became of them.
        do: what is to be done.
        send: sends a frame of a kind with a payload.
        answer_us: how long an answer may take, the line's own time included.
    """

    def __init__(
        self, pace: Pace, counts: Counter[str], do: Callable[[Effect], None], send: Callable[[Kind, bytes], None], answer_us: int
    ) -> None:
        self.ports: tuple[Port, ...] = ()
        self.room = 0
        self.is_up = False
        self.again_us: int | None = None
        """When the one under way is sent again."""
        self._commands = Commands(pace.commands_max, pace.ids_max)
        self._counts = counts
        self._do = do
        self._send = send
        self._first_us = answer_us
        self._most_us = max(answer_us, pace.answer_us_max)

    def __len__(self) -> int:
        return len(self._commands)

    @property
    def deadline_us(self) -> int | None:
        """When something is due; None if nothing is."""
        moments = [command.expires_us for command in self._commands]
        if self.again_us is not None:
            moments.append(self.again_us)
        return min(moments, default=None)

    def take(self, command: Command, now_us: int) -> None:
        """A command came in."""
        again = self._commands.waiting(command.id)
        if self._commands.was_done(command.id):
            self._counts["commands_repeated"] += 1
            self._end(command, "")
        elif again is not None:
            # The broker delivers what it keeps once more on each connection: the newest receipt counts.
            self._counts["commands_repeated"] += 1
            again.receipt = command.receipt or again.receipt
        elif len(command.value) > _VALUE_BYTES_MAX:
            self._refuse(command, f"the value has {len(command.value)} bytes, {_VALUE_BYTES_MAX} is the most")
        elif self._commands.is_full:
            self._refuse(command, f"{len(self._commands)} commands wait already")
        else:
            self._commands.add(command)
            self.step(now_us)

    def redelivered(self) -> None:
        """The broker is going to deliver all that it keeps once more: what has no id could not be told from that, and waits for it."""
        for command in list(self._commands):
            if command.receipt and not command.id and not command.sent:
                self._commands.take(command)
            command.receipt = 0

    def begin(self) -> None:
        """The device began anew: whether it had done what was under way, nobody knows. On a durable edge it is sent again."""
        first = self._commands.first
        if first is not None and first.sent and not first.edge:
            self._commands.take(first)
            self._refuse(first, "the device began anew before it answered; it may have been done")
        self.again_us = None

    def step(self, now_us: int) -> None:
        """Drop what is worth nothing any more, and send what is due."""
        for command in [command for command in self._commands if now_us >= command.expires_us]:
            self._commands.take(command)
            self._lapse(command)
        while self.is_up:
            first = self._commands.first
            if first is None:
                break
            reason = self._impossible(first)
            if not reason:
                if not first.sent or self.again_us is None or now_us >= self.again_us:
                    self._go(first, now_us)
                return
            self._commands.take(first)
            self._refuse(first, reason)
        self.again_us = None

    def answered(self, payload: bytes, now_us: int) -> None:
        """The device's word on one."""
        first = self._commands.first
        if len(payload) < _HEAD or first is None or not first.sent or payload[:WIRE_ID_BYTES] != first.wire:
            self._counts["answers_unasked"] += 1
            return
        self._commands.take(first)
        self.again_us = None
        result = payload[WIRE_ID_BYTES]
        if result == Result.DONE:
            self._counts["commands_done"] += 1
            self._commands.remember(first.id)
            self._end(first, "")
        else:
            known = Result(result) if result in set(Result) else Result.FAILED
            self._refuse(first, payload[_HEAD:].decode(errors="replace") or known.reason)
        self.step(now_us)

    def _go(self, command: Command, now_us: int) -> None:
        number = next(number for number, port in enumerate(self.ports) if port.name == command.port)
        self._send(Kind.COMMAND, command.wire + bytes([number]) + command.value)
        if command.sent:
            self._counts["sent_again"] += 1
        elif command.receipt and not command.id:
            # It has no id by which it could be known again: better that the broker does not deliver it twice.
            self._do(Finished(command.receipt))
            command.receipt = 0
        self.again_us = now_us + min(self._most_us, self._first_us << min(command.sent, 8))
        command.sent += 1

    def _impossible(self, command: Command) -> str:
        if not any(port.is_input and port.name == command.port for port in self.ports):
            return f"there is no port {command.port}"
        if len(command.value) + _HEAD > self.room:
            return f"the value has {len(command.value)} bytes, the device takes {self.room - _HEAD}"
        return ""

    def _lapse(self, command: Command) -> None:
        if command.sent:
            self.again_us = None
            self._refuse(command, "it has expired; the device did not answer, and may have done it", "commands_expired")
        else:
            self._refuse(command, "it has expired before the device was there", "commands_expired")

    def _refuse(self, command: Command, reason: str, count: str = "commands_refused") -> None:
        self._counts[count] += 1
        self._end(command, reason)

    def _end(self, command: Command, error: str) -> None:
        if command.edge:
            self._do(Committed(command.edge, command.epoch, command.sequence))
        if command.id and (error or not command.edge):
            self._do(Answer(command.id, error[:_ERROR_LENGTH_MAX]))
        if command.receipt:
            self._do(Finished(command.receipt))
