"""A device's side of the bus: its own connection with its own will, its state, its values, and the commands for it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from edgematrix.delivery.ack import Ack, encode_ack
from edgematrix.errors import CodecError, EdgeMatrixError
from edgematrix.protocol.agent_state import agent_state
from edgematrix.protocol.codec import decode, encode_value
from edgematrix.protocol.message import Message, Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.protocol.topic import Kind, topic_for
from firmware_bridge.counted import counted
from firmware_bridge.receipts import Finished, Receipts
from firmware_bridge.serial.command import WIRE_ID_BYTES, Command, wire_id
from firmware_bridge.serial.device import Device, Phase
from firmware_bridge.serial.edges import Edges
from firmware_bridge.serial.effect import Answer, Committed, Effect, Publish, Send
from firmware_bridge.serial.place import Place

__all__ = ["Post", "state_message"]


def state_message(device: Device, place: Place, host: str, session: str, since: str | None, *, is_will: bool = False) -> bytes:
    """What is retained on the device's `state`; of a will nobody knows beforehand when it is published."""
    status, reason = ("offline", "the bridge is gone") if is_will else (device.phase.status, device.reason)
    found = agent_state(status, host, session, since)
    if reason:
        found["reason"] = reason
    line: dict[str, object] = {"port": place.line, "address": place.address}
    if not is_will:
        line["counts"] = counted(device.counts)
        if device.damaged:
            line["device_damaged"] = device.damaged
        if device.waiting:
            line["commands_waiting"] = device.waiting
    found["line"] = line
    return encode_value(found)


