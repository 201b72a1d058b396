"""Messages of MQTT-SN: byte for byte as the vectors have them, and as another implementation writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqttsn12 import packets as other

from firmware_bridge.mqtt_sn import message as m
from firmware_bridge.mqtt_sn.message import Flags, IdType, PacketError
from firmware_bridge.mqtt_sn.packet import decode, encode

VECTORS = json.loads((Path(__file__).parent.parent.parent / "firmware_bridge/vectors/mqtt_sn.json").read_text(encoding="utf-8"))


def made(vector: dict[str, Any]) -> m.Packet:
    values = {name: value.encode("latin-1") if isinstance(value, str) else value for name, value in vector["fields"].items()}
    if "flags" in values:
        flags = dict(values["flags"])
        values["flags"] = Flags(**flags | {"id_type": IdType(flags.get("id_type", 0))})
    return getattr(m, vector["type"])(**values)  # type: ignore[no-any-return]


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda vector: f"{vector['type']}-{vector['hex'][:12]}")
def test_a_message_is_written_and_read_as_the_vectors_have_it(vector: dict[str, Any]) -> None:
    assert encode(made(vector)) == bytes.fromhex(vector["hex"])
    assert decode(bytes.fromhex(vector["hex"])) == made(vector)


@pytest.mark.parametrize("datagram", VECTORS["bad"])
def test_what_is_no_message_is_refused(datagram: str) -> None:
    with pytest.raises(PacketError):
        decode(bytes.fromhex(datagram))


@given(
    st.binary(max_size=40) | st.builds(lambda kind, body: bytes((len(body) + 2, kind)) + body, st.integers(0, 0x20), st.binary(max_size=20))
)
def test_whatever_comes_is_a_message_or_is_refused(datagram: bytes) -> None:
    try:
        packet = decode(datagram)
    except PacketError:
        return
    assert decode(encode(packet)) == packet


def test_another_implementation_reads_and_writes_the_same_bytes() -> None:
    connect = other.ConnectPacket()
    connect.set_flags(0x0C)
    connect.set_protocol_id(1)
    connect.set_duration(60)
    connect.set_client_id("home.tank")
    assert decode(bytes(connect.encode())) == m.Connect(Flags(will=True, clean=True), 1, 60, b"home.tank")
    publish = other.PublishPacket()
    publish.decode(encode(m.Publish(Flags(qos=1, retain=True, id_type=IdType.PREDEFINED), 513, 42, b"21.5")))
    assert (publish.get_topic_id(), publish.get_message_id(), bytes(publish.get_data())) == (513, 42, b"21.5")
    register = other.RegisterPacket()
    register.set_topic_id(0)
    register.set_message_id(7)
    register.set_topic_name("em/out/home/tank/level")
    assert decode(bytes(register.encode())) == m.Register(0, 7, b"em/out/home/tank/level")


def test_a_message_longer_than_a_datagram_is_refused() -> None:
    with pytest.raises(PacketError):
        encode(m.Publish(Flags(), 1, 0, bytes(70_000)))
