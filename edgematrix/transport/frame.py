"""The two MQTT packets that make up the traffic, PUBLISH and PUBACK, written and cut without detours.

Layouts: MQTT 3.1.1, 2.2 (fixed header), 3.3 (PUBLISH), 3.4 (PUBACK); MQTT 5, 2.2.2 (properties), 3.8.2.1.2 (identifiers).
All other packets are passed on whole, to the library that knows them.
"""

from __future__ import annotations

from typing import Protocol

from edgematrix.errors import ProtocolError

__all__ = ["Frames", "Reader", "puback", "publish", "topic_field"]

_PUBLISH = 3
_PUBACK = 0x40
_HEADS = [[bytes((0x30 | flags, length)) for length in range(128)] for flags in range(16)]
_SUBSCRIPTION_IDENTIFIER = 0x0B
_FIXED_SIZES = {0x01: 1, 0x02: 4, 0x23: 2}
_LENGTH_PREFIXED = {0x03: 1, 0x08: 1, 0x09: 1, 0x26: 2}
_LENGTH_BYTES_MAX = 4
_NO_IDENTIFIERS: tuple[int, ...] = ()


class Frames(Protocol):
    """Who is told what was cut."""

    def published(self, topic: str, payload: bytes, head: int, packet_id: int, identifiers: tuple[int, ...]) -> None:
        """A PUBLISH of QoS 0 or 1; `head` is its first byte, `packet_id` is 0 for QoS 0."""

    def acknowledged(self, packet_id: int, reason: int) -> None:
        """A PUBACK; a reason from 0x80 on is a refusal (MQTT 5)."""

    def unreadable(self, topic: str, reason: str, packet_id: int) -> None:
        """A PUBLISH that was thrown away while it was read; `packet_id` is 0 unless it wants a PUBACK."""

    def other(self, frame: bytes) -> None:
        """Any other packet, whole."""


def topic_field(topic: str) -> bytes:
    """A topic as it stands in a PUBLISH: its length in two bytes, and itself."""
    encoded = topic.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def publish(out: bytearray, flags: int, topic: bytes, middle: bytes, payload: bytes) -> None:
    """Append a PUBLISH to `out`.

    Args:
        out: what is to be sent.
        flags: the low four bits of the first byte: DUP 8, QoS 2 and 4, RETAIN 1.
        topic: as `topic_field` gives it.
        middle: the packet identifier for QoS 1, then the properties for MQTT 5.
        payload: the rest.
    """
    length = len(topic) + len(middle) + len(payload)
    if length < 128:  # noqa: PLR2004 - seven bits of length fit one byte
        out += _HEADS[flags][length]
    else:
        out.append(0x30 | flags)
        while length > 127:  # noqa: PLR2004
            out.append(length & 127 | 128)
            length >>= 7
        out.append(length)
    out += topic
    if middle:
        out += middle
    out += payload


