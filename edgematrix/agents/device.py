"""A device on foreign topics as an agent: what it reports, and what it may be told (docs/spec/matrix.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from edgematrix.agents.capability import Capability, Refused
from edgematrix.agents.effect import Effect, Emit, Hold, Publish, Refuse
from edgematrix.agents.pace import Command, Pace
from edgematrix.agents.place import at
from edgematrix.agents.spec import Availability, DeviceSpec, ReadSpec, WriteSpec
from edgematrix.agents.topic import check_foreign
from edgematrix.errors import PathError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Message
from edgematrix.protocol.schema import Schema, compile_schema
from edgematrix.protocol.topic import DEFAULT_ROOT
from edgematrix.protocol.value import compile_value

__all__ = ["Device", "DeviceState", "Reading"]


class Reading(msgspec.Struct, frozen=True):
    """A compiled `reads` entry: what is on `filter` becomes values of the output `port`."""

    port: str
    filter: TopicFilter
    qos: int
    read: Callable[[object], object]
    schema: Schema | None


class DeviceState(msgspec.Struct):
    """What a device agent remembers. `online` is None as long as the device has not said; a step changes the state in place."""

    online: bool | None = None
    paces: dict[str, Pace] = {}


class Device:
    """A compiled device. It has no state of its own.

    `reads` are its output ports, `writes` the names of its input ports, `availability` where it says that it is there.

    Raises:
        PathError, TopicError, ProtocolError: an entry is wrong; `where` names it, as in `reads.lux.schema`.
    """

    __slots__ = ("_capabilities", "_online", "_spec", "availability", "reads")

    def __init__(self, spec: DeviceSpec, root: str = DEFAULT_ROOT) -> None:
        self._spec = spec
        self.reads = tuple(_compile_read(port, read) for port, read in spec.reads.items())
        self._capabilities: dict[str, Capability] = {}
        for port, write in spec.writes.items():
            self._capabilities[port] = _compile_write(port, write, root)
        self.availability: TopicFilter | None = None
        self._online: Callable[[object], bool] = bool
        if spec.availability is not None:
            with at("availability.topic"):
                self.availability = TopicFilter.parse(spec.availability.topic)
            with at("availability.value"):
                self._online = _compile_online(spec.availability)

    @property
    def writes(self) -> tuple[str, ...]:
        """The input ports."""
        return tuple(self._capabilities)

    @property
    def is_paced(self) -> bool:
        """Whether it counts how often it is told something."""
        return any(write.rate is not None or write.dwell is not None for write in self._spec.writes.values())

    def start(self) -> DeviceState:
        """A fresh state."""
        paces = {port: Pace(write.dwell, write.rate) for port, write in self._spec.writes.items()}
        return DeviceState(paces=paces)

    def read(self, state: DeviceState, index: int, message: Message) -> list[Effect]:
        """What `reads[index]` makes of a message: its value, None if that is unknown or the device is not there."""
        reading = self.reads[index]
        value = None if state.online is False else reading.read(message.value)
        if value is not None and reading.schema is not None:
            reason = reading.schema.refusal(value)
            if reason is not None:
                return [Refuse(reading.port, value, f"the value breaks the schema: {reason}")]
        return [Emit(reading.port, value, message.retained)]

    def available(self, state: DeviceState, message: Message) -> list[Effect]:
        """The device has said whether it is there: when it goes, every value is unknown at once."""
        online = self._online(message.value)
        if online is state.online:
            return []
        state.online = online
        return [] if online else [Emit(reading.port, None, message.retained) for reading in self.reads]

    def write(
        self,
        state: DeviceState,
        port: str,
        value: object,
        now_us: int,
        *,
        expiry_us: int | None = None,
        taint: str = "",
        cause: str = "",
    ) -> tuple[list[Effect], int | None]:
        """Take a command for an input port.

        Args:
            state: what `start` gave; it is changed.
            port: the input port.
            value: the command.
            now_us: the moment.
            expiry_us: from when on it is worth nothing, held back or not; None if it does not say. A command that says nothing
                was in time when it came, and a dwell does not make it late: what it asks for is still the newest wish.
            taint: the origins of untrusted text that it follows from. Where there are any, a critical command is not sent but held
                for a person; the approved one is given anew without them.
            cause: comes back in `Refuse`, also where the command was held meanwhile.

        Returns:
            What to carry out, and when to call `tick`; None if not at all.
        """
        capability = self._capabilities.get(port)
        if capability is None:
            known = ", ".join(self._capabilities) or "none"
            return [Refuse(port, value, f"the device takes no {port!r}; known: {known}", cause)], self._deadline(state)
        try:
            admitted = capability.admit(value)
        except Refused as refused:
            return [Refuse(port, value, str(refused), cause)], self._deadline(state)
        if taint and capability.is_critical:
            return [Hold(port, admitted)], self._deadline(state)
        command = Command(admitted, expiry_us, cause, taint)
        passed, turned_away = state.paces[port].offer(command, now_us)
        return self._effects(port, passed, turned_away), self._deadline(state)

    def tick(self, state: DeviceState, now_us: int) -> tuple[list[Effect], int | None]:
        """Time has passed: send what was held and is due, refuse what has expired; and when to call again."""
        effects: list[Effect] = []
        for port, pace in state.paces.items():
            effects.extend(self._effects(port, *pace.tick(now_us)))
        return effects, self._deadline(state)

    def _effects(self, port: str, passed: Command | None, turned_away: list[tuple[Command, str]]) -> list[Effect]:
        effects: list[Effect] = [Refuse(port, command.value, reason, command.cause) for command, reason in turned_away]
        if passed is not None:
            capability = self._capabilities[port]
            effects.append(Publish(capability.topic, passed.value, capability.qos, capability.retain, passed.taint))
        return effects

    def _deadline(self, state: DeviceState) -> int | None:
        return min((pace.deadline_us for pace in state.paces.values() if pace.deadline_us is not None), default=None)


def _compile_read(port: str, spec: ReadSpec) -> Reading:
    schema: Schema | None = None
    with at(f"reads.{port}.topic"):
        topic_filter = TopicFilter.parse(spec.topic)
    with at(f"reads.{port}.value"):
        if isinstance(spec.value, Mapping) and spec.as_ is not None:
            raise PathError(f"the value is an object, which is no {spec.as_}", remedy="leave `as` out, or make a read of each value")
        read = compile_value(spec.value, spec.as_)
    if spec.schema is not None:
        with at(f"reads.{port}.schema"):
            schema = compile_schema(spec.schema)
    return Reading(port, topic_filter, spec.qos, read, schema)


def _compile_write(port: str, spec: WriteSpec, root: str) -> Capability:
    schema: Schema | None = None
    with at(f"writes.{port}.topic"):
        check_foreign(spec.topic, root)
    if spec.schema is not None:
        with at(f"writes.{port}.schema"):
            schema = compile_schema(spec.schema)
    with at(f"writes.{port}.range"):
        return Capability(spec, schema)


def _compile_online(spec: Availability) -> Callable[[object], bool]:
    """Whether a payload says that the device is there; whatever else it says, the device is not."""
    read = compile_value(spec.value)
    wanted = spec.online

    def online(payload: object) -> bool:
        value = read(payload)
        return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)

    return online
