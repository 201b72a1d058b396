"""What may leave on the connection that stands, and soon, or not at all; and a connection that is given up."""

from __future__ import annotations

from edgematrix.protocol.message import Publication
from edgematrix.transport.outbox import Outbox


def outbox() -> Outbox:
    return Outbox(messages_max=100, bytes_max=10_000, window_max=3)


def test_what_was_for_a_connection_alone_goes_with_it_and_all_else_stays() -> None:
    box = outbox()
    for number in range(6):
        box.put(Publication("t", bytes([number]), 1, fresh_s=3.0 if number % 2 else None), 0.0)
    box.put(Publication("t", b"quick", 0, fresh_s=3.0), 0.0)
    box.put(Publication("t", b"slow", 0), 0.0)
    assert [box.take_assured().publication.payload for _ in range(2)] == [b"\0", b"\1"]  # type: ignore[union-attr]
    assert [publication.payload for publication in box.perish()] == [b"\1", b"\3", b"\5", b"quick"]
    box.lost(soon=False)
    box.opened(window=10, session_present=False)
    assert [box.take_assured().publication.payload for _ in range(3)] == [b"\0", b"\2", b"\4"]  # type: ignore[union-attr]
    assert box.take_assured() is None
    waiting = box.take_best_effort()
    assert waiting is not None
    assert waiting.publication.payload == b"slow"
    for number in range(0x8000, 0x8010):
        box.acknowledged(number)
    assert box.idle


def test_it_is_known_until_when_it_may_leave() -> None:
    box = outbox()
    box.put(Publication("t", b"", 1, fresh_s=0.5), 10.0)
    waiting = box.take_assured()
    assert waiting is not None
    assert waiting.stale_s == 10.5
    assert waiting.deadline_s is None  # it is no message expiry: whoever has it may keep it
