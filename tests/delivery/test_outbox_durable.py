"""What a sender keeps, when it sends, and how it goes on after a crash."""

from __future__ import annotations

import pytest

from edgematrix.delivery.ack import Ack
from edgematrix.delivery.outbox import Outbox
from edgematrix.errors import QueueFullError, UsageError
from edgematrix.protocol.codec import decode, encode_event
from edgematrix.protocol.event import Event
from edgematrix.protocol.message import Message

EDGE, TOPIC = "home/a.out", "em/out/home/a/out"
WORK, WORK_TOPIC = "home/a>home/d.in", "em/in/home/d/in"
B, C = "home/b", "home/c"
MS, S = 1_000, 1_000_000


class Desk:
    """An outbox with a disk and a clock."""

    def __init__(self, epoch: int = 100, *, receivers: tuple[str, ...] = (B,), disk: dict[str, bytes] | None = None, **bounds: int) -> None:
        self.disk = {} if disk is None else disk
        self.now_us = 0
        self.touches = 0
        self.complaints: list[str] = []
        self.outbox = Outbox(self._touch, epoch, **({"entries_max": 1_000, "bytes_max": 1_000_000} | bounds))
        self.outbox.load(self.disk, lambda what, _: self.complaints.append(what), self.now_us)
        self.outbox.define(EDGE, TOPIC, frozenset(receivers))
        self.value = 0

    def _touch(self, outbox: Outbox) -> None:
        assert outbox is self.outbox
        self.touches += 1

    def put(self, count: int = 1, edge: str = EDGE) -> None:
        for _ in range(count):
            self.value += 1
            epoch, seq = self.outbox.number(edge)
            event = Event(
                specversion="1.0", id="i", source="/home/a", type="em.out.out", data=self.value, edgeepoch=epoch, sequence=seq, taint="web"
            )
            self.outbox.put(edge, encode_event(event))

    def commit(self) -> None:
        for part, data in self.outbox.save().items():
            if data is None:
                self.disk.pop(part, None)
            else:
                self.disk[part] = data
        self.outbox.committed(self.now_us)

    def due(self) -> list[Message]:
        return [decode(topic, payload) for topic, payload in self.outbox.due(self.now_us)]

    def sent(self) -> list[int | None]:
        return [message.sequence for message in self.due()]

    def ack(self, seq: int, receiver: str = B, epoch: int = 100, edge: str = EDGE) -> None:
        self.outbox.acked(receiver, Ack(edge, epoch, seq), self.now_us)

    def linked(self, count: int) -> Desk:
        self.outbox.linked(self.now_us)
        self.put(count)
        self.commit()
        return self


def test_nothing_leaves_before_the_commit_that_holds_it() -> None:
    desk = Desk().linked(0)
    desk.put(2)
    assert desk.sent() == []
    assert desk.outbox.is_staged
    changed = desk.outbox.save()
    assert set(changed) == {EDGE, f"{EDGE}#100:1", f"{EDGE}#100:2"}
    desk.put()
    assert desk.sent() == []
    desk.outbox.committed(0)
    assert desk.sent() == [1, 2]
    assert desk.sent() == []
    desk.commit()
    assert desk.sent() == [3]
    assert not desk.outbox.is_staged


def test_an_entry_goes_when_all_its_receivers_have_it() -> None:
    desk = Desk(receivers=(B, C)).linked(3)
    assert desk.sent() == [1, 2, 3]
    desk.ack(3)
    assert desk.outbox.waiting == 3
    desk.ack(2, C)
    assert desk.outbox.waiting == 1
    assert desk.outbox.save() == {f"{EDGE}#100:1": None, f"{EDGE}#100:2": None}
    desk.ack(3, C)
    assert (desk.outbox.waiting, desk.outbox.waiting_bytes, desk.outbox.deadline_us) == (0, 0, None)
    desk.commit()
    assert set(desk.disk) == {EDGE, f"{EDGE}#100:1", f"{EDGE}#100:2"}  # the first save of the test was not written
    assert desk.sent() == []


def test_a_store_is_touched_once_for_each_save() -> None:
    desk = Desk().linked(5)
    assert desk.touches == 1
    desk.due()
    desk.ack(2)
    desk.ack(5)
    assert desk.touches == 2
    desk.commit()
    desk.ack(5)
    assert desk.touches == 2


