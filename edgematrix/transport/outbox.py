"""What waits to be sent, and what was sent and waits for its PUBACK.

Both are bounded. QoS 1 messages keep their order, and so do QoS 0 messages; the two do not wait for one another
(MQTT 3.1.1, 4.6, orders by QoS). It lives in memory: what must outlive the process belongs into the durable outbox.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edgematrix.errors import QueueFullError
from edgematrix.protocol.message import Publication

__all__ = ["Outbox", "Waiting"]

_PACKET_ID_MIN = 0x8000
_PACKET_ID_MAX = 0xFFFF
_SUSPECT_AFTER = 2
_GIVE_UP_AFTER = 3


@dataclass(slots=True, eq=False)
class Waiting:
    """A publication in the outbox. `deadline_s` is when it is worth nothing any more; `sent` says that it went out before.

    `stale_s` is when it may not leave this client any more; it does not outlive the connection.
    """

    publication: Publication
    deadline_s: float | None
    packet_id: int = 0
    sent: bool = False
    stale_s: float | None = None

    @property
    def size_bytes(self) -> int:
        """Roughly what it weighs in memory."""
        return len(self.publication.topic) + len(self.publication.payload)


class Outbox:
    """The queue of a connection.

    A message that makes the broker drop the connection each time would be sent again for ever. So after two connections
    that broke soon and without any PUBACK, messages go out one by one; the one on which three more break is given up.

    Args:
        messages_max: how many may wait.
        bytes_max: how much they may weigh together.
        window_max: how many QoS 1 messages may be sent without a PUBACK.
    """

    def __init__(self, *, messages_max: int, bytes_max: int, window_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._window_max = window_max
        self._window_full = window_max
        self._window = window_max
        self._best_effort: deque[Waiting] = deque()
        self._assured: deque[Waiting] = deque()
        self._inflight: dict[int, Waiting] = {}
        self._assured_bytes = 0
        self._best_effort_bytes = 0
        self._last_packet_id = _PACKET_ID_MIN - 1
        self._progress = False
        self._strikes = 0

    def __len__(self) -> int:
        return len(self._best_effort) + len(self._assured)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, neither to be sent nor for a PUBACK."""
        return not (self._best_effort or self._assured or self._inflight)

    @property
    def best_effort_waits(self) -> bool:
        """Whether a QoS 0 message waits, which a later one may not overtake."""
        return bool(self._best_effort)

    def put(self, publication: Publication, now_s: float) -> list[Publication]:
        """Queue it, and say which QoS 0 messages gave way to it; it may be among them itself.

        Raises:
            QueueFullError: only QoS 1 messages wait, and this is one; nothing was queued.
        """
        deadline_s = None if publication.expiry_s is None else now_s + publication.expiry_s
        stale_s = None if publication.fresh_s is None else now_s + publication.fresh_s
        waiting = Waiting(publication, deadline_s, stale_s=stale_s)
        size_bytes = waiting.size_bytes
        if len(self._assured) >= self._messages_max or self._assured_bytes + size_bytes > self._bytes_max:
            if publication.qos == 0:
                return [publication]
            raise QueueFullError(
                f"{len(self._assured)} QoS 1 messages of {self._assured_bytes} bytes wait to be sent,"
                f" the bounds are {self._messages_max} and {self._bytes_max}",
                where=publication.topic,
            )
        gave_way: list[Publication] = []
        while len(self) >= self._messages_max or self._assured_bytes + self._best_effort_bytes + size_bytes > self._bytes_max:
            oldest = self._best_effort.popleft()
            self._best_effort_bytes -= oldest.size_bytes
            gave_way.append(oldest.publication)
        if publication.qos:
            self._assured_bytes += size_bytes
            self._assured.append(waiting)
        else:
            self._best_effort_bytes += size_bytes
            self._best_effort.append(waiting)
        return gave_way

    def take_best_effort(self) -> Waiting | None:
        """The next QoS 0 message to send."""
        if not self._best_effort:
            return None
        waiting = self._best_effort.popleft()
        self._best_effort_bytes -= waiting.size_bytes
        return waiting

    def take_assured(self) -> Waiting | None:
        """The next QoS 1 message to send, with its packet identifier; None if none waits or the window is full."""
        if not self._assured or len(self._inflight) >= self._window:
            return None
        waiting = self._next_assured()
        if waiting.packet_id == 0:
            waiting.packet_id = self._free_packet_id()
        self._inflight[waiting.packet_id] = waiting
        return waiting

    def withdraw(self, waiting: Waiting) -> None:
        """A message that was taken will not be sent after all."""
        self._inflight.pop(waiting.packet_id, None)

    def acknowledged(self, packet_id: int) -> Waiting | None:
        """A PUBACK came: the message that it was for, None if it is unknown."""
        self._progress = True
        if self._strikes:
            self._strikes = 0
            self._window = self._window_full
        return self._inflight.pop(packet_id, None)

    def opened(self, *, window: int, session_present: bool) -> None:
        """A connection stands. `window` is how many unacknowledged messages the broker takes."""
        self._progress = False
        self._window_full = min(self._window_max, window)
        self._window = 1 if self._strikes >= _SUSPECT_AFTER else self._window_full
        if not session_present:
            for waiting in self._assured:
                waiting.sent = False

    def lost(self, *, soon: bool) -> Publication | None:
        """The connection is gone; what had no PUBACK waits again, first. Returns a message that is given up, if any.

        Args:
            soon: whether the connection broke shortly after it stood.
        """
        unacknowledged = list(self._inflight.values())
        self._inflight.clear()
        for waiting in reversed(unacknowledged):
            waiting.sent = True
            self._assured_bytes += waiting.size_bytes
            self._assured.appendleft(waiting)
        if self._progress or not soon or not unacknowledged:
            self._strikes = 0
            return None
        self._strikes += 1
        if self._strikes < _SUSPECT_AFTER + _GIVE_UP_AFTER:
            return None
        self._strikes = 0
        return self._next_assured().publication

    def perish(self) -> list[Publication]:
        """The connection is gone: take out what was for it alone."""
        gone = [packet_id for packet_id, waiting in self._inflight.items() if waiting.stale_s is not None]
        perished = [self._inflight.pop(packet_id).publication for packet_id in gone]
        for queue in (self._assured, self._best_effort):
            of_connection = [waiting for waiting in queue if waiting.stale_s is not None]
            if of_connection:
                kept = [waiting for waiting in queue if waiting.stale_s is None]
                queue.clear()
                queue.extend(kept)
                perished += [waiting.publication for waiting in of_connection]
        self._assured_bytes = sum(waiting.size_bytes for waiting in self._assured)
        self._best_effort_bytes = sum(waiting.size_bytes for waiting in self._best_effort)
        return perished

    def drain(self) -> list[Publication]:
        """Take everything out, the unacknowledged first."""
        left = [waiting.publication for waiting in (*self._inflight.values(), *self._assured, *self._best_effort)]
        self._inflight.clear()
        self._assured.clear()
        self._best_effort.clear()
        self._assured_bytes = self._best_effort_bytes = 0
        return left

    def _next_assured(self) -> Waiting:
        waiting = self._assured.popleft()
        self._assured_bytes -= waiting.size_bytes
        return waiting

    def _free_packet_id(self) -> int:
        # The lower half belongs to SUBSCRIBE and UNSUBSCRIBE; the window is far smaller than the upper half.
        while True:
            self._last_packet_id += 1
            if self._last_packet_id > _PACKET_ID_MAX:
                self._last_packet_id = _PACKET_ID_MIN
            if self._last_packet_id not in self._inflight:
                return self._last_packet_id
