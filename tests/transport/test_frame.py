"""PUBLISH and PUBACK: what is written and cut here is what paho writes and reads."""

from __future__ import annotations

from importlib import metadata

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import _packet
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgematrix.errors import ProtocolError
from edgematrix.transport.frame import Reader, puback, publish, topic_field
from edgematrix.transport.paho_client import SUPPORTED_PAHO, BufferedSocket, PahoClient

TOPICS = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=40)
PAYLOADS = st.one_of(st.binary(max_size=40), st.integers(100, 20_000).map(bytes))


class Cut:
    """Notes what a reader cuts."""

    def __init__(self) -> None:
        self.published_ones: list[tuple[object, ...]] = []
        self.others: list[tuple[object, ...]] = []

    def published(self, topic: str, payload: bytes, head: int, packet_id: int, identifiers: tuple[int, ...]) -> None:
        self.published_ones.append((topic, payload, head, packet_id, identifiers))

    def acknowledged(self, packet_id: int, reason: int) -> None:
        self.others.append(("acknowledged", packet_id, reason))

    def unreadable(self, topic: str, reason: str, packet_id: int) -> None:
        self.others.append(("unreadable", topic, reason, packet_id))

    def other(self, frame: bytes) -> None:
        self.others.append(("other", frame))


def written_by_paho(topic: str, payload: bytes, *, qos: int, retain: bool, v5: bool, properties: Properties | None = None) -> bytes:
    out = bytearray()
    protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
    client = PahoClient(client_id="x", protocol=protocol, clean_session=True, buffered=BufferedSocket(out.extend))
    client.connect("localhost")
    client.loop_write()
    out.clear()
    client.publish(topic, payload, qos, retain, properties)
    client.loop_write()
    return bytes(out)


def test_paho_is_the_release_that_was_read() -> None:
    assert metadata.version("paho-mqtt") == SUPPORTED_PAHO
    assert {"_create_socket", "_mid_generate", "_last_mid"} <= {*dir(mqtt.Client), *vars(mqtt.Client(CallbackAPIVersion.VERSION2))}


def test_subscriptions_and_messages_do_not_share_packet_identifiers() -> None:
    client = PahoClient(
        client_id="x", protocol=MQTTProtocolVersion.MQTTv311, clean_session=True, buffered=BufferedSocket(bytearray().extend)
    )
    client.connect("localhost")
    given_ids = {client.subscribe("a")[1] for _ in range(0x8001)}
    assert given_ids == set(range(1, 0x8000))


@given(TOPICS, PAYLOADS, st.integers(0, 1), st.booleans(), st.booleans())
def test_a_message_is_written_as_paho_writes_it(topic: str, payload: bytes, qos: int, retain: bool, v5: bool) -> None:
    out = bytearray()
    middle = (b"\x00\x01" if qos else b"") + (b"\x00" if v5 else b"")
    publish(out, retain | qos << 1, topic_field(topic), middle, payload)
    assert bytes(out) == written_by_paho(topic, payload, qos=qos, retain=retain, v5=v5)


@given(
    st.lists(st.tuples(TOPICS, PAYLOADS, st.integers(0, 1), st.booleans(), st.lists(st.integers(1, 268_435_455), max_size=2)), max_size=5),
    st.booleans(),
    st.data(),
)
def test_a_stream_is_cut_as_paho_reads_it_wherever_it_is_broken(
    messages: list[tuple[str, bytes, int, bool, list[int]]], v5: bool, data: st.DataObject
) -> None:
    stream, expected = b"", []
    for topic, payload, qos, retain, identifiers in messages:
        properties = None
        if v5 and data.draw(st.booleans()):
            properties = Properties(PacketTypes.PUBLISH)
            properties.UserProperty = ("k", "v")
            properties.MessageExpiryInterval = 7
            properties.ContentType = "application/json"
            if identifiers:
                properties.SubscriptionIdentifier = identifiers
        frame = written_by_paho(topic, payload, qos=qos, retain=retain, v5=v5, properties=properties)
        header_bytes = next(index for index in range(1, 5) if frame[index] < 128) + 1
        protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        read = _packet.decode_publish(frame[0], frame[header_bytes:], protocol)
        found = tuple(getattr(read.properties, "SubscriptionIdentifier", ())) if read.properties else ()
        expected.append((read.topic.decode(), bytes(read.payload), frame[0], read.mid, found))
        stream += frame
    cut = Cut()
    reader = Reader(cut, properties=v5, packet_bytes_max=1_000_000)
    position = 0
    while position < len(stream):
        step = data.draw(st.integers(1, 3_000))
        reader.feed(stream[position : position + step])
        position += step
    assert cut.published_ones == expected
    assert cut.others == []


@given(st.binary(max_size=400), st.booleans(), st.integers(1, 50))
def test_no_bytes_make_the_reader_fail_otherwise_than_with_its_own_error(noise: bytes, v5: bool, step: int) -> None:
    cut = Cut()
    reader = Reader(cut, properties=v5, packet_bytes_max=200)
    try:
        for position in range(0, len(noise), step):
            reader.feed(noise[position : position + step])
    except ProtocolError as error:
        assert error.what  # noqa: PT017 - most noise raises nothing


def test_other_packets_are_passed_on_whole() -> None:
    cut = Cut()
    reader = Reader(cut, properties=True, packet_bytes_max=1000)
    reader.feed(puback(258) + b"\x40\x03\x01\x02\x87" + b"\xd0\x00" + b"\x34\x05\x00\x01ti" + b"d")
    assert cut.others == [
        ("acknowledged", 258, 0),
        ("acknowledged", 258, 0x87),
        ("other", b"\xd0\x00"),
        ("other", b"\x34\x05\x00\x01tid"),
    ]


@pytest.mark.parametrize("step", [1, 7, 1000, 100_000])
def test_an_oversize_message_is_thrown_away_while_it_comes_in(step: int) -> None:
    out = bytearray()
    publish(out, 2, topic_field("big/one"), b"\x12\x34", bytes(60_000))
    publish(out, 0, topic_field("small"), b"", b"1")
    publish(out, 0, topic_field("big/two"), b"", bytes(5_000))
    publish(out, 0, topic_field("small"), b"", b"2")
    cut = Cut()
    reader = Reader(cut, properties=False, packet_bytes_max=1000)
    kept_bytes = 0
    for position in range(0, len(out), step):
        reader.feed(bytes(out[position : position + step]))
        kept_bytes = max(kept_bytes, len(reader._partial))
    assert [(topic, payload) for topic, payload, *_ in cut.published_ones] == [("small", b"1"), ("small", b"2")]
    assert [(kind, topic, packet_id) for kind, topic, _, packet_id in cut.others] == [
        ("unreadable", "big/one", 0x1234),
        ("unreadable", "big/two", 0),
    ]
    assert kept_bytes <= 1000


def test_a_topic_that_is_not_text_is_reported_and_the_next_message_read() -> None:
    out = bytearray()
    publish(out, 2, b"\x00\x02\xff\xfe", b"\x00\x07", b"x")
    publish(out, 0, topic_field("a"), b"", b"1")
    cut = Cut()
    Reader(cut, properties=False, packet_bytes_max=1000).feed(bytes(out))
    assert cut.others == [("unreadable", "b'\\xff\\xfe'", "its topic is not valid UTF-8", 7)]
    assert len(cut.published_ones) == 1
