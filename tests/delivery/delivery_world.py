"""A sender and its receivers on a network that loses, repeats, delays and reorders, with processes that die at any moment.

What a process has after a crash is what its last commit had, and nothing else. A value is what an agent puts out; the
world knows which values every receiver must have in the end, and that none may be there twice or out of order.
"""

from __future__ import annotations

import msgspec

from edgematrix.delivery.ack import Ack, encode_ack, read_ack
from edgematrix.delivery.edge import edge_of
from edgematrix.delivery.inbox import Inbox, Verdict
from edgematrix.delivery.outbox import Outbox
from edgematrix.errors import QueueFullError
from edgematrix.protocol.codec import decode, decode_value, encode_event
from edgematrix.protocol.event import Event

ROOT = "em"
EDGES = {"home/a.out": "em/out/home/a/out", "home/a>home/b.in": "em/in/home/b/in"}
RECEIVERS = {"home/a.out": ("home/b", "home/c", "home/d"), "home/a>home/b.in": ("home/b",)}
EDGE_OF = {topic: edge for edge, topic in EDGES.items()}
ENTRIES_MAX = 40
FLYING_MAX = 400
DRAIN_US_MAX = 14_000_000


class Host:
    """A process with a keeper, its disk, and what its agents have had, which is stored in the same transactions."""

    def __init__(self) -> None:
        self.disk: dict[str, bytes] = {}
        self.had_on_disk: dict[str, list[int]] = {}
        self.writing: tuple[dict[str, bytes | None], dict[str, list[int]]] | None = None
        self.had: dict[str, list[int]] = {}
        self.touched = 0

    def write(self, changed: dict[str, bytes | None], had: dict[str, list[int]]) -> None:
        for part, data in changed.items():
            if data is None:
                self.disk.pop(part, None)
            else:
                self.disk[part] = data
        self.had_on_disk = had

    def kept(self) -> dict[str, list[int]]:
        return {edge: list(values) for edge, values in self.had.items()}


