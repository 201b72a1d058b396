"""MQTT 3.1.1 packets to bytes and back, without a socket (OASIS MQTT 3.1.1, sections 2 and 3)."""

__all__ = [
    "CONNACK",
    "DISCONNECT",
    "PINGREQ",
    "PINGRESP",
    "PUBACK",
    "PUBLISH",
    "SUBACK",
    "MalformedError",
    "Reader",
    "connect",
    "puback",
    "publish",
    "subscribe",
]

CONNACK = 2
PUBLISH = 3
PUBACK = 4
SUBACK = 9
PINGRESP = 13

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

_TEXT_BYTES_MAX = 65_535
_LENGTH_MAX = 268_435_455
_EXACT_LENGTH = {CONNACK: 2, PUBACK: 2, PINGRESP: 0}


class MalformedError(Exception):
    """What the server sent is no MQTT 3.1.1, or not for a client."""


def text(value: str | bytes) -> bytes:
    """A text as it travels: encoded first, and only then measured.

    Raises:
        ValueError: it takes more than 65,535 bytes.
    """
    data = value.encode() if isinstance(value, str) else value
    if len(data) > _TEXT_BYTES_MAX:
        raise ValueError("a text of %d bytes, 65535 are allowed" % len(data))
    return len(data).to_bytes(2, "big") + data


def _packet(head: int, *parts: bytes) -> bytearray:
    """One packet in one buffer, so that it leaves in one write."""
    length = 0
    for part in parts:
        length += len(part)
    if length > _LENGTH_MAX:
        raise ValueError("a packet of %d bytes" % length)
    whole = bytearray((head,))
    rest = length
    while True:
        rest, digit = rest >> 7, rest & 0x7F
        whole.append(digit | 0x80 if rest else digit)
        if not rest:
            break
    for part in parts:
        whole.extend(part)
    return whole


def connect(
    client_id: str,
    clean: bool,
    keepalive_s: int,
    will: tuple[str, bytes] | None = None,
    user: str | None = None,
    password: str | None = None,
) -> bytearray:
    """CONNECT. `will` is a topic and a payload, retained, with QoS 1."""
    flags = 0x02 if clean else 0
    fields = [text(client_id)]
    if will is not None:
        flags |= 0x2C
        fields += [text(will[0]), text(will[1])]
    if user is not None:
        flags |= 0x80
        fields.append(text(user))
        if password is not None:
            flags |= 0x40
            fields.append(text(password))
    head = b"\x00\x04MQTT\x04" + bytes((flags,)) + keepalive_s.to_bytes(2, "big")
    return _packet(0x10, head, *fields)


def publish(topic: str, payload: bytes, qos: int, retain: bool, packet_id: int) -> bytearray:
    """PUBLISH with QoS 0 (without a packet id) or 1."""
    head = 0x30 | qos << 1 | retain
    if qos:
        return _packet(head, text(topic), packet_id.to_bytes(2, "big"), payload)
    return _packet(head, text(topic), payload)


def puback(packet_id: int) -> bytearray:
    """PUBACK."""
    return _packet(0x40, packet_id.to_bytes(2, "big"))


def subscribe(packet_id: int, filters: list[str]) -> bytearray:
    """SUBSCRIBE, each filter with QoS 1."""
    parts = [packet_id.to_bytes(2, "big")]
    for topic_filter in filters:
        parts.append(text(topic_filter))
        parts.append(b"\x01")
    return _packet(0x82, *parts)


class Reader:
    """Cuts packets out of what arrives, in one buffer that is allocated once.

    After `feed`, if `complete`: `kind` and `flags` are of the fixed header, `length` is its remaining length, and
    `body` the bytes after it. Of a PUBLISH beyond the buffer `oversize` is set and only `packet_id` is kept, so that
    it can be acknowledged and never comes again.
    """

    def __init__(self, bytes_max: int) -> None:
        self._buffer = bytearray(bytes_max)
        self._view = memoryview(self._buffer)
        self._bytes_max = bytes_max
        self.reset()

    def reset(self) -> None:
        """Forget a half packet, or be ready for the next one."""
        self.kind = 0
        self.flags = 0
        self.length = 0
        self.packet_id = 0
        self.complete = False
        self.oversize = False
        self._got = 0
        self._shift = 0
        self._in_body = False

    @property
    def body(self) -> memoryview:
        """The bytes after the fixed header; valid until the next `feed`."""
        return self._view[: self.length]

    def feed(self, data: memoryview, start: int, end: int) -> int:
        """Take bytes up to the end of one packet; returns where the next one starts.

        Raises:
            MalformedError: a kind, flags or a length that no server may send to this client.
        """
        while start < end and not self._in_body and not self.complete:
            self._header(data[start])
            start += 1
        if not self._in_body:
            return start
        count = min(end - start, self.length - self._got)
        self._keep(data, start, count)
        self._got += count
        if self._got == self.length:
            self._in_body = False
            self.complete = True
        return start + count

    def _header(self, byte: int) -> None:
        if not self.kind:
            self.kind, self.flags = byte >> 4, byte & 0x0F
            known = self.kind == PUBLISH or self.kind == SUBACK or self.kind in _EXACT_LENGTH
            if not known or (self.flags & 0x06 > 0x02 if self.kind == PUBLISH else self.flags):
                raise MalformedError("a packet starts with 0x%02x" % byte)
            return
        self.length |= (byte & 0x7F) << self._shift
        self._shift += 7
        if byte & 0x80:
            if self._shift > 21:
                raise MalformedError("a remaining length of over four bytes")
            return
        self._check_length()
        self._in_body = self.length > 0
        self.complete = not self._in_body

    def _check_length(self) -> None:
        if self.kind == PUBLISH:
            wrong = self.length < (4 if self.flags & 0x06 else 2)
            self.oversize = self.length > self._bytes_max
        elif self.kind == SUBACK:
            wrong = not 3 <= self.length <= self._bytes_max
        else:
            wrong = self.length != _EXACT_LENGTH[self.kind]
        if wrong:
            raise MalformedError("packet kind %d with a length of %d" % (self.kind, self.length))

    def _keep(self, data: memoryview, start: int, count: int) -> None:
        room = min(count, self._bytes_max - self._got)
        if room > 0:
            self._view[self._got : self._got + room] = data[start : start + room]
        if not self.oversize or not self.flags & 0x06 or self._got + count < 2:
            return
        id_at = 2 + (self._buffer[0] << 8 | self._buffer[1])
        for position in (id_at, id_at + 1):
            if self._got <= position < self._got + count:
                self.packet_id = self.packet_id << 8 | data[start + position - self._got]
