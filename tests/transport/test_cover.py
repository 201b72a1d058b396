"""Filters that overlap, and the disjoint ones that stand for them."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import TopicError
from edgematrix.protocol.overlap import check_subscription, covers, join, overlaps
from edgematrix.transport.cover import DisjointCover

LEVELS = st.sampled_from(["a", "b", "$x", ""])


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.one_of(LEVELS, st.just("+")), min_size=0, max_size=3))
    if not levels or draw(st.booleans()):
        levels.append("#" if draw(st.booleans()) or not levels else draw(LEVELS))
    text = "/".join(levels)
    return text or "a"


TOPICS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join).filter(bool)


def matches(topic_filter: str, topic: str) -> bool:
    """MQTT 3.1.1, 4.7, spelt out once more, level by level."""
    wanted, given_levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    while wanted:
        if wanted[0] == "#":
            return True
        if not given_levels or wanted[0] not in ("+", given_levels[0]):
            return False
        wanted, given_levels = wanted[1:], given_levels[1:]
    return not given_levels


@given(filters(), TOPICS)
def test_a_filter_covers_the_topics_that_it_matches(topic_filter: str, topic: str) -> None:
    assert covers(topic_filter.split("/"), topic.split("/")) == matches(topic_filter, topic)


@given(filters(), filters(), st.lists(TOPICS, max_size=20))
def test_covering_and_overlapping_agree_with_the_topics(one: str, other: str, topics: list[str]) -> None:
    first, second = one.split("/"), other.split("/")
    assert overlaps(first, second) == overlaps(second, first)
    for topic in topics:
        if matches(one, topic) and matches(other, topic):
            assert overlaps(first, second)
        if covers(first, second) and matches(other, topic):
            assert matches(one, topic)


@given(filters(), filters())
def test_the_join_of_overlapping_filters_covers_both(one: str, other: str) -> None:
    first, second = one.split("/"), other.split("/")
    if overlaps(first, second):
        joined = join(first, second)
        assert covers(joined, first)
        assert covers(joined, second)
        check_subscription("/".join(joined))


@given(st.lists(filters(), max_size=10), st.lists(TOPICS, max_size=20))
def test_a_cover_matches_each_wanted_topic_exactly_once(wanted: list[str], topics: list[str]) -> None:
    cover = DisjointCover()
    cover.add(wanted)
    asked = list(cover)
    assert not any(overlaps(one.split("/"), other.split("/")) for one, other in combinations(asked, 2))
    for topic in topics:
        copies = sum(matches(each, topic) for each in asked)
        assert copies <= 1
        if any(matches(each, topic) for each in wanted):
            assert copies == 1
    for each in wanted:
        assert covers(cover.cover_of(each).split("/"), each.split("/"))
        assert each in cover.members(cover.cover_of(each))


@given(st.lists(filters(), max_size=10, unique=True), st.randoms(use_true_random=False), st.data())
def test_a_cover_depends_on_the_set_alone(wanted: list[str], shuffler: object, data: st.DataObject) -> None:
    cover = DisjointCover()
    cover.add(wanted)
    gone = data.draw(st.lists(st.sampled_from(wanted), unique=True)) if wanted else []
    cover.remove([*gone, "never/there"])
    left = [each for each in wanted if each not in gone]
    shuffler.shuffle(left)  # type: ignore[attr-defined]
    fresh = DisjointCover()
    fresh.add(left)
    assert sorted(cover) == sorted(fresh)
    assert cover.overlapping == fresh.overlapping == any(overlaps(a.split("/"), b.split("/")) for a, b in combinations(left, 2))
    assert cover.widened == fresh.widened


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (["a/#", "a/b", "a/+/c"], ["a/#"]),
        (["a/+", "+/b"], ["+/+"]),
        (["a/+", "b/+"], ["a/+", "b/+"]),
        (["a/#", "+/b"], ["+/#"]),
        (["#", "$SYS/#", "$SYS/broker/uptime"], ["#", "$SYS/#"]),
        (["a", "a/#", "a/b/c"], ["a/#"]),
        (["em/in/h/+", "em/in/h/lamp/set", "em/out/#"], ["em/in/h/+", "em/in/h/lamp/set", "em/out/#"]),
    ],
)
def test_covers_as_one_would_draw_them(wanted: list[str], asked: list[str]) -> None:
    cover = DisjointCover()
    cover.add(wanted)
    assert sorted(cover) == sorted(asked)


@pytest.mark.parametrize("bad", ["", "a/#/b", "a#", "+a/b", "a/b+", "a\0b", "\ud800", "x" * 70_000])
def test_a_filter_that_a_broker_would_refuse_is_refused_here(bad: str) -> None:
    with pytest.raises(TopicError, match="filter"):
        check_subscription(bad)
