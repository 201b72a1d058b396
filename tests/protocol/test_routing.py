"""Filters with captures, and the router that finds who listens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from edgematrix.errors import TopicError
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.router import Router

levels = st.sampled_from(["a", "b", "hall_climate", "", "$SYS"])
topics = st.lists(levels, min_size=1, max_size=5).map("/".join).filter(bool)
filters = st.builds(
    lambda middle, tail: "/".join([*middle, *tail]),
    st.lists(st.one_of(levels, st.just("+")), min_size=1, max_size=5),
    st.sampled_from([[], ["#"]]),
).filter(bool)


@pytest.mark.parametrize(
    ("text", "subscription", "topic", "captures"),
    [
        ("zigbee2mqtt/{room}_climate", "zigbee2mqtt/+", "zigbee2mqtt/hall_climate", {"room": "hall"}),
        ("zigbee2mqtt/{room}_climate", "zigbee2mqtt/+", "zigbee2mqtt/hall_window", None),
        ("t/{room}/{what}", "t/+/+", "t/hall/lux", {"room": "hall", "what": "lux"}),
        ("t/{room}/#", "t/+/#", "t/hall/a/b", {"room": "hall"}),
        ("t/{room}/#", "t/+/#", "t/hall", {"room": "hall"}),
        ("{a}.b/c", "+/c", "x.b/c", {"a": "x"}),
        ("{a}.b/c", "+/c", "xyb/c", None),
        ("t/{room}", "t/+", "t/a\nb", {"room": "a\nb"}),
    ],
)
def test_a_capture_holds_one_level_or_a_part_of_it(text: str, subscription: str, topic: str, captures: dict[str, str] | None) -> None:
    topic_filter = TopicFilter.parse(text)
    assert topic_filter.subscription == subscription
    assert topic_filter.captures(topic) == captures


@pytest.mark.parametrize("text", ["", "a/#/b", "a+/b", "a/b#", "{}", "{1x}/a", "{a}{b}", "{a}/{a}", "{a}+", "a/{", "a}/b", "\0"])
def test_a_malformed_filter_is_refused(text: str) -> None:
    with pytest.raises(TopicError):
        TopicFilter.parse(text)


@given(st.lists(filters, max_size=6), topics)
def test_the_router_finds_just_those_that_mqtt_matches_in_the_order_of_adding(texts: list[str], topic: str) -> None:
    router: Router[int] = Router()
    for number, text in enumerate(texts):
        router.add(TopicFilter.parse(text), number)
    expected = [number for number, text in enumerate(texts) if topic_matches_sub(text, topic)]
    assert [listener for listener, _ in router.match(topic)] == expected
    assert [listener for listener, _ in router.match(topic)] == expected


def test_a_listener_that_comes_later_or_leaves_is_seen_at_once() -> None:
    router: Router[str] = Router()
    assert router.match("a/b") == ()
    router.add(TopicFilter.parse("a/+"), "wide")
    router.add(TopicFilter.parse("a/b"), "exact")
    assert [listener for listener, _ in router.match("a/b")] == ["wide", "exact"]
    router.discard("wide")
    assert [listener for listener, _ in router.match("a/b")] == ["exact"]


def test_the_cache_is_bounded() -> None:
    router: Router[str] = Router(cache_max=10)
    router.add(TopicFilter.parse("a/#"), "all")
    for number in range(1_000):
        assert router.match(f"a/{number}") == (("all", {}),)
    assert len(router._cache) <= 10


@given(st.text())
def test_no_text_raises_anything_but_a_topic_error(text: str) -> None:
    try:
        TopicFilter.parse(text).captures("a/b")
    except TopicError:
        pass
