"""Messages of MQTT-SN to bytes and back.

The format is that of "MQTT For Sensor Networks (MQTT-SN) Protocol Specification", version 1.2, 5.2. One datagram holds one message.
Numbers are big-endian.
"""

from __future__ import annotations

import struct
from dataclasses import fields
from typing import Any, get_args

from firmware_bridge.mqtt_sn.message import Flags, Packet, PacketError

__all__ = ["BYTES_MAX", "decode", "encode"]

BYTES_MAX = 65_535
_SHORT_MAX = 255
_LONG = 1
"""A first byte that says that the length stands in the next two."""

_KINDS: dict[int, Any] = {one.kind: one for one in get_args(Packet)}
_FLAGGED = frozenset(kind for kind, one in _KINDS.items() if any(field.name == "flags" for field in fields(one)))


def encode(packet: Packet) -> bytes:
    """Write a message.

    Raises:
        PacketError: it is longer than a datagram can be, or a number is out of its range.
    """
    values = [getattr(packet, field.name) for field in fields(packet)]
    rest = values.pop() if packet.has_rest else b""
    if packet.is_optional and packet == type(packet)():  # type: ignore[call-arg]  # all of these have defaults
        body = b""
    else:
        plain = [value.byte() if isinstance(value, Flags) else value for value in values]
        try:
            body = struct.pack(f">{packet.form}", *plain) + rest
        except struct.error as error:
            raise PacketError(f"{type(packet).__name__}: {error}") from None
    if len(body) + 2 <= _SHORT_MAX:
        return bytes((len(body) + 2, packet.kind)) + body
    if len(body) + 4 > BYTES_MAX:
        raise PacketError(f"{type(packet).__name__} has {len(body)} bytes, which no datagram holds")
    return struct.pack(">BHB", _LONG, len(body) + 4, packet.kind) + body


def decode(datagram: bytes) -> Packet:
    """Read a datagram.

    Raises:
        PacketError: its length is not what it says, its type is unknown, or its body is not that of its type.
    """
    if len(datagram) < 2:  # noqa: PLR2004 - a length and a type
        raise PacketError(f"a datagram of {len(datagram)} bytes")
    length, head = datagram[0], 2
    if length == _LONG:
        if len(datagram) < 4:  # noqa: PLR2004 - a long length and a type
            raise PacketError("its length is cut off")
        (length,) = struct.unpack_from(">H", datagram, 1)
        head = 4
    if length != len(datagram):
        raise PacketError(f"it says {length} bytes, and has {len(datagram)}")
    kind, body = datagram[head - 1], datagram[head:]
    made = _KINDS.get(kind)
    if made is None:
        raise PacketError(f"the type 0x{kind:02x} is unknown")
    if made.is_optional and not body:
        return made()  # type: ignore[no-any-return]  # one of the union
    size = struct.calcsize(f">{made.form}")
    if len(body) < size or (len(body) > size and not made.has_rest):
        raise PacketError(f"{made.__name__} has a body of {len(body)} bytes")
    values: list[object] = list(struct.unpack_from(f">{made.form}", body))
    if kind in _FLAGGED:
        values[0] = Flags.of(body[0])
    if made.has_rest:
        values.append(body[size:])
    return made(*values)  # type: ignore[no-any-return]  # one of the union
