"""The cursors of a board against the inbox of a host: the same events are taken, in whatever order they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgematrix.delivery.inbox import Inbox, Verdict
from firmware_bridge.upy.cursor import Cursors

events = st.lists(st.tuples(st.sampled_from(["a>b.in", "c>b.in"]), st.integers(1, 2), st.integers(1, 6), st.booleans()), max_size=60)


@given(events)
def test_it_takes_what_a_host_takes(found: list[tuple[str, int, int, bool]]) -> None:
    cursors, inbox = Cursors(), Inbox(lambda _: None)
    for edge, epoch, sequence, is_base in found:
        wanted = inbox.take("b", edge, epoch, sequence, sequence if is_base else None) is Verdict.NEW
        assert cursors.take(edge, epoch, sequence, sequence if is_base else 0) == wanted
        again = Cursors()
        again.load(cursors.save())
        assert again.all() == cursors.all()


def test_of_too_many_edges_the_one_unused_longest_is_forgotten() -> None:
    cursors = Cursors(2)
    assert cursors.take("a", 1, 1, 0)
    assert cursors.take("b", 1, 1, 0)
    assert cursors.take("a", 1, 2, 0)
    assert cursors.take("c", 1, 1, 0)
    assert [edge for edge, _, _ in cursors.all()] == ["a", "c"]
    assert not cursors.take("b", 1, 2, 0), "its sender is told that nothing was taken"
    assert cursors.take("b", 1, 2, 2), "and says that nothing before it will come"
