"""Topics of the bus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.errors import PathError, TopicError
from edgematrix.protocol.topic import Address, Kind, check_topic, parse_topic, topic_for


@pytest.mark.parametrize(
    ("topic", "address"),
    [
        ("em/out/home/hall/lux/illuminance", Address(Kind.OUT, "home/hall/lux", "illuminance")),
        ("em/state/home/hall", Address(Kind.STATE, "home/hall")),
        ("em/ctl/home/hall/pause", Address(Kind.CTL, "home/hall", "pause")),
        ("em/host/pi-kitchen", Address(Kind.HOST, "pi-kitchen")),
    ],
)
def test_a_topic_spells_kind_path_and_port(topic: str, address: Address) -> None:
    assert parse_topic(topic) == address
    assert topic_for("em", address.kind, address.path, address.port) == topic


def test_a_root_may_have_levels_of_its_own() -> None:
    assert parse_topic("site/em/state/home", "site/em") == Address(Kind.STATE, "home")


@pytest.mark.parametrize(
    "topic",
    ["", "em", "em/", "em/nope/home", "zigbee2mqtt/lamp", "em/op/ann/pause/home", "em/reply/home/x", "em/out/home", "embed/out/a/b"],
)
def test_what_is_no_address_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        parse_topic(topic)


@pytest.mark.parametrize("topic", ["em/out/home//x", "em/state/Home", "em/in/home/+/set"])
def test_a_path_in_a_topic_keeps_to_its_grammar(topic: str) -> None:
    with pytest.raises(PathError):
        parse_topic(topic)


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "\ud800", "ü" * 32_768])
def test_nothing_is_published_on_what_is_no_topic(topic: str) -> None:
    with pytest.raises(TopicError):
        check_topic(topic)


@given(st.text())
def test_no_text_raises_anything_but_topic_and_path_errors(text: str) -> None:
    for read in (check_topic, parse_topic, lambda value: parse_topic(f"em/{value}")):
        try:
            read(text)
        except (TopicError, PathError):
            pass
