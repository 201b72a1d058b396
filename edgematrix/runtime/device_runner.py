"""A device's agent in a host: foreign topics become outputs, commands on its inputs become publications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from edgematrix.agents.device import Device
from edgematrix.agents.effect import Effect, Emit, Hold, Publish, Refuse
from edgematrix.errors import StateError
from edgematrix.protocol.event import Trail
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.dead_letter import Origin
from edgematrix.runtime.engine import Engine, Hits
from edgematrix.runtime.stored_form import pack, unpack

if TYPE_CHECKING:
    from edgematrix.runtime.approval_runner import ApprovalRunner

__all__ = ["DeviceRunner"]


class DeviceRunner:
    """Feeds one device with messages and moments, and carries out what it asks for.

    Its inputs are numbered: the reads in written order, then the availability, then the writes.
    """

    __slots__ = ("_deadline_us", "_device", "_dirty", "_engine", "_is_paced", "_state", "agent", "approvals", "order")

    def __init__(self, engine: Engine, agent: AgentPath, device: Device, order: int) -> None:
        self._engine = engine
        self.agent = agent
        self._device = device
        self._state = device.start()
        self._deadline_us: int | None = None
        self._is_paced = device.is_paced
        self._dirty = False
        self.order = order
        self.approvals: ApprovalRunner | None = None
        """Where critical commands wait for a person; None where nothing is critical."""

    @property
    def store_key(self) -> str:
        """Under which it is stored how often the device was told something."""
        return f"{self.agent}#pace"

    def save(self) -> dict[str, bytes | None]:
        """The paces: a restart lets nobody tell it more."""
        self._dirty = False
        return {"": pack({port: pace.kept() for port, pace in self._state.paces.items()})}

    def load(self, parts: Mapping[str, bytes], now_us: int, damaged: Callable[[str, Exception], None]) -> None:
        """Take up what was stored. What is of no use is told, and forgotten."""
        try:
            stored = unpack(parts.get("", b""), dict[str, tuple[list[int], int | None]])
        except StateError as error:
            damaged(self.store_key, error)
            return
        for port, (sent, last_us) in stored.items():
            if port in self._state.paces:
                self._state.paces[port].go_on(sent, last_us, now_us)

    def foreign_inputs(self) -> Iterator[tuple[TopicFilter, int, int]]:
        """The filters of foreign topics, each with its QoS and the number of the input."""
        reads = self._device.reads
        for index, reading in enumerate(reads):
            yield reading.filter, reading.qos, index
        if self._device.availability is not None:
            yield self._device.availability, max((reading.qos for reading in reads), default=0), len(reads)

    def ports(self) -> Iterator[tuple[str, int]]:
        """The input ports, each with the number of the input."""
        yield from zip(self._device.writes, range(len(self._device.reads) + 1, 1 << 16), strict=False)

    def receive(self, message: Message, hits: Hits, now_us: int) -> None:
        """Take one message: whether the device is there first, for it decides what the readings are worth."""
        reads = len(self._device.reads)
        for index, _ in sorted(hits, key=lambda hit: hit[0] != reads):
            if index < reads:
                self._carry_out(self._device.read(self._state, index, message), message.trail, now_us)
            elif index == reads:
                self._carry_out(self._device.available(self._state, message), message.trail, now_us)
            else:
                self._write(self._device.writes[index - reads - 1], message, now_us)

    def awaits(self, due_us: int) -> bool:
        """Whether it waits for that moment."""
        return due_us == self._deadline_us

    def due(self, due_us: int, now_us: int) -> None:
        """Send what was held back, or give it up."""
        if due_us == self._deadline_us:
            effects, deadline_us = self._device.tick(self._state, now_us)
            self._carry_out(effects, NO_TRAIL, now_us)
            self._wait(deadline_us)

    def approved(self, port: str, value: object, trail: Trail, now_us: int) -> str:
        """Carry a command out that a person has approved, within its limits as of now. Why it was refused; empty where it was not."""
        effects, deadline_us = self._device.write(self._state, port, value, now_us, expiry_us=trail.expiry_us, cause=trail.id)
        self._carry_out(effects, trail, now_us)
        self._wait(deadline_us)
        return next((effect.reason for effect in effects if isinstance(effect, Refuse) and effect.cause == trail.id), "")

    def _write(self, port: str, message: Message, now_us: int) -> None:
        trail = message.trail
        effects, deadline_us = self._device.write(
            self._state, port, message.value, now_us, expiry_us=trail.expiry_us, taint=trail.taint, cause=trail.id
        )
        self._wait(deadline_us)
        if len(effects) == 1 and isinstance(effects[0], Hold):
            effects = self._hold(effects[0], message, now_us)
        self._carry_out(effects, trail, now_us)

    def _hold(self, held: Hold, message: Message, now_us: int) -> list[Effect]:
        """Ask a person about a command; what cannot be asked is refused."""
        if self.approvals is None:
            reason = "the command is critical and follows from untrusted text, and nobody can be asked here"
        else:
            reason = self.approvals.offer(held.port, held.value, message, now_us)
        return [Refuse(held.port, message.value, reason, message.trail.id)] if reason else []

    def _wait(self, deadline_us: int | None) -> None:
        self._deadline_us = deadline_us
        if deadline_us is not None:
            self._engine.schedule(self, deadline_us)

    def _carry_out(self, effects: Iterable[Effect], trail: Trail, now_us: int) -> None:
        engine, agent = self._engine, self.agent
        for effect in effects:
            if isinstance(effect, Emit):
                engine.emit(agent, effect.port, effect.value, trail, now_us, retained=effect.retained)
            elif isinstance(effect, Publish):
                engine.publish(agent, effect.topic, effect.value, now_us, qos=effect.qos, retain=effect.retain, taint=effect.taint)
                if self._is_paced and not self._dirty:
                    self._dirty = True
                    engine.touched.append(self)
            elif isinstance(effect, Refuse):
                kind = Kind.IN if effect.port in self._device.writes else Kind.OUT
                came = trail if effect.cause in ("", trail.id) else Trail(effect.cause)  # it may have been held meanwhile
                topic = topic_for(engine.root, kind, agent, effect.port)
                engine.dead_letter(agent, topic, effect.value, effect.reason, now_us, Origin(came))
