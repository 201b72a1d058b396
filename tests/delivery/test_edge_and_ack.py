"""What names an edge, and what acknowledges it."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from edgematrix.delivery.ack import Ack, encode_ack, read_ack
from edgematrix.delivery.edge import edge_of, sender_of, topic_of
from edgematrix.errors import CodecError, TopicError
from edgematrix.protocol.codec import decode, decode_value, encode_event
from edgematrix.protocol.event import NUMBER_MAX, Event


@pytest.mark.parametrize(
    ("source", "topic", "root", "edge"),
    [
        ("home/a", "em/out/home/a/out", "em", "home/a.out"),
        ("home/a", "em/out/home/a/_end", "em", "home/a._end"),
        ("home", "em/out/home/lux", "em", "home.lux"),
        ("home/a", "em/in/home/b/c/set", "em", "home/a>home/b/c.set"),
        ("home/a", "site/1/in/home/b/in", "site/1", "home/a>home/b.in"),
    ],
)
def test_an_edge_tells_its_sender_and_its_topic(source: str, topic: str, root: str, edge: str) -> None:
    assert edge_of(source, topic, root) == edge
    assert sender_of(edge) == source
    assert topic_of(edge, root) == topic


@pytest.mark.parametrize(
    ("source", "topic"),
    [
        ("home/a", "em/state/home/a"),
        ("home/a", "em/part/home/a/out"),
        ("home/a", "em/op/me/send/home"),
        ("home/a", "zigbee2mqtt/lamp/set"),
        ("home/a", "em/out/out"),
        ("home/a", "em/out/home/A/out"),
        ("home/a", "em/out/home/a/two.ports"),
        ("home/a", "em/in/b"),
        ("home/a", "em/in/home/b/IN"),
        ("", "em/in/home/b/in"),
        ("home/a\ud800", "em/in/home/b/in"),
        ("home/a>home/c.in", "em/in/home/b/in"),
    ],
)
def test_what_is_neither_an_output_nor_work_is_no_edge(source: str, topic: str) -> None:
    with pytest.raises(TopicError):
        edge_of(source, topic, "em")


def test_an_acknowledgement_is_plain_json() -> None:
    assert json.loads(encode_ack(Ack("home/a.out", 1_700_000_000_000, 7))) == {
        "v": 1,
        "edge": "home/a.out",
        "epoch": 1_700_000_000_000,
        "seq": 7,
    }


@given(st.builds(Ack, st.text(min_size=1, max_size=50, alphabet="abc/.>_-"), st.integers(0, NUMBER_MAX), st.integers(0, NUMBER_MAX)))
def test_an_acknowledgement_is_read_as_it_was_written(ack: Ack) -> None:
    assert read_ack(decode_value(encode_ack(ack))) == ack


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("ok", "object"),
        ({"id": "command-7"}, "v is"),
        ({"v": 2, "edge": "a.b", "epoch": 1, "seq": 1}, "v is '2'"),
        ({"v": 1, "epoch": 1, "seq": 1}, "edge"),
        ({"v": 1, "edge": "", "epoch": 1, "seq": 1}, "edge"),
        ({"v": 1, "edge": "a.b" * 10_000, "epoch": 1, "seq": 1}, "edge"),
        ({"v": 1, "edge": "a.b", "epoch": -1, "seq": 1}, "epoch"),
        ({"v": 1, "edge": "a.b", "epoch": 1, "seq": 1.0}, "seq"),
        ({"v": 1, "edge": "a.b", "epoch": 1, "seq": True}, "seq"),
        ({"v": 1, "edge": "a.b", "epoch": 1, "seq": NUMBER_MAX + 1}, "seq"),
    ],
)
def test_what_is_no_acknowledgement_is_refused_with_what_is_wrong(value: Any, names: str) -> None:
    with pytest.raises(CodecError, match=names):
        read_ack(value)


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.dictionaries(st.sampled_from(["v", "edge", "epoch", "seq"]), st.integers() | st.text() | st.just([]))
)
def test_nothing_but_a_codec_error_comes_of_nonsense(value: Any) -> None:
    try:
        assert isinstance(read_ack(value), Ack)
    except CodecError:
        pass


@pytest.mark.parametrize("numbers", [{"edgeepoch": -1}, {"sequence": 0}, {"sequence": 2**53}, {"edgeepoch": 2**64}, {"edgebase": 0}])
def test_an_event_whose_number_cannot_be_kept_is_malformed(numbers: dict[str, int]) -> None:
    event = encode_event(Event(specversion="1.0", id="1", source="/home/a", type="em.out.out", data=1))
    payload = json.dumps(json.loads(event) | {"edgeepoch": 1, "sequence": 1} | numbers).encode()
    with pytest.raises(CodecError, match="malformed event"):
        decode("em/out/home/a/out", payload)
