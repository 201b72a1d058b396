"""What goes to the broker: after the commit, in order, until the broker has it."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from edgematrix.delivery.lane import Lane
from edgematrix.errors import QueueFullError
from edgematrix.protocol.message import Publication

S = 1_000_000


class Desk:
    """A lane with a disk."""

    def __init__(self, disk: dict[str, bytes] | None = None, **bounds: int) -> None:
        self.disk = {} if disk is None else disk
        self.complaints: list[str] = []
        self.touches = 0
        self.lane = Lane(self._touch, **({"entries_max": 100, "bytes_max": 10_000, "window_max": 4} | bounds))
        self.lane.load(self.disk, lambda what, _: self.complaints.append(what))

    def _touch(self, lane: Lane) -> None:
        assert lane is self.lane
        self.touches += 1

    def put(self, *texts: str, expires_us: int | None = None) -> None:
        for text in texts:
            self.lane.put(Publication("lamp/set", text.encode(), 1), expires_us)

    def save(self) -> None:
        for part, data in self.lane.save().items():
            if data is None:
                self.disk.pop(part, None)
            else:
                self.disk[part] = data

    def commit(self) -> None:
        self.save()
        self.lane.committed()

    def due(self, now_us: int = 0) -> list[str]:
        return [publication.payload.decode() for publication in self.lane.due(now_us)]


def test_nothing_leaves_before_its_commit_nor_without_a_broker() -> None:
    desk = Desk()
    desk.put("a", "b")
    desk.lane.linked()
    assert desk.due() == []
    assert desk.lane.is_staged
    desk.save()
    desk.put("c")
    desk.lane.committed()
    desk.lane.unlinked()
    assert desk.due() == []
    desk.lane.linked()
    assert desk.due() == ["a", "b"]
    assert desk.due() == []
    desk.commit()
    assert desk.due() == ["c"]
    assert not desk.lane.is_staged


def test_a_publication_goes_when_the_broker_has_it_and_the_window_moves() -> None:
    desk = Desk()
    desk.lane.linked()
    desk.put(*"abcdef")
    desk.commit()
    handed = desk.lane.due(0)
    assert [publication.payload for publication in handed] == [b"a", b"b", b"c", b"d"]
    assert desk.due() == []
    desk.lane.confirmed(handed[1].number)
    desk.lane.confirmed(handed[1].number)
    desk.lane.confirmed(999)
    desk.lane.confirmed(0)
    assert desk.due() == ["e"]
    assert desk.lane.waiting == 5
    desk.commit()
    assert len(desk.disk) == 5
    assert desk.touches == 2


def test_what_was_handed_out_is_not_handed_out_again_after_an_outage() -> None:
    desk = Desk()
    desk.lane.linked()
    desk.put("a", "b")
    desk.commit()
    assert desk.due() == ["a", "b"]
    desk.lane.unlinked()
    desk.lane.linked()
    assert desk.due() == []


def test_what_the_transport_did_not_take_is_due_again_in_order() -> None:
    desk = Desk()
    desk.lane.linked()
    desk.put(*"abcdef")
    desk.commit()
    second = desk.lane.due(0)[1]
    desk.lane.go_back(second.number)
    assert desk.due() == ["b", "c", "d"]
    desk.lane.go_back(second.number + 50)
    assert desk.due() == []


def test_after_a_crash_what_was_not_confirmed_is_sent_again_as_it_was() -> None:
    desk = Desk()
    desk.lane.linked()
    publication = Publication("lamp/set", b"\x00\xff", 1, retain=True, expiry_s=60)
    desk.lane.put(Publication("lamp/set", b"gone", 1), None)
    desk.lane.put(publication, None)
    desk.commit()
    first = desk.lane.due(0)[0]
    desk.lane.confirmed(first.number)
    desk.commit()
    desk.put("never committed")
    again = Desk(desk.disk)
    again.put("later")
    again.commit()
    again.lane.linked()
    found = again.lane.due(0)
    assert [(p.topic, p.payload, p.qos, p.retain, p.expiry_s) for p in found] == [
        ("lamp/set", b"\x00\xff", 1, True, 60),
        ("lamp/set", b"later", 1, False, None),
    ]
    assert len({p.number for p in found} - {0}) == 2
    assert again.lane.waiting_bytes == 2 * len("lamp/set") + 2 + 5


def test_what_has_expired_is_told_and_not_sent() -> None:
    desk = Desk()
    desk.lane.linked()
    desk.put("a", "b", expires_us=5 * S)
    desk.put("c")
    desk.put("d", expires_us=60 * S)
    desk.commit()
    found = desk.lane.due(5 * S)
    assert [(p.payload, p.expiry_s) for p in found] == [(b"c", None), (b"d", 55)]
    assert [p.payload for p in desk.lane.take_expired()] == [b"a", b"b"]
    assert desk.lane.take_expired() == []
    desk.commit()
    assert len(desk.disk) == desk.lane.waiting == 2


def test_the_time_that_is_left_goes_along_and_is_never_nothing() -> None:
    desk = Desk()
    desk.lane.linked()
    desk.put("a", expires_us=5 * S)
    desk.commit()
    assert [p.expiry_s for p in desk.lane.due(5 * S - 1)] == [1]


def test_beyond_its_bounds_nothing_is_staged() -> None:
    desk = Desk(entries_max=2)
    desk.put("a", "b")
    assert desk.lane.is_full
    with pytest.raises(QueueFullError, match="lamp/set"):
        desk.put("c")
    small = Desk(bytes_max=20)
    small.put("12345")
    assert not small.lane.is_full
    with pytest.raises(QueueFullError, match="20"):
        small.put("12345")
    small.commit()
    small.lane.linked()
    small.lane.confirmed(small.lane.due(0)[0].number)
    small.put("12345")
    assert (small.lane.waiting, small.lane.waiting_bytes) == (1, 13)


def test_damage_is_told_and_the_rest_goes_on() -> None:
    desk = Desk()
    desk.put("a", "b")
    desk.commit()
    first = min(desk.disk)
    desk.disk[first] = b"\xff"
    desk.disk["x"] = b""
    desk.disk["0"] = b""
    again = Desk(desk.disk)
    assert sorted(again.complaints) == ["lane 0", f"lane {first}", "lane x"]
    again.commit()
    again.lane.linked()
    assert again.due() == ["b"]
    assert len(again.disk) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "save", "committed", "due", "confirm", "crash", "unlink", "link", "refuse"]), st.integers(0, 9)),
        max_size=80,
    )
)
def test_each_committed_publication_reaches_the_broker_in_order(steps: list[tuple[str, int]]) -> None:
    """Confirmed in any order, refused by the transport, with crashes: first arrivals are in order, and none is missing."""
    desk = Desk()
    desk.lane.linked()
    arrived: list[int] = []
    flying: list[tuple[int, int]] = []
    put: list[int] = []
    safe: list[int] = []
    pending: list[int] = []
    count = 0
    for step, n in steps:
        if step == "put":
            desk.put(str(count))
            put.append(count)
            count += 1
        elif step == "save":
            desk.save()
            pending = list(put)
            safe = pending  # in this world a save is a commit whose end is heard of later
        elif step == "committed":
            desk.lane.committed()
        elif step == "crash":
            desk = Desk(desk.disk)
            put, flying = list(safe), []
            desk.lane.linked()
        elif step == "confirm" and flying:
            desk.lane.confirmed(flying.pop(n % len(flying))[0])
        elif step in ("link", "unlink"):
            desk.lane.linked() if step == "link" else desk.lane.unlinked()
        elif step in ("due", "refuse"):
            handed = [(p.number, int(p.payload)) for p in desk.lane.due(0)]
            kept = handed if step == "due" else handed[: n % 3]
            if len(kept) < len(handed):
                desk.lane.go_back(handed[len(kept)][0])
            assert all(value in safe for _, value in kept)
            flying += kept
            arrived += [value for _, value in kept]
        assert len(flying) <= 4
    desk.commit()
    desk.lane.linked()
    while desk.lane.waiting:
        flying += (handed := [(p.number, int(p.payload)) for p in desk.lane.due(0)])
        arrived += [value for _, value in handed]
        assert flying
        desk.lane.confirmed(flying.pop(0)[0])
    desk.commit()
    assert desk.disk == {}
    assert list(dict.fromkeys(arrived)) == sorted(set(arrived))
    assert set(put) <= set(arrived)
    assert desk.lane.waiting_bytes == 0