def puback(packet_id: int) -> bytes:
    """A PUBACK that says success; the same in MQTT 3.1.1 and 5."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


class Reader:
    """Cuts a stream into packets and hands them on.

    A PUBLISH larger than `packet_bytes_max` is thrown away while it comes in; no more of it is kept than its topic.

    Args:
        frames: who is told.
        properties: whether a PUBLISH has properties (MQTT 5).
        packet_bytes_max: the largest packet that is read.
    """

    def __init__(self, frames: Frames, *, properties: bool, packet_bytes_max: int) -> None:
        self._frames = frames
        self._properties = properties
        self._packet_bytes_max = packet_bytes_max
        self._partial = bytearray()
        self._missing_bytes = 0
        self._skip_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            ProtocolError: they are not what MQTT allows; the stream is of no more use.
        """
        if self._skip_bytes:
            skipped = min(self._skip_bytes, len(data))
            self._skip_bytes -= skipped
            data = data[skipped:]
        if self._partial:
            self._partial += data
            if len(data) < self._missing_bytes:
                self._missing_bytes -= len(data)
                return
            data = bytes(self._partial)
            self._partial = bytearray()
        done = self._cut(data)
        if done < len(data):
            self._partial += data[done:]

    def _cut(self, data: bytes) -> int:
        position, end = 0, len(data)
        frames = self._frames
        while end - position >= 2:  # noqa: PLR2004 - a first byte and a length
            head = data[position]
            length = data[position + 1]
            body = position + 2
            if length > 127:  # noqa: PLR2004
                length, body = _length_at(data, position + 1, end)
                if body == 0:
                    self._missing_bytes = 1
                    return position
            stop = body + length
            if length > self._packet_bytes_max:
                if not self._pass_over(data, position, body, length):
                    return position
                position = min(stop, end)
                continue
            if stop > end:
                self._missing_bytes = stop - end
                return position
            if head >> 4 == _PUBLISH and not head & 4:
                self._published(data, head, body, stop)
            elif head == _PUBACK and length >= 2:  # noqa: PLR2004
                frames.acknowledged(data[body] << 8 | data[body + 1], data[body + 2] if length > 2 else 0)  # noqa: PLR2004
            else:
                frames.other(data[position:stop])
            position = stop
        self._missing_bytes = 1
        return position

    def _published(self, data: bytes, head: int, body: int, stop: int) -> None:
        start = body + 2
        after = start + (data[body] << 8 | data[body + 1]) if stop >= start else stop + 1
        packet_id, identifiers, payload = 0, _NO_IDENTIFIERS, after
        if head & 2:
            payload += 2
            if payload <= stop:
                packet_id = data[after] << 8 | data[after + 1]
        if self._properties and payload < stop:
            size = data[payload]
            if size:
                size, start_of = _length_at(data, payload, stop)
                payload = start_of + size if start_of else stop + 1
                identifiers = _identifiers(data, start_of, payload, stop)
            else:
                payload += 1
        elif self._properties:
            payload = stop + 1
        if payload > stop or after == start:
            raise ProtocolError("the broker sent a PUBLISH that is cut short or has no topic")
        try:
            topic = str(data[start:after], "utf-8")
        except UnicodeDecodeError:
            self._frames.unreadable(repr(data[start:after][:120]), "its topic is not valid UTF-8", packet_id)
            return
        self._frames.published(topic, data[payload:stop], head, packet_id, identifiers)

    def _pass_over(self, data: bytes, position: int, body: int, length: int) -> bool:
        """Throw an oversize message away; False if its topic and packet identifier have not come in yet."""
        head = data[position]
        if head >> 4 != _PUBLISH:
            raise ProtocolError(f"a packet of {length} bytes that is no message: what answers is no MQTT broker")
        end = len(data)
        after = need = body + 2
        if end >= after:
            after += data[body] << 8 | data[body + 1]
            need = after + (2 if head & 6 else 0)
        if need > body + length:
            raise ProtocolError("the broker sent a PUBLISH that is cut short or has no topic")
        if end < need:
            self._missing_bytes = need - end
            return False
        packet_id = data[after] << 8 | data[after + 1] if head & 2 else 0
        self._skip_bytes = max(0, body + length - end)
        reason = f"a packet of {length} bytes, at most {self._packet_bytes_max} are read"
        self._frames.unreadable(data[body + 2 : after].decode(errors="replace"), reason, packet_id)
        return True


def _length_at(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A length of one to four bytes, and where it ends; (0, 0) if more bytes are needed."""
    length = 0
    for count in range(_LENGTH_BYTES_MAX):
        if position + count == end:
            return 0, 0
        byte = data[position + count]
        length |= (byte & 127) << 7 * count
        if byte < 128:  # noqa: PLR2004
            return length, position + count + 1
    raise ProtocolError("a length of more than four bytes: what answers is no MQTT broker")


def _identifiers(data: bytes, position: int, end: int, stop: int) -> tuple[int, ...]:
    """The subscription identifiers among the properties of a PUBLISH."""
    found: list[int] = []
    while position < end <= stop:
        kind = data[position]
        position += 1
        if kind == _SUBSCRIPTION_IDENTIFIER:
            identifier, position = _length_at(data, position, end)
            if position == 0:
                break
            found.append(identifier)
        elif kind in _FIXED_SIZES:
            position += _FIXED_SIZES[kind]
        elif kind in _LENGTH_PREFIXED:
            for _ in range(_LENGTH_PREFIXED[kind]):
                position += 2 + int.from_bytes(data[position : position + 2], "big")
        else:
            break
    if position != end or end > stop:
        raise ProtocolError("the broker sent a PUBLISH with damaged properties")
    return tuple(found)
