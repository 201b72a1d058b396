"""What waits to be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import QueueFullError
from edgematrix.protocol.message import Publication
from edgematrix.transport.outbox import Outbox


def make(messages_max: int = 3, bytes_max: int = 1000, window_max: int = 2) -> Outbox:
    return Outbox(messages_max=messages_max, bytes_max=bytes_max, window_max=window_max)


def message(name: str, qos: int = 0, size: int = 1) -> Publication:
    return Publication(name, bytes(size), qos)


def test_the_oldest_best_effort_message_gives_way() -> None:
    outbox = make()
    assert [outbox.put(message(name), 0.0) for name in "abc"] == [[], [], []]
    assert [gone.topic for gone in outbox.put(message("d", qos=1), 0.0)] == ["a"]
    assert [gone.topic for gone in outbox.put(message("e"), 0.0)] == ["b"]
    assert len(outbox) == 3


def test_assured_messages_never_give_way() -> None:
    outbox = make()
    for name in "abc":
        outbox.put(message(name, qos=1), 0.0)
    with pytest.raises(QueueFullError, match="3 QoS 1 messages"):
        outbox.put(message("d", qos=1), 0.0)
    assert [gone.topic for gone in outbox.put(message("e"), 0.0)] == ["e"]
    assert len(outbox) == 3


def test_bytes_are_bounded_too() -> None:
    outbox = make(bytes_max=100)
    outbox.put(message("a", size=60), 0.0)
    assert [gone.topic for gone in outbox.put(message("b", size=60), 0.0)] == ["a"]
    with pytest.raises(QueueFullError):
        outbox.put(message("c", qos=1, size=200), 0.0)


def test_the_window_bounds_what_is_sent_unconfirmed_and_order_holds() -> None:
    outbox = make(messages_max=10)
    for name in "abc":
        outbox.put(message(name, qos=1), 0.0)
    first, second = outbox.take_assured(), outbox.take_assured()
    assert first is not None
    assert second is not None
    assert outbox.take_assured() is None
    outbox.acknowledged(first.packet_id)
    third = outbox.take_assured()
    assert third is not None
    assert [first.publication.topic, second.publication.topic, third.publication.topic] == ["a", "b", "c"]


def test_what_was_not_confirmed_is_sent_again_first_with_its_identifier() -> None:
    outbox = make(messages_max=10)
    for name in "abc":
        outbox.put(message(name, qos=1), 0.0)
    sent = [outbox.take_assured(), outbox.take_assured()]
    outbox.lost(soon=False)
    outbox.opened(window=100, session_present=True)
    again = [outbox.take_assured(), outbox.take_assured()]
    assert [(w.publication.topic, w.packet_id, w.sent) for w in again if w] == [(w.publication.topic, w.packet_id, True) for w in sent if w]


def test_without_a_session_what_is_sent_again_is_no_duplicate_to_the_broker() -> None:
    outbox = make()
    outbox.put(message("a", qos=1), 0.0)
    outbox.take_assured()
    outbox.lost(soon=False)
    outbox.opened(window=100, session_present=False)
    again = outbox.take_assured()
    assert again is not None
    assert not again.sent


def test_a_message_on_which_connections_break_is_found_and_given_up() -> None:
    outbox = make(messages_max=10, window_max=5)
    for name in ("poison", "b", "c"):
        outbox.put(message(name, qos=1), 0.0)
    sent_together, given_up = [], None
    while given_up is None:
        assert len(sent_together) < 20
        outbox.opened(window=100, session_present=True)
        count = 0
        while outbox.take_assured() is not None:
            count += 1
        sent_together.append(count)
        given_up = outbox.lost(soon=True)
    assert given_up.topic == "poison"
    assert sent_together == [3, 3, 1, 1, 1]
    outbox.opened(window=100, session_present=True)
    left = [outbox.take_assured(), outbox.take_assured()]
    assert [w.publication.topic for w in left if w] == ["b", "c"]


def test_links_that_break_late_or_make_progress_raise_no_suspicion() -> None:
    outbox = make(messages_max=10)
    outbox.put(message("a", qos=1), 0.0)
    outbox.put(message("b", qos=1), 0.0)
    for _ in range(20):
        outbox.opened(window=100, session_present=True)
        outbox.take_assured()
        assert outbox.lost(soon=False) is None


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 300)), max_size=60))
def test_bounds_hold_whatever_is_put_in(puts: list[tuple[int, int]]) -> None:
    outbox = make(messages_max=5, bytes_max=600)
    put, gave_way, refused = 0, 0, 0
    for qos, size in puts:
        try:
            gave_way += len(outbox.put(message("t", qos, size), 0.0))
            put += 1
        except QueueFullError:
            refused += 1
        assert len(outbox) <= 5
        assert outbox._assured_bytes + outbox._best_effort_bytes <= 600
    assert put - gave_way == len(outbox)
    assert len(outbox.drain()) == put - gave_way
    assert outbox.idle


def test_packet_identifiers_wrap_and_pass_over_those_in_use() -> None:
    outbox = Outbox(messages_max=10, bytes_max=10_000, window_max=100)
    outbox.put(message("kept", qos=1), 0.0)
    kept = outbox.take_assured()
    assert kept is not None
    seen = set()
    for _ in range(0x8000):
        outbox.put(message("a", qos=1), 0.0)
        waiting = outbox.take_assured()
        assert waiting is not None
        assert waiting.packet_id != kept.packet_id
        seen.add(waiting.packet_id)
        outbox.acknowledged(waiting.packet_id)
    assert seen == set(range(0x8000, 0x10000)) - {kept.packet_id}