def test_acknowledgements_of_strangers_and_of_other_epochs_say_nothing() -> None:
    desk = Desk().linked(3)
    desk.due()
    for ack in (Ack(EDGE, 99, 3), Ack(EDGE, 101, 3), Ack(WORK, 100, 3), Ack("nonsense", 100, 3)):
        desk.outbox.acked(B, ack, 0)
    desk.ack(3, "home/stranger")
    assert desk.outbox.waiting == 3
    assert desk.outbox.number(EDGE) == (100, 4)


def test_the_slowest_receiver_holds_the_window() -> None:
    desk = Desk(receivers=(B, C), window_max=4).linked(10)
    assert desk.sent() == [1, 2, 3, 4]
    desk.ack(4)
    assert desk.sent() == []
    desk.ack(3, C)
    assert desk.sent() == [5, 6, 7]


def test_without_an_answer_one_entry_is_sent_again_after_longer_and_longer_waits() -> None:
    desk = Desk().linked(5)
    assert desk.sent() == [1, 2, 3, 4, 5]
    waits = []
    for _ in range(7):
        deadline_us = desk.outbox.deadline_us
        assert deadline_us is not None
        waits.append((deadline_us - desk.now_us) // S)
        desk.now_us = deadline_us - 1
        assert desk.sent() == []
        desk.now_us = deadline_us
        assert desk.sent() == [1]
    assert waits == [1, 2, 4, 8, 10, 10, 10]


def test_the_first_answer_after_a_silence_brings_everything_that_may_be_missing() -> None:
    desk = Desk().linked(5)
    desk.due()
    desk.now_us = S
    assert desk.sent() == [1]
    desk.ack(1)
    assert desk.sent() == [2, 3, 4, 5]
    assert desk.outbox.deadline_us == 2 * S


def test_a_receiver_that_lacks_something_for_a_while_gets_it_once() -> None:
    desk = Desk().linked(6)
    desk.due()
    desk.ack(2)
    for _ in range(4):  # one answer for each message beyond the one that is missing
        desk.ack(2)
    assert desk.sent() == []
    assert desk.outbox.deadline_us == 100 * MS
    desk.now_us = 100 * MS
    assert desk.sent() == [3, 4, 5, 6]
    desk.ack(2)
    desk.now_us = 250 * MS
    assert desk.sent() == []
    desk.ack(6)
    assert (desk.outbox.waiting, desk.outbox.deadline_us) == (0, None)


def test_as_long_as_more_is_acknowledged_nothing_is_sent_again() -> None:
    desk = Desk().linked(8)
    desk.due()
    desk.ack(2)
    desk.ack(2)
    for seq in range(3, 7):
        desk.now_us += 90 * MS
        desk.ack(seq)
        assert desk.sent() == []
    desk.now_us += 100 * MS
    assert desk.sent() == [7, 8]
    desk.ack(8)
    assert desk.outbox.deadline_us is None


def test_answers_to_what_came_twice_do_not_make_more_come_twice() -> None:
    desk = Desk(window_max=4).linked(40)
    desk.due()
    desk.ack(0)
    desk.now_us = 100 * MS
    assert desk.sent() == [1, 2, 3, 4]
    sent = 0
    for acked in range(4, 40, 4):
        for _ in range(3):
            desk.now_us += 30 * MS
            desk.ack(acked)
            sent += len(desk.due())
    assert sent == 36


def test_a_receiver_that_lacks_something_gets_it_though_another_is_away() -> None:
    desk = Desk(receivers=(B, C)).linked(6)
    desk.due()
    desk.ack(3)
    desk.ack(3)
    desk.now_us = 100 * MS
    assert desk.sent() == [4, 5, 6]  # and lost again
    desk.now_us = S
    assert desk.sent() == [1]  # for the one that is away; the other answers that it has had it
    desk.ack(3)
    desk.now_us = 1_200 * MS
    assert desk.sent() == [4, 5, 6]


def test_after_an_outage_everything_unacknowledged_is_sent_again() -> None:
    desk = Desk().linked(4)
    desk.due()
    desk.ack(1)
    desk.outbox.unlinked()
    desk.put()
    desk.commit()
    assert desk.sent() == []
    assert desk.outbox.deadline_us is None
    desk.outbox.linked(desk.now_us)
    assert desk.sent() == [2, 3, 4, 5]


def test_a_receiver_that_knows_nothing_begins_with_the_oldest_that_is_kept() -> None:
    desk = Desk().linked(4)
    desk.due()
    desk.ack(3)
    desk.ack(0)
    first, *rest = desk.due()
    assert (first.sequence, first.base, first.value, first.trail.taint) == (4, 4, 4, "web")
    assert rest == []
    desk.ack(4)
    desk.ack(0)
    desk.now_us = S
    desk.put(2)
    desk.commit()
    assert [(message.sequence, message.base) for message in desk.due()] == [(5, 5), (6, None)]


def test_who_joins_begins_with_the_oldest_that_is_kept() -> None:
    desk = Desk().linked(5)
    desk.due()
    desk.ack(2)
    desk.outbox.define(EDGE, TOPIC, frozenset({B, C}))
    assert [(message.sequence, message.base) for message in desk.due()] == [(3, 3), (4, None), (5, None)]
    desk.ack(5)
    assert desk.outbox.waiting == 3
    desk.ack(5, C)
    assert desk.outbox.waiting == 0


def test_who_leaves_is_not_waited_for() -> None:
    desk = Desk(receivers=(B, C), window_max=3).linked(6)
    assert desk.sent() == [1, 2, 3]
    desk.ack(3)
    desk.outbox.define(EDGE, TOPIC, frozenset({B}))
    assert desk.outbox.waiting == 3
    assert desk.sent() == [4, 5, 6]
    desk.outbox.define(EDGE, TOPIC, frozenset())
    assert (desk.outbox.waiting, desk.outbox.waiting_bytes) == (0, 0)
    with pytest.raises(UsageError, match=r"home/a\.out"):
        desk.put()


def test_defining_an_edge_again_changes_nothing() -> None:
    desk = Desk().linked(3)
    desk.due()
    desk.ack(1)
    before = desk.outbox.deadline_us
    desk.outbox.define(EDGE, TOPIC, frozenset({B}))
    assert desk.sent() == []
    assert desk.outbox.deadline_us == before


def test_beyond_its_bounds_nothing_is_staged() -> None:
    desk = Desk(entries_max=2)
    desk.put(2)
    assert desk.outbox.is_full
    with pytest.raises(QueueFullError, match="bounds are 2"):
        desk.put()
    assert desk.outbox.number(EDGE) == (100, 3)
    small = Desk(bytes_max=200)
    small.put()
    with pytest.raises(QueueFullError, match="200"):
        small.put()
    assert small.outbox.waiting == 1
    with pytest.raises(UsageError, match=r"home/x\.out"):
        small.outbox.number("home/x.out")


def test_after_a_crash_it_goes_on_with_what_was_committed() -> None:
    desk = Desk().linked(4)
    desk.due()
    desk.ack(2)
    desk.commit()
    desk.put()  # never committed
    again = Desk(epoch=999, disk=desk.disk)
    assert (again.outbox.waiting, again.outbox.edges) == (2, [EDGE])
    assert again.outbox.waiting_bytes == sum(len(data) for part, data in desk.disk.items() if "#" in part)
    again.outbox.linked(0)
    assert again.sent() == [3, 4]
    assert again.outbox.number(EDGE) == (100, 5)


def test_the_counters_outlive_the_entries() -> None:
    desk = Desk().linked(4)
    desk.due()
    desk.ack(4)
    desk.commit()
    assert list(desk.disk) == [EDGE]
    assert Desk(epoch=999, disk=desk.disk).outbox.number(EDGE) == (100, 5)


def test_a_higher_epoch_waits_for_what_is_kept_of_the_lower() -> None:
    desk = Desk(receivers=(B, C)).linked(2)
    desk.due()
    desk.outbox.raise_epoch("home/a", 500)
    desk.outbox.raise_epoch("home/a", 400)
    desk.outbox.raise_epoch("home", 900)
    assert desk.outbox.number(EDGE) == (500, 1)
    desk.put(2)
    desk.commit()
    assert desk.sent() == []
    desk.ack(2)
    desk.ack(1, C, epoch=500)
    assert desk.sent() == []
    desk.ack(2, C)
    assert [(message.epoch, message.sequence, message.base) for message in desk.due()] == [(500, 1, None), (500, 2, None)]
    desk.ack(2, epoch=500)
    desk.ack(2, C, epoch=500)
    assert desk.outbox.waiting == 0
    desk.outbox.define(WORK, WORK_TOPIC, frozenset({"home/d"}))
    assert desk.outbox.number(WORK) == (500, 1)


def test_a_raised_epoch_outlives_a_crash_with_and_without_entries() -> None:
    desk = Desk().linked(1)
    desk.outbox.raise_epoch("home/a", 500)
    desk.commit()
    assert Desk(disk=dict(desk.disk)).outbox.number(EDGE) == (500, 1)
    desk.put()
    desk.commit()
    again = Desk(disk=desk.disk)
    again.outbox.linked(0)
    assert [(message.epoch, message.sequence) for message in again.due()] == [(100, 1)]
    again.ack(1)
    assert [(message.epoch, message.sequence) for message in again.due()] == [(500, 1)]


def test_an_edge_that_comes_again_counts_in_a_higher_epoch() -> None:
    desk = Desk().linked(3)
    assert desk.outbox.forget(EDGE) == 3
    assert desk.outbox.forget(EDGE) == 0
    assert (desk.outbox.waiting, desk.outbox.waiting_bytes, desk.outbox.edges) == (0, 0, [])
    desk.outbox.define(EDGE, TOPIC, frozenset({B}))
    assert desk.outbox.number(EDGE) == (101, 1)
    desk.outbox.forget(EDGE)
    desk.commit()
    assert Desk(disk=desk.disk).outbox.number(EDGE)[0] > 100


def test_a_forgotten_edge_that_was_being_stored_does_not_come_back() -> None:
    desk = Desk().linked(0)
    desk.put()
    desk.outbox.save()
    desk.outbox.forget(EDGE)
    desk.outbox.committed(0)
    assert desk.due() == []
    assert desk.outbox.save()[f"{EDGE}#100:1"] is None


def test_a_store_that_is_older_than_what_was_sent_loses_nothing_that_is_new() -> None:
    desk = Desk().linked(3)
    backup = dict(desk.disk)
    desk.put(5)
    desk.commit()
    desk.due()
    desk.ack(8)
    old = Desk(disk=backup)
    old.value = 100
    old.put(2)
    old.commit()
    old.outbox.linked(0)
    assert old.sent() == [1, 2, 3, 4, 5]
    old.ack(8)  # the receiver has had eight, and took none of these
    assert old.outbox.waiting == 2
    assert old.due() == []
    old.commit()
    assert [(message.epoch, message.sequence, message.value) for message in old.due()] == [(101, 1, 101), (101, 2, 102)]
    old.ack(2, epoch=101)
    assert old.outbox.waiting == 0
    old.commit()
    assert list(old.disk) == [EDGE]


def test_a_damaged_entry_is_told_and_the_others_are_delivered() -> None:
    desk = Desk().linked(4)
    desk.disk[f"{EDGE}#100:2"] = b"{"
    desk.disk[f"{EDGE}#100:9x"] = b"{}"
    again = Desk(disk=desk.disk)
    assert sorted(again.complaints) == [f"outbox {EDGE}#100:2", f"outbox {EDGE}#100:9x"]
    again.outbox.linked(0)
    assert again.sent() == [1]
    again.ack(1)
    assert [(message.sequence, message.base) for message in again.due()] == [(3, 3), (4, None)]
    again.ack(4)
    again.commit()
    assert list(again.disk) == [EDGE]
    assert again.outbox.number(EDGE) == (100, 5)


@pytest.mark.parametrize("damage", [b"", b"\x93\x09\x01\x01", b"\xff\xff"])
def test_without_its_counters_an_edge_goes_on_where_no_number_was_given_yet(damage: bytes) -> None:
    desk = Desk().linked(3)
    desk.disk[EDGE] = damage
    again = Desk(disk=desk.disk)
    assert again.complaints == [f"outbox {EDGE}"]
    epoch, seq = again.outbox.number(EDGE)
    assert epoch > 100
    assert seq == 1
    again.put()
    again.commit()
    again.outbox.linked(0)
    assert again.sent() == [1, 2, 3]
    again.ack(3)
    assert [(message.epoch, message.sequence) for message in again.due()] == [(epoch, 1)]
    assert Desk(disk=again.disk).outbox.number(EDGE) == (epoch, 2)


def test_many_edges_wait_for_no_other() -> None:
    desk = Desk(window_max=2).linked(3)
    desk.outbox.define(WORK, WORK_TOPIC, frozenset({"home/d"}))
    desk.put(3, WORK)
    desk.commit()
    assert [(message.topic, message.sequence) for message in desk.due()] == [(TOPIC, 1), (TOPIC, 2), (WORK_TOPIC, 1), (WORK_TOPIC, 2)]
    desk.now_us = 500 * MS
    desk.ack(2, "home/d", edge=WORK)
    assert desk.sent() == [3]
    assert desk.outbox.deadline_us == S
    desk.now_us = S
    assert [(message.topic, message.sequence) for message in desk.due()] == [(TOPIC, 1)]
    assert desk.outbox.deadline_us == 1_500 * MS


def test_who_has_lost_its_store_is_owed_all_that_is_kept_for_others() -> None:
    desk = Desk(receivers=(B, C)).linked(5)
    desk.due()
    desk.ack(5)
    desk.ack(1, C)
    desk.ack(0)
    assert [(message.sequence, message.base) for message in desk.due()] == [(2, 2), (3, None), (4, None), (5, None)]
    desk.ack(5, C)
    assert desk.outbox.waiting == 4
    desk.ack(5)
    assert desk.outbox.waiting == 0


def test_of_two_that_lack_something_the_one_behind_is_served() -> None:
    desk = Desk(receivers=(B, C)).linked(6)
    desk.due()
    desk.ack(2)
    desk.ack(4, C)
    desk.ack(4, C)
    desk.ack(2)
    desk.now_us = 100 * MS
    assert desk.sent() == [3, 4, 5, 6]
    ahead = Desk(receivers=(B, C)).linked(6)
    ahead.due()
    ahead.ack(2)
    ahead.ack(4, C)
    ahead.ack(2)
    ahead.ack(4, C)
    ahead.now_us = 100 * MS
    assert ahead.sent() == [3, 4, 5, 6]


def test_an_older_store_with_two_receivers_drains() -> None:
    desk = Desk(receivers=(B, C)).linked(3)
    old = Desk(receivers=(B, C), disk=dict(desk.disk))
    old.linked(2)
    old.due()
    old.ack(5, C)
    old.ack(9)
    old.commit()
    old.ack(5, C)
    assert [(message.epoch, message.sequence) for message in old.due()] == [(101, 1), (101, 2)]
    old.ack(2, epoch=101)
    old.ack(2, C, epoch=101)
    assert old.outbox.waiting == 0


def test_a_forgotten_edge_leaves_no_counters() -> None:
    desk = Desk().linked(2)
    desk.put()
    desk.outbox.forget(EDGE)
    desk.commit()
    assert list(desk.disk) == ["floor"]


def test_counters_that_are_lost_are_not_given_again() -> None:
    desk = Desk().linked(2)
    desk.due()
    desk.ack(2)
    desk.commit()
    desk.disk[EDGE] = b"\xff"
    again = Desk(disk=desk.disk)
    again.outbox.define(WORK, WORK_TOPIC, frozenset({"home/d"}))
    assert again.outbox.number(EDGE) == (101, 1)
    again.commit()
    assert Desk(disk=again.disk).outbox.number(EDGE) == (101, 1)


def test_a_receiver_that_had_no_room_may_ask_again_and_again() -> None:
    desk = Desk().linked(4)
    desk.due()
    for wait_us in (100 * MS, 200 * MS, 400 * MS):
        desk.now_us += 10 * MS
        desk.ack(0)
        desk.now_us += wait_us - 1
        assert desk.sent() == []
        desk.now_us += 1
        assert desk.sent() == [1, 2, 3, 4]
    desk.ack(1)
    desk.ack(1)
    desk.now_us += 100 * MS
    assert desk.sent() == [2, 3, 4]


def test_who_lacks_something_and_leaves_takes_its_wish_along() -> None:
    desk = Desk(receivers=(B, C)).linked(5)
    desk.due()
    desk.ack(4)
    desk.ack(1, C)
    desk.ack(1, C)
    desk.outbox.define(EDGE, TOPIC, frozenset({B}))
    desk.now_us = 100 * MS
    assert desk.sent() == [5]