class Receiver(Host):
    """The host of one receiving agent."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.inbox = self.start()
        self.owed_from: dict[str, int] = {}
        """By edge: the value from which on all are owed to it."""
        self.is_faithful = True
        """Whether it has listened from the beginning, and never lost its store."""

    def start(self) -> Inbox:
        inbox = Inbox(lambda _: self.touch())
        inbox.load(self.disk, fail)
        self.had = {edge: list(values) for edge, values in self.had_on_disk.items()}
        self.writing = None
        return inbox

    def touch(self) -> None:
        self.touched += 1

    def take(self, topic: str, payload: bytes) -> None:
        message = decode(topic, payload)
        edge = edge_of(message.source, topic, ROOT)
        assert message.epoch is not None
        assert message.sequence is not None
        verdict = self.inbox.take(self.path, edge, message.epoch, message.sequence, message.base)
        if verdict is Verdict.NEW:
            assert isinstance(message.value, int)
            self.had.setdefault(edge, []).append(message.value)

    def acks(self, *, everything: bool = False) -> list[tuple[str, bytes]]:
        found = self.inbox.all_acks() if everything else self.inbox.acks()
        for receiver, ack in found:
            assert ack.seq <= self._committed(receiver, ack), (ack, self.disk)
        return [(receiver, encode_ack(ack)) for receiver, ack in found]

    def _committed(self, receiver: str, ack: Ack) -> int:
        data = self.disk.get(f"{receiver} {ack.edge}")
        return 0 if data is None else dict(msgspec.msgpack.decode(data)[1]).get(ack.epoch, 0)

    def save(self) -> None:
        """Begin a commit."""
        if self.writing is None:
            self.writing = (self.inbox.save(), self.kept())

    def saved(self) -> None:
        """The commit is done."""
        if self.writing is not None:
            self.write(*self.writing)
            self.writing = None
            self.inbox.committed()

    def crash(self, *, written: bool) -> None:
        if written and self.writing is not None:
            self.write(*self.writing)
        self.inbox = self.start()


class World:
    """Everything. `epochs` are what the sender's store begins with, each time that it is lost."""

    def __init__(self, epochs: list[int], window_max: int = 8) -> None:
        self.now_us = 1_000_000
        self.epochs = epochs
        self.window_max = window_max
        self.linked = False
        self.value = 0
        self.stores_lost = 0
        self.origins: list[tuple[int, int]] = []
        """Of each value: how many stores the sender had lost, and the epoch."""
        self.sender = Host()
        self.put_order: dict[str, list[int]] = {edge: [] for edge in EDGES}
        self.put_on_disk: dict[str, list[int]] = {edge: [] for edge in EDGES}
        self.receivers = {path: Receiver(path) for path in ("home/b", "home/c", "home/d")}
        self.asked: dict[str, set[str]] = {"home/a.out": {"home/b", "home/c"}, "home/a>home/b.in": {"home/b"}}
        self.flying: list[tuple[str, str, bytes]] = []
        """(receiver, topic, payload) on its way."""
        self.answers: list[tuple[str, bytes]] = []
        """(receiver, ack) on its way."""
        self.outbox = self.start_sender()
        for edge, asked in self.asked.items():
            for path in asked:
                self.receivers[path].owed_from[edge] = 0

    # The sender

    def start_sender(self) -> Outbox:
        outbox = Outbox(lambda _: None, self.epochs[0], entries_max=ENTRIES_MAX, bytes_max=100_000, window_max=self.window_max)
        outbox.load(self.sender.disk, fail, self.now_us)
        self.sender.writing = None
        self.put_order = {edge: list(values) for edge, values in self.put_on_disk.items()}
        for edge, topic in EDGES.items():
            outbox.define(edge, topic, frozenset(self.asked[edge]))
        self.linked = False
        return outbox

    def put(self, edge: str) -> None:
        if not self.asked[edge]:
            return
        epoch, seq = self.outbox.number(edge)
        payload = encode_event(
            Event(
                specversion="1.0", id=f"i{self.value}", source="/home/a", type="em.out.out", data=self.value, edgeepoch=epoch, sequence=seq
            )
        )
        try:
            self.outbox.put(edge, payload)
        except QueueFullError:
            assert self.outbox.is_full
            return
        self.put_order[edge].append(self.value)
        self.origins.append((self.stores_lost, epoch))
        self.value += 1

    def save_sender(self) -> None:
        if self.sender.writing is None:
            self.sender.writing = (self.outbox.save(), {edge: list(values) for edge, values in self.put_order.items()})

    def sender_saved(self) -> None:
        if self.sender.writing is not None:
            changed, put = self.sender.writing
            self.sender.write(changed, {})
            self.put_on_disk = put
            self.sender.writing = None
            self.outbox.committed(self.now_us)

    def crash_sender(self, *, written: bool) -> None:
        if written and self.sender.writing is not None:
            changed, put = self.sender.writing
            self.sender.write(changed, {})
            self.put_on_disk = put
        self.outbox = self.start_sender()

    def lose_sender_store(self) -> None:
        if len(self.epochs) < 2:
            return
        self.epochs = self.epochs[1:]
        self.stores_lost += 1
        self.sender = Host()
        self.put_on_disk = {edge: [] for edge in EDGES}
        for receiver in self.receivers.values():
            receiver.owed_from = dict.fromkeys(receiver.owed_from, self.value)
        self.outbox = self.start_sender()

    def raise_epoch(self, by: int) -> None:
        highest = max(self.outbox.number(edge)[0] for edge in EDGES)
        self.outbox.raise_epoch("home/a", highest + by)

    def pump(self) -> None:
        for topic, payload in self.outbox.due(self.now_us):
            value = decode_value(payload)["data"]  # type: ignore[index]
            edge = EDGE_OF[topic]
            assert value in self.put_on_disk[edge], "something left before it was committed"
            for path in sorted(self.asked[edge]):
                if len(self.flying) < FLYING_MAX:
                    self.flying.append((path, topic, payload))

    def link(self) -> None:
        self.linked = True
        self.outbox.linked(self.now_us)

    def unlink(self) -> None:
        self.linked = False
        self.outbox.unlinked()
        assert self.outbox.due(self.now_us) == []

    def ask(self, edge: str, path: str) -> None:
        """A receiver joins or leaves."""
        receiver = self.receivers[path]
        receiver.is_faithful = False
        if path in self.asked[edge]:
            self.asked[edge].discard(path)
            receiver.owed_from.pop(edge, None)
        else:
            self.asked[edge].add(path)
            receiver.owed_from[edge] = self.value
        self.outbox.define(edge, EDGES[edge], frozenset(self.asked[edge]))

    # The network

    def deliver(self, index: int) -> None:
        if self.flying:
            path, topic, payload = self.flying.pop(index % len(self.flying))
            self.receivers[path].take(topic, payload)

    def lose(self, index: int) -> None:
        if self.flying:
            self.flying.pop(index % len(self.flying))

    def repeat(self, index: int) -> None:
        if self.flying and len(self.flying) < FLYING_MAX:
            self.flying.append(self.flying[index % len(self.flying)])

    def answer(self, path: str, *, everything: bool = False) -> None:
        self.answers += self.receivers[path].acks(everything=everything)
        del self.answers[:-FLYING_MAX]

    def hear(self, index: int) -> None:
        if self.answers:
            receiver, data = self.answers.pop(index % len(self.answers))
            if self.linked:
                self.outbox.acked(receiver, read_ack(decode_value(data)), self.now_us)

    def lose_answer(self, index: int) -> None:
        if self.answers:
            self.answers.pop(index % len(self.answers))

    def repeat_answer(self, index: int) -> None:
        if self.answers:
            self.answers.append(self.answers[index % len(self.answers)])

    # Receivers

    def lose_receiver_store(self, path: str) -> None:
        receiver = self.receivers[path]
        receiver.is_faithful = False
        receiver.disk, receiver.had_on_disk = {}, {}
        receiver.owed_from = dict.fromkeys(receiver.owed_from, self.value)
        receiver.crash(written=False)

    def move_receiver(self, path: str) -> None:
        """It goes to another host with what it has had, and is stored there before it goes on."""
        receiver = self.receivers[path]
        data, had = receiver.inbox.cursors(path), receiver.kept()
        receiver.disk, receiver.had_on_disk = {}, {}
        receiver.crash(written=False)
        receiver.inbox.adopt(path, data)
        receiver.had = had
        receiver.save()
        receiver.saved()

    # Time

    def wait(self, number: int) -> None:
        self.now_us += (1_000, 50_000, 150_000, 1_100_000, 12_000_000)[number % 5]

    def round(self, number: int) -> None:
        """Most of it goes well."""
        self.save_sender()
        self.sender_saved()
        self.pump()
        for _ in range(len(self.flying) if number % 4 else len(self.flying) // 2):
            self.deliver(0)
        for path, receiver in self.receivers.items():
            receiver.save()
            if number % 3:
                receiver.saved()
            self.answer(path)
        for _ in range(len(self.answers)):
            self.hear(0)
        self.now_us += 10_000

    # Looking

    def check(self) -> None:
        outbox = self.outbox
        segments = [segment for queue in outbox._queues.values() for segment in queue.segments]
        assert outbox.waiting == sum(len(segment.payloads) for segment in segments) <= ENTRIES_MAX
        assert outbox.waiting_bytes == sum(len(payload) for segment in segments for payload in segment.payloads.values())
        assert all(segment.last - segment.first + 1 == len(segment.payloads) for segment in segments)
        assert len(outbox._alarms) < 200
        assert len(outbox._changed) <= 10 * ENTRIES_MAX + 1_000
        deadline_us = outbox.deadline_us
        if self.linked and outbox.waiting and not outbox.is_staged and not outbox._ready:
            waits = [queue for queue in outbox._queues.values() if queue.acked and any(segment.payloads for segment in queue.segments)]
            assert all(queue.deadline_us is not None for queue in waits), "an edge waits for nothing"
            assert deadline_us is not None or not waits
        for receiver in self.receivers.values():
            self.check_order(receiver, receiver.had)

    def check_order(self, receiver: Receiver, had: dict[str, list[int]]) -> None:
        """Nothing is there twice, and all of one epoch is in order; of all epochs, where neither side has lost its store."""
        for edge, values in had.items():
            assert len(values) == len(set(values)), (receiver.path, edge, values)
            lanes: dict[tuple[int, int], list[int]] = {}
            for value in values:
                store, epoch = self.origins[value]
                lanes.setdefault((store, 0 if receiver.is_faithful else epoch), []).append(value)
            assert all(lane == sorted(lane) for lane in lanes.values()), (receiver.path, edge, values)

    def drain(self) -> None:
        """The faults are over: let everything come to its end, in little more time than the longest wait before something is sent again."""
        if not self.linked:
            self.link()
        until_us = self.now_us + DRAIN_US_MAX
        while self.now_us < until_us:
            self.pump()
            while self.flying:
                self.deliver(0)
            for path, receiver in self.receivers.items():
                receiver.save()
                receiver.saved()
                self.answer(path)
            self.save_sender()
            self.sender_saved()
            self.pump()
            while self.answers:
                self.hear(0)
            self.check()
            if not self.outbox.waiting and not self.outbox.is_staged and not self.flying:
                break
            self.now_us += 20_000
        else:
            raise AssertionError(f"the sender does not drain: {self.outbox.waiting} wait")
        self.save_sender()
        self.sender_saved()
        counted = {edge for edge, values in self.put_on_disk.items() if values}
        assert counted <= set(self.sender.disk) <= set(EDGES), self.sender.disk.keys()
        for path, receiver in self.receivers.items():
            for edge, owed_from in receiver.owed_from.items():
                owed = [value for value in self.put_on_disk[edge] if value >= owed_from]
                had = receiver.had_on_disk.get(edge, [])
                missing = set(owed) - set(had)
                assert not missing, (path, edge, owed_from, sorted(missing), had)
            self.check_order(receiver, receiver.had_on_disk)


def fail(what: str, error: Exception) -> None:
    raise AssertionError(f"{what}: {error}")
