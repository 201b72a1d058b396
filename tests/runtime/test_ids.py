"""Ids are UUIDs of version 7 that rise."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from edgematrix.runtime.ids import id_maker


@given(st.lists(st.integers(0, 2**48 * 1_000 - 1), min_size=1, max_size=50))
def test_ids_rise_whatever_the_clock_does(moments: list[int]) -> None:
    new_id = id_maker(7)
    ids = [new_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(uuid.UUID(made).version == 7 and uuid.UUID(made).variant == uuid.RFC_4122 for made in ids)


def test_an_id_holds_its_moment_and_a_seed_makes_the_same_ones() -> None:
    first, second, other = id_maker(1), id_maker(1), id_maker(2)
    moment_us = 1_767_225_600_123_456
    made = first(moment_us)
    assert uuid.UUID(made).int >> 80 == moment_us // 1_000
    assert made == second(moment_us)
    assert made != other(moment_us)
    assert id_maker()(moment_us) != id_maker()(moment_us)
