"""What the agents of a host have put out for agents elsewhere, kept until these have committed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import ClassVar

from edgematrix.delivery.ack import Ack
from edgematrix.delivery.edge import sender_of
from edgematrix.delivery.edge_queue import AGAIN_US_MAX, EdgeQueue
from edgematrix.delivery.outbox_store import FLOOR_PART, read_outbox, write_counters, write_floor
from edgematrix.delivery.segment import Segment, part_of, with_number
from edgematrix.errors import QueueFullError, UsageError

__all__ = ["Outbox"]


class Outbox:
    """All edges on which agents of this host send. A keeper of the engine.

    An entry is staged by `put`, may leave when the commit that holds it is done, and goes when all receivers of its edge have
    acknowledged it.

    Args:
        touched: told when there is something to store.
        epoch: what sequences are counted in where an edge has no counters yet; higher than what an earlier store had.
        entries_max: how many entries may wait.
        bytes_max: how many bytes they may be.
        window_max: how many entries of an edge are sent before its slowest receiver acknowledges them.
    """

    STORE_KEY: ClassVar[str] = "outbox"

    def __init__(self, touched: Callable[[Outbox], None], epoch: int, *, entries_max: int, bytes_max: int, window_max: int = 500) -> None:
        self._touched = touched
        self._epoch = epoch
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._window_max = window_max
        self._queues: dict[str, EdgeQueue] = {}
        self._ready: dict[str, EdgeQueue] = {}
        self._alarms: list[tuple[int, str]] = []
        self._raised: dict[str, int] = {}
        self._changed: dict[str, bytes | None] = {}
        self._counted: dict[str, EdgeQueue] = {}
        self._staged: dict[str, EdgeQueue] = {}
        self._saved: list[tuple[EdgeQueue, Segment, int]] = []
        self._is_linked = False
        self.waiting = 0
        """Entries that are kept."""
        self.waiting_bytes = 0

    # What agents do

    def define(self, edge: str, topic: str, receivers: frozenset[str], again_us_max: int = AGAIN_US_MAX) -> None:
        """Say on which topic an edge is published, which agents elsewhere are to have had it, and how long their answer is waited for.

        Where nobody is left, its entries go.
        """
        queue = self._queue(edge)
        queue.topic, queue.again_us_max = topic, again_us_max
        self._release(queue, queue.set_receivers(receivers))
        if not receivers:
            self._drop(queue)
        self._look(queue)

    def number(self, edge: str) -> tuple[int, int]:
        """The epoch and the sequence of the next entry.

        Raises:
            UsageError: the edge is not defined.
        """
        queue = self._queues.get(edge)
        if queue is None:
            raise UsageError("nobody has said who is to have had what is put out here", where=edge)
        tail = queue.segments[-1]
        return tail.epoch, tail.last + 1

    def put(self, edge: str, payload: bytes, *, is_bounded: bool = True) -> None:
        """Stage an entry: the encoded event, which has the number that `number` gave.

        Args:
            is_bounded: whether the bounds hold for it; False for what something else bounds.

        Raises:
            QueueFullError: too much waits; nothing was staged.
            UsageError: the edge has no receivers.
        """
        queue = self._queues.get(edge)
        if queue is None or not queue.acked:
            raise UsageError("nobody elsewhere is to have had what is put out here", where=edge)
        if is_bounded and (self.is_full or self.waiting_bytes + len(payload) > self._bytes_max):
            raise QueueFullError(
                f"{self.waiting} entries of {self.waiting_bytes} bytes wait to be acknowledged,"
                f" the bounds are {self._entries_max} and {self._bytes_max}",
                where=edge,
            )
        tail = queue.segments[-1]
        seq = tail.append(payload)
        self.waiting += 1
        self.waiting_bytes += len(payload)
        self._change()
        self._changed[part_of(edge, tail.epoch, seq)] = payload
        self._counted[edge] = self._staged[edge] = queue

    @property
    def is_full(self) -> bool:
        """Whether no entry can be put any more."""
        return self.waiting >= self._entries_max or self.waiting_bytes >= self._bytes_max

    @property
    def is_staged(self) -> bool:
        """Whether entries wait for a commit before they may leave."""
        return bool(self._staged or self._saved)

    @property
    def edges(self) -> list[str]:
        """All edges that have counters here, those without entries included."""
        return list(self._queues)

    def raise_epoch(self, source: str, epoch: int) -> None:
        """Number what the agent at `source` puts out from now on in `epoch`, if that is higher. What is kept keeps its number."""
        self._raised[source] = max(epoch, self._raised.get(source, 0))
        for edge, queue in self._queues.items():
            if sender_of(edge) == source and queue.raise_epoch(epoch):
                self._count(queue)
                self._look(queue)

    def forget(self, edge: str) -> int:
        """The edge is no more; what it kept goes: how many entries. Should it come again, it counts in a higher epoch."""
        queue = self._queues.pop(edge, None)
        if queue is None:
            return 0
        before = self.waiting
        self._drop(queue)
        for known in (self._ready, self._staged, self._counted):
            known.pop(edge, None)
        queue.alarm_us = None
        self._change()
        self._changed[edge] = None
        if queue.tail.epoch >= self._epoch:
            self._epoch = queue.tail.epoch + 1
            self._changed[FLOOR_PART] = write_floor(self._epoch)
        return before - self.waiting

    # What the connection does

    def linked(self, now_us: int) -> None:
        """The broker is there: everything that is not acknowledged is due again."""
        del now_us
        self._is_linked = True
        for queue in self._queues.values():
            queue.begin_again()
            self._look(queue)

    def unlinked(self) -> None:
        """The broker is gone: nothing is due."""
        self._is_linked = False
        self._ready.clear()

    def acked(self, receiver: str, ack: Ack, now_us: int) -> None:
        """A receiver says what it has committed. Of what is unknown here, nothing is made."""
        queue = self._queues.get(ack.edge)
        if queue is None or receiver not in queue.acked or ack.epoch != queue.segments[0].epoch:
            return
        if ack.seq > queue.segments[0].safe:
            if len(queue.segments) == 1:
                self._begin_anew(queue)
            ack = Ack(ack.edge, ack.epoch, queue.segments[0].safe)
        self._release(queue, queue.hear(receiver, ack, now_us))
        self._look(queue)

    def due(self, now_us: int) -> list[tuple[str, bytes]]:
        """What is to be published now, as topic and payload: committed entries, in order by edge."""
        if not self._is_linked:
            return []
        alarms, ready = self._alarms, self._ready
        while alarms and alarms[0][0] <= now_us:
            at_us, edge = heappop(alarms)
            queue = self._queues.get(edge)
            if queue is not None and queue.alarm_us == at_us:
                queue.alarm_us = None
                ready[edge] = queue
        if not ready:
            return []
        self._ready = {}
        found: list[tuple[str, bytes]] = []
        for queue in ready.values():
            if queue.acked:
                topic = queue.topic
                found += [(topic, payload) for payload in queue.take(now_us)]
                self._watch(queue)
        return found

    @property
    def deadline_us(self) -> int | None:
        """When `due` is to be asked again, if nothing else happens."""
        alarms = self._alarms
        while self._is_linked and alarms:
            at_us, edge = alarms[0]
            queue = self._queues.get(edge)
            if queue is not None and queue.alarm_us == at_us:
                if queue.deadline_us is not None and queue.deadline_us <= at_us:
                    return at_us
                queue.alarm_us = None
                heappop(alarms)
                self._watch(queue)
            else:
                heappop(alarms)
        return None

    # What is stored

    @property
    def store_key(self) -> str:
        """Under which it is stored: a part for each entry, and one for the counters of each edge."""
        return self.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by part."""
        changed, self._changed = self._changed, {}
        for edge, queue in self._counted.items():
            changed[edge] = write_counters(queue.tail.epoch, queue.tail.last)
        self._counted.clear()
        for queue in self._staged.values():
            for segment in queue.segments:
                if segment.saved < segment.last:
                    segment.saved = segment.last
                    self._saved.append((queue, segment, segment.last))
        self._staged.clear()
        return changed

    def committed(self, now_us: int) -> None:
        """All that was saved is safe, and may leave."""
        del now_us
        saved, self._saved = self._saved, []
        for queue, segment, last in saved:
            segment.safe = max(segment.safe, min(last, segment.last))
            if self._queues.get(queue.edge) is queue:
                self._look(queue)

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None], now_us: int) -> None:
        """Go on with what was stored. What is damaged is forgotten, and told."""
        del now_us
        found = read_outbox(parts, self._epoch, damaged)
        for part in found.lost:
            self._change()
            self._changed[part] = None
        if found.floor > self._epoch:
            self._epoch = found.floor
            self._change()
            self._changed[FLOOR_PART] = write_floor(self._epoch)
        for edge, segments in found.segments.items():
            queue = EdgeQueue(edge, segments[0], self._window_max)
            queue.segments.extend(segments[1:])
            queue.leave_empty()
            self.waiting += sum(len(segment.payloads) for segment in segments)
            self.waiting_bytes += sum(len(payload) for segment in segments for payload in segment.payloads.values())
            known = self._queues.get(edge)
            self._queues[edge] = queue
            if queue.raise_epoch(self._raised.get(sender_of(edge), 0)):
                self._count(queue)
            if known is not None:
                self.define(edge, known.topic, frozenset(known.acked))

    # Inside

    def _queue(self, edge: str) -> EdgeQueue:
        queue = self._queues.get(edge)
        if queue is None:
            epoch = max(self._epoch, self._raised.get(sender_of(edge), 0))
            queue = self._queues[edge] = EdgeQueue(edge, Segment(epoch), self._window_max)
        return queue

    def _release(self, queue: EdgeQueue, until: int) -> None:
        """Let the entries of the oldest epoch go, up to a sequence."""
        head = queue.segments[0]
        first = head.first
        if until >= first:
            self.waiting -= until + 1 - first
            self.waiting_bytes -= head.release(until)
            self._change()
            changed, prefix = self._changed, part_of(queue.edge, head.epoch, first).removesuffix(str(first))
            for seq in range(first, until + 1):
                changed[f"{prefix}{seq}"] = None
        queue.leave_empty()

    def _drop(self, queue: EdgeQueue) -> None:
        """Nobody waits for what an edge has kept."""
        while queue.segments[0].payloads:
            self._release(queue, queue.segments[0].last)

    def _begin_anew(self, queue: EdgeQueue) -> None:
        """A receiver has had more than was ever put: this store is older than what was sent.

        What was loaded it has had; what was put since goes under a higher epoch.
        """
        old = queue.segments[0]
        fresh = [(seq, old.payloads[seq]) for seq in range(max(old.loaded + 1, old.first), old.last + 1)]
        self._change()
        for seq, _ in fresh:
            self._changed[part_of(queue.edge, old.epoch, seq)] = None
        new = queue.begin_anew()
        for _, payload in fresh:
            numbered = with_number(payload, new.epoch, new.last + 1)
            seq = new.append(numbered)
            self._changed[part_of(queue.edge, new.epoch, seq)] = numbered
            self.waiting_bytes += len(numbered) - len(payload)
        self._counted[queue.edge] = self._staged[queue.edge] = queue

    def _look(self, queue: EdgeQueue) -> None:
        """See whether something is due, or when."""
        if self._is_linked:
            if queue.can_send:
                self._ready[queue.edge] = queue
            self._watch(queue)

    def _watch(self, queue: EdgeQueue) -> None:
        at_us = queue.deadline_us
        if at_us is not None and (queue.alarm_us is None or at_us < queue.alarm_us):
            queue.alarm_us = at_us
            heappush(self._alarms, (at_us, queue.edge))

    def _count(self, queue: EdgeQueue) -> None:
        self._change()
        self._counted[queue.edge] = queue

    def _change(self) -> None:
        """Something is to be stored."""
        if not (self._changed or self._counted):
            self._touched(self)
