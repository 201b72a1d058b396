"""A device's side of the bus: its own connection with its own will, its state, its values, and the commands for it."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable

from edgematrix.errors import CodecError, EdgeMatrixError
from edgematrix.protocol.agent_state import agent_state
from edgematrix.protocol.codec import decode, encode_value
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.protocol.topic import Kind, topic_for
from firmware_bridge.counted import counted

__all__ = ["Post"]

_IDS_MAX = 64
_ERROR_LENGTH_MAX = 80


class Post:
    """The link of one device's connection to the broker.

    Args:
        host: who is told as the device's host: the client id of its connection.
        ask: carries a command out, by its port and value; raises ValueError with why it is refused.
        told: hears each change in a sentence.
    """

    def __init__(
        self, path: str, root: str, host: str, clock: Clock, ask: Callable[[str, object], None], told: Callable[[str], None]
    ) -> None:
        self.transport: Transport | None = None
        self.counts: Counter[str] = Counter()
        self._path = path
        self._root = root
        self._host = host
        self._clock = clock
        self._ask = ask
        self._told = told
        self._status, self._reason = "offline", "the device was not reached yet"
        self._session = secrets.token_hex(8)
        self._since = format_moment(clock.wall_us())
        self._is_online = False
        self._done: deque[str] = deque(maxlen=_IDS_MAX)
        self._retained: dict[str, tuple[object, int]] = {}

    @property
    def inputs(self) -> str:
        """The filter of commands for it."""
        return topic_for(self._root, Kind.IN, self._path, "+")

    def will(self) -> Publication:
        """What the broker publishes when the bridge is gone."""
        return self._state_of("offline", "the bridge is gone", None)

    def is_now(self, status: str, reason: str = "") -> None:
        """The device is there, or gone."""
        if (status, reason) == (self._status, self._reason):
            return
        if status == "ready":
            self._session = secrets.token_hex(8)
        self._status, self._reason, self._since = status, reason, format_moment(self._clock.wall_us())
        self._told(f"{self._path} is {status}" + (f": {reason}" if reason else ""))
        self._tell_state()

    def emit(self, port: str, value: object, *, qos: int = 0, retain: bool = False) -> None:
        """Publish what the device tells. A retained value goes out again at each connection; others are lost while there is none."""
        if retain:
            self._retained[port] = (value, qos)
        if self._is_online:
            self._publish(port, value, qos, retain=retain)
        elif not retain:
            self.counts["unsent_values"] += 1

    # What the broker tells

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """A command came in."""
        del qos
        port = topic.rpartition("/")[2]
        if retained:
            self._refuse("commands_malformed", port, "a retained command")
            return
        try:
            message = decode(topic, payload)
        except CodecError as error:
            self._refuse("commands_malformed", port, error.what)
            return
        trail = message.trail
        if trail.id and trail.id in self._done:
            self.counts["commands_repeated"] += 1
            self._acknowledge(trail.id)
        elif trail.expiry_us is not None and trail.expiry_us <= self._clock.wall_us():
            self._refuse("commands_expired", port, "it has expired", trail.id)
        else:
            self._carry_out(port, message.value, trail.id)

    def connected(self, session_present: bool) -> None:
        """The broker took us in."""
        del session_present
        self._is_online = True
        self._tell_state()
        for port, (value, qos) in self._retained.items():
            self._publish(port, value, qos, retain=True)

    def disconnected(self, reason: str) -> None:
        """The connection is gone."""
        self._is_online = False
        self._told(f"{self._path}: the broker is away: {reason}")

    def refused(self, topic_filter: str, reason: str) -> None:
        """The broker refused what we asked for."""
        self._told(f"{self._path}: the broker refuses {topic_filter}: {reason}")

    def dropped(self, topic: str, reason: str) -> None:
        """A message was given up."""
        self.counts["undelivered"] += 1
        self._told(f"{self._path}: a message on {topic} is lost: {reason}")

    def confirmed(self, number: int) -> None:
        """Nobody asks for it."""

    # What is to be done

    def _carry_out(self, port: str, value: object, command_id: str) -> None:
        try:
            self._ask(port, value)
        except ValueError as error:
            self._refuse("commands_refused", port, str(error), command_id)
            return
        self.counts["commands_done"] += 1
        if command_id:
            self._done.append(command_id)
            self._acknowledge(command_id)

    def _refuse(self, count: str, port: str, why: str, command_id: str = "") -> None:
        self.counts[count] += 1
        self._told(f"{self._path}: a command on {port[:64]} is refused: {why}")
        if command_id:
            self._acknowledge(command_id, why)

    def _acknowledge(self, command_id: str, error: str = "") -> None:
        answer = {"id": command_id, "error": error[:_ERROR_LENGTH_MAX]} if error else {"id": command_id}
        self._send(Publication(topic_for(self._root, Kind.ACK, self._path), encode_value(answer)))

    def _publish(self, port: str, value: object, qos: int, *, retain: bool) -> None:
        try:
            payload = encode_value(value)
        except CodecError as error:
            self.counts["undelivered"] += 1
            self._told(f"{self._path}: a value of {port} cannot be sent: {error.what}")
            return
        self._send(Publication(topic_for(self._root, Kind.OUT, self._path, port), payload, qos, retain=retain))

    def _tell_state(self) -> None:
        if self._is_online:
            self._send(self._state_of(self._status, self._reason, self._since))

    def _state_of(self, status: str, reason: str, since: str | None) -> Publication:
        state = agent_state(status, self._host, self._session, since)
        if reason:
            state["reason"] = reason
        if since is not None and any(self.counts.values()):
            state["bridge"] = {"counts": counted(self.counts)}
        return Publication(topic_for(self._root, Kind.STATE, self._path), encode_value(state), 1, retain=True)

    def _send(self, publication: Publication) -> None:
        if self.transport is None:
            return
        try:
            self.transport.publish(publication)
        except EdgeMatrixError as error:
            self.counts["undelivered"] += 1
            self._told(f"{self._path}: {error}")
