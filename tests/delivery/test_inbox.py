"""What receivers have had: judged event by event, acknowledged after the commit, kept through restarts and moves."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from edgematrix.delivery.ack import Ack
from edgematrix.delivery.inbox import Inbox, Verdict
from edgematrix.errors import StateError

B, C = "home/b", "home/c"
EDGE, OTHER = "home/a.out", "home/a>home/b.in"
NEW, AGAIN, EARLY = Verdict.NEW, Verdict.AGAIN, Verdict.EARLY


class Desk:
    """An inbox with a disk."""

    def __init__(self, disk: dict[str, bytes] | None = None, edges_max: int = 100) -> None:
        self.disk = {} if disk is None else disk
        self.touches = 0
        self.complaints: list[str] = []
        self.inbox = Inbox(self._touch, edges_max=edges_max)
        self.inbox.load(self.disk, lambda what, _: self.complaints.append(what))

    def _touch(self, inbox: Inbox) -> None:
        assert inbox is self.inbox
        self.touches += 1

    def take(self, *sequences: int, receiver: str = B, edge: str = EDGE, epoch: int = 7) -> list[Verdict]:
        return [self.inbox.take(receiver, edge, epoch, seq) for seq in sequences]

    def save(self) -> dict[str, bytes | None]:
        changed = self.inbox.save()
        for part, data in changed.items():
            if data is None:
                self.disk.pop(part, None)
            else:
                self.disk[part] = data
        return changed

    def commit(self) -> list[tuple[str, Ack]]:
        self.save()
        self.inbox.committed()
        return self.inbox.acks()


def ack(seq: int, receiver: str = B, edge: str = EDGE, epoch: int = 7) -> tuple[str, Ack]:
    return receiver, Ack(edge, epoch, seq)


def test_only_the_next_one_is_new() -> None:
    desk = Desk()
    assert desk.take(1, 2, 2, 1, 4, 3, 4) == [NEW, NEW, AGAIN, AGAIN, EARLY, NEW, NEW]
    assert desk.take(2, 1) == [AGAIN, AGAIN]
    assert desk.take(2, 1, epoch=8) == [EARLY, NEW]
    assert desk.take(1, receiver=C) == [NEW]
    assert desk.take(1, edge=OTHER) == [NEW]
    assert len(desk.inbox) == 3


def test_what_is_new_is_acknowledged_once_after_its_commit() -> None:
    desk = Desk()
    desk.take(1, 2, 3)
    assert desk.inbox.acks() == []
    desk.save()
    desk.take(4)
    assert desk.inbox.acks() == []
    desk.inbox.committed()
    assert desk.inbox.acks() == [ack(3)]
    assert desk.inbox.acks() == []
    assert desk.commit() == [ack(4)]
    assert desk.commit() == []
    assert desk.inbox.all_acks() == [ack(4)]


def test_what_comes_again_or_early_is_answered_at_once_with_what_is_committed() -> None:
    desk = Desk()
    assert desk.take(5) == [EARLY]
    assert desk.inbox.acks() == [ack(0)]
    desk.take(1, 2)
    desk.commit()
    desk.take(3)
    assert desk.take(1, 2, 9, 9) == [AGAIN, AGAIN, EARLY, EARLY]
    assert desk.inbox.acks() == [ack(2)]
    assert desk.take(3) == [AGAIN]  # its acknowledgement comes with the commit
    assert desk.inbox.acks() == []
    assert desk.commit() == [ack(3)]


def test_who_knows_nothing_begins_with_the_base() -> None:
    desk = Desk()
    assert desk.inbox.take(B, EDGE, 7, 12, base=11) is EARLY
    assert desk.inbox.take(B, EDGE, 7, 11, base=11) is NEW
    assert desk.inbox.take(B, EDGE, 7, 11, base=11) is AGAIN
    assert desk.take(12) == [NEW]
    assert desk.inbox.take(B, EDGE, 7, 20, base=20) is NEW  # it missed what its other host had acknowledged
    assert desk.inbox.take(B, EDGE, 7, 15, base=15) is AGAIN


def test_epochs_are_counted_apart_and_the_one_heard_least_lately_gives_way() -> None:
    desk = Desk()
    for epoch in (10, 5, 20, 8):
        assert desk.take(1, 2, epoch=epoch) == [NEW, NEW]
    assert desk.take(3, epoch=10) == [NEW]
    assert set(desk.commit()) == {ack(3, epoch=10), *(ack(2, epoch=epoch) for epoch in (5, 20, 8))}
    assert desk.take(1, epoch=30) == [NEW]
    assert desk.take(2, epoch=5) == [EARLY]
    for epoch, seq in ((10, 3), (20, 2), (8, 2), (30, 1)):
        assert desk.take(seq, epoch=epoch) == [AGAIN]
    assert len(desk.commit()) > 0
    assert {ack.epoch for _, ack in desk.inbox.all_acks()} == {10, 20, 8, 30}


def test_after_a_crash_it_goes_on_with_what_was_committed() -> None:
    desk = Desk()
    desk.take(1, 2)
    desk.take(1, receiver=C, edge=OTHER)
    desk.commit()
    desk.take(3)
    desk.inbox.save()  # and it dies before it is written
    again = Desk(dict(desk.disk))
    assert set(again.inbox.all_acks()) == {ack(2), ack(1, C, OTHER)}
    assert again.take(2, 3) == [AGAIN, NEW]


def test_a_receiver_moves_with_what_it_has_had() -> None:
    desk = Desk()
    desk.take(1, 2)
    desk.take(1, edge=OTHER, epoch=3)
    desk.take(1, receiver=C)
    there = Desk()
    there.take(1, 2, 3, 4, edge="home/old.out")
    there.commit()
    there.inbox.adopt(B, desk.inbox.cursors(B))
    assert there.inbox.acks() == []
    assert there.take(2, 3) == [AGAIN, NEW]
    assert there.take(5, edge="home/old.out") == [EARLY]
    there.inbox.acks()
    assert set(there.commit()) == {ack(3), ack(1, edge=OTHER, epoch=3)}
    assert set(there.disk) == {f"{B} {EDGE}", f"{B} {OTHER}"}
    desk.inbox.forget(B)
    desk.commit()
    assert set(desk.disk) == {f"{C} {EDGE}"}
    assert desk.take(1) == [NEW]


@pytest.mark.parametrize(
    "data", [b"", b"\x92\x09\x90", b"\x92\x01\x91\x92\xa1x\x90", b"\x92\x01\x91\x92\xa1x\x91\x92\x01\x00", b"nonsense"]
)
def test_damaged_cursors_are_refused_and_change_nothing(data: bytes) -> None:
    desk = Desk()
    desk.take(1)
    with pytest.raises(StateError):
        desk.inbox.adopt(B, data)
    assert desk.take(1, 2) == [AGAIN, NEW]


def test_a_receiver_without_cursors_moves_too() -> None:
    desk = Desk()
    desk.inbox.adopt(B, desk.inbox.cursors(B))
    assert desk.take(1) == [NEW]


def test_a_damaged_part_is_told_and_forgotten() -> None:
    desk = Desk()
    desk.take(1, 2)
    desk.take(1, receiver=C)
    desk.commit()
    desk.disk[f"{C} {EDGE}"] = b"\xff"
    desk.disk["rubbish"] = b""
    again = Desk(desk.disk)
    assert sorted(again.complaints) == [f"inbox {C} {EDGE}", "inbox rubbish"]
    again.commit()
    assert set(again.disk) == {f"{B} {EDGE}"}
    assert again.take(3) == [NEW]


def test_what_is_forgotten_while_it_is_stored_stays_forgotten() -> None:
    desk = Desk()
    desk.take(1, 2)
    desk.save()
    desk.inbox.forget(B)
    desk.inbox.committed()
    assert desk.inbox.acks() == []
    desk.take(1)
    assert desk.commit() == [ack(1)]
    assert Desk(desk.disk).take(1, 2) == [AGAIN, NEW]


def test_it_is_touched_once_for_each_save() -> None:
    desk = Desk()
    desk.take(1, 2, 3)
    desk.take(1, edge=OTHER)
    desk.take(9)
    assert desk.touches == 1
    desk.commit()
    desk.take(1, 9)
    assert desk.touches == 1
    desk.take(4)
    assert desk.touches == 2


def test_cursors_are_bounded_and_the_stalest_is_counted_and_begins_anew() -> None:
    desk = Desk(edges_max=3)
    desk.take(1, 2, edge="home/a.out")
    for seq, name in enumerate("bcd", 3):
        desk.take(1, 2, edge=f"home/{name}.out")
        desk.take(seq, edge="home/a.out")
    assert len(desk.inbox) == 3
    assert desk.inbox.forgotten_count == 1
    desk.commit()
    assert len(desk.disk) == 3
    assert desk.take(6, edge="home/a.out") == [NEW]
    assert desk.take(3, edge="home/b.out") == [EARLY]
    assert ack(0, edge="home/b.out") in desk.inbox.acks()
    for number in range(100):
        desk.take(5, edge=f"home/x{number}.out")
    assert len(desk.inbox.acks()) == 3


def test_who_promises_nothing_hears_what_is_newer_and_nothing_twice() -> None:
    inbox = Desk().inbox
    heard = [inbox.follow(EDGE, 7, seq) for seq in (5, 5, 4, 9, 6, 10)]
    assert heard == [True, False, False, True, False, True]
    assert inbox.follow(EDGE, 6, 2)
    assert not inbox.follow(EDGE, 6, 2)
    assert inbox.follow(EDGE, 8, 1)
    assert inbox.follow(OTHER, 7, 1)
    assert inbox.save() == {}
    assert inbox.all_acks() == []


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 9), st.integers(1, 50), st.booleans()), max_size=300))
def test_memory_stays_bounded(events: list[tuple[str, int, int, bool]]) -> None:
    desk = Desk(edges_max=4)
    for name, epoch, seq, is_followed in events:
        if is_followed:
            desk.inbox.follow(name, epoch, seq)
        else:
            desk.inbox.take(name, name, epoch, seq, base=seq)
        assert len(desk.inbox._cursors) == sum(map(len, desk.inbox._of.values())) <= 4
        assert all(len(cursor.taken) <= 4 and set(cursor.safe) <= set(cursor.taken) for cursor in desk.inbox._cursors.values())
        assert len(desk.inbox._followed) <= 4
        assert all(len(heard) <= 4 for heard in desk.inbox._followed.values())
        assert len(desk.inbox._due) <= 4
        if seq % 7 == 0:
            desk.save()
        if seq % 5 == 0:
            desk.inbox.committed()
    desk.commit()
    assert len(desk.disk) == len(desk.inbox)


def test_what_comes_again_alone_is_answered() -> None:
    desk = Desk()
    desk.take(1, 2)
    desk.commit()
    assert desk.take(1) == [AGAIN]
    assert desk.inbox.acks() == [ack(2)]


def test_an_epoch_that_gave_way_while_it_was_stored_is_not_acknowledged() -> None:
    desk = Desk()
    desk.take(1, epoch=1)
    desk.save()
    for epoch in (2, 3, 4, 5):
        desk.take(1, epoch=epoch)
    desk.inbox.committed()
    assert desk.inbox.acks() == []
    assert {ack.epoch for _, ack in desk.commit()} == {2, 3, 4, 5}