class Post:
    """Does what a device's state machine wants, and tells it what comes in: from the line, from the broker, and with time.

    Args:
        device: the state machine.
        root: what stands first in the bus's topics.
        host: who is told as the device's host: the client id of its connection.
        write: sends a frame over the line.
        told: hears each change in a sentence.
    """

    def __init__(
        self, device: Device, place: Place, root: str, host: str, write: Callable[[bytes], None], clock: Clock, told: Callable[[str], None]
    ) -> None:
        self.device = device
        self.session = secrets.token_hex(8)
        self.transport: Transport | None = None
        self._place = place
        self._root = root
        self._host = host
        self._write = write
        self._clock = clock
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_online = False
        self._ended = False
        self._status = ""
        self._said = self._describe()
        self._since = format_moment(clock.wall_us())
        self._kept: dict[str, bytes] = {}
        """The last values of outputs that are retained."""
        self._edges = Edges()
        self._base = 0
        """`edgebase` of the command that came in last."""
        self._receipts = Receipts()

    @property
    def address(self) -> int:
        """The device's address on its line."""
        return self.device.address

    @property
    def inputs(self) -> str:
        """The filter of commands for it."""
        return topic_for(self._root, Kind.IN, self.device.path, "+")

    def will(self) -> Publication:
        """What the broker publishes when the bridge is gone."""
        payload = state_message(self.device, self._place, self._host, self.session, None, is_will=True)
        return Publication(topic_for(self._root, Kind.STATE, self.device.path), payload, 1, retain=True)

    def end(self) -> None:
        """Say that it is offline; nothing is done from now on."""
        self.device.gone("the bridge was stopped")
        self.settle()
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()

    # What the line tells

    def opened(self) -> None:
        """The line is there."""
        self.device.opened(self._clock.now_us())
        self.settle()

    def gone(self, reason: str) -> None:
        """The line is gone."""
        self.device.gone(reason)
        self.settle()

    def frame(self, kind: int, number: int, payload: bytes) -> None:
        """A frame from the device."""
        self.device.frame(kind, number, payload, self._clock.now_us())
        self.settle()

    def noise(self, reason: str, times: int) -> None:
        """Something on the line was damaged."""
        self.device.noise(reason, times, self._clock.now_us())
        self.settle()

    # What the broker tells

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """A command came in."""
        receipt = self.transport.receipt if qos and self.transport is not None else 0
        if receipt:
            self._receipts.took(receipt)
        command = self._command(topic, payload, receipt, retained=retained)
        if command is None:
            self.device.noise("commands_malformed", 1, self._clock.now_us())
            self._finish(receipt)
        elif command.edge and not self._edges.take(command.edge, command.epoch, command.sequence, self._base):
            self.device.noise("commands_repeated", 1, self._clock.now_us())
            self._acknowledge(self._edges.ack(command.edge, command.epoch))
            self._finish(receipt)
        else:
            self.device.command(command, self._clock.now_us())
        self.settle()

    def connected(self, session_present: bool) -> None:
        """The broker took us in."""
        self._is_online = True
        self._receipts.clear()
        if session_present:
            self.device.redelivered()
        self._tell_state()
        for port, value in self._kept.items():
            self._publish(port, value, retain=True)
        for ack in self._edges.all():
            self._acknowledge(ack)
        self.settle()

    def disconnected(self, reason: str) -> None:
        """The connection is gone."""
        self._is_online = False
        self._told(f"{self.device.path}: the broker is away: {reason}")

    def refused(self, topic_filter: str, reason: str) -> None:
        """The broker refused what we asked for."""
        self._told(f"{self.device.path}: the broker refuses {topic_filter}: {reason}")

    def dropped(self, topic: str, reason: str) -> None:
        """A message was given up."""
        self._told(f"{self.device.path}: a message on {topic} is lost: {reason}")
        self.device.noise("undelivered", 1, self._clock.now_us())

    def confirmed(self, number: int) -> None:
        """The broker has a value of which the device waits to hear."""
        self.device.confirmed(number)
        self.settle()

    # What is to be done

    def settle(self) -> None:
        """Do all that the device wants, and wake when something is due."""
        device = self.device
        while device.effects:
            effects, device.effects[:] = device.effects[:], []
            for effect in effects:
                self._do(effect)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_us = device.deadline_us
        if due_us is not None and not self._ended:
            self._timer = self._loop.call_later(max(0.0, self._clock.wait_s(due_us)), self._advance)

    def _advance(self) -> None:
        self._timer = None
        self.device.advance(self._clock.now_us())
        self.settle()

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            self._write(effect.frame)
        elif isinstance(effect, Publish):
            if effect.retain:
                self._kept[effect.port] = effect.value
            if self._is_online or effect.number:
                self._publish(effect.port, effect.value, retain=effect.retain, number=effect.number)
            elif not effect.retain:
                self.device.counts["unsent_values"] += 1
        elif isinstance(effect, Answer):
            self._answer(encode_value({"id": effect.id, "error": effect.error} if effect.error else {"id": effect.id}))
        elif isinstance(effect, Committed):
            self._acknowledge(self._edges.done(effect.edge, effect.epoch, effect.sequence))
        elif isinstance(effect, Finished):
            self._finish(effect.receipt)
        else:
            self._tell_state()

    def _acknowledge(self, ack: Ack) -> None:
        self._answer(encode_ack(ack))

    def _answer(self, payload: bytes) -> None:
        self._send(Publication(topic_for(self._root, Kind.ACK, self.device.path), payload))

    def _publish(self, port: str, value: bytes, *, retain: bool, number: int = 0) -> None:
        topic = topic_for(self._root, Kind.OUT, self.device.path, port)
        self._send(Publication(topic, value, 1 if number else 0, retain=retain, number=number))

    def _send(self, publication: Publication) -> None:
        if self.transport is None:
            return
        try:
            self.transport.publish(publication)
        except EdgeMatrixError as error:
            self._told(f"{self.device.path}: {error}")
            self.device.counts["undelivered"] += 1

    def _finish(self, receipt: int) -> None:
        """Tell the broker of all that is finished up to the first that is not."""
        last = self._receipts.finish(receipt)
        if last and self.transport is not None:
            self.transport.acknowledge(last)

    def _tell_state(self) -> None:
        device = self.device
        if device.phase.status != self._status:
            self._status = device.phase.status
            self._since = format_moment(self._clock.wall_us())
        said = self._describe()
        if said != self._said:
            self._said = said
            self._told(said)
        if self._is_online:
            # Another session of the device is another life: what was asked of the former is not answered any more.
            session = f"{self.session}-{device.session:04x}" if device.phase is Phase.UP else self.session
            payload = state_message(device, self._place, self._host, session, self._since)
            self._send(Publication(topic_for(self._root, Kind.STATE, device.path), payload, 1, retain=True))

    def _describe(self) -> str:
        device = self.device
        return f"{device.path} is {device.phase.status}{f' ({device.reason})' if device.reason else ''}"

    def _command(self, topic: str, payload: bytes, receipt: int, *, retained: bool) -> Command | None:
        port = topic.rpartition("/")[2]
        if retained and port.startswith("_"):
            return None  # for parts of a firmware that this device has not (topics.md, "Settled while building")
        if retained:
            self._told(f"{self.device.path}: a retained command on {port} is refused")
            return None
        try:
            message = decode(topic, payload)
            value = encode_value(message.value) if message.source else payload
        except CodecError as error:
            self._told(f"{self.device.path}: a command on {port} is refused: {error.what}")
            return None
        return self._made(port, value, message, receipt)

    def _made(self, port: str, value: bytes, message: Message, receipt: int) -> Command:
        wall_us = message.trail.expiry_us
        wanted_us = None if wall_us is None else self._clock.from_wall_us(wall_us)
        is_durable = message.sequence is not None
        expires_us = self.device.expiry_us(wanted_us, self._clock.now_us(), durable=is_durable)
        found = message.trail.id
        command = Command(found, wire_id(found) if found else secrets.token_bytes(WIRE_ID_BYTES), port, value, expires_us, receipt)
        if is_durable:
            command.edge = f"{message.source}>{self.device.path}.{port}"
            command.epoch, command.sequence, self._base = message.epoch or 0, message.sequence or 0, message.base or 0
        return command
