"""Frames on a serial line, byte by byte in docs/spec/serial.md: COBS between zeros, and a CRC-16 within."""

import binascii

__all__ = ["PAYLOAD_MAX", "Reader", "check", "pack", "stuff", "unstuff"]

PAYLOAD_MAX = 249
"""Address, kind, number and check are 5 bytes more: 254 in all, so that every length and every step fits in a byte."""
_HEAD = 3
_LEAST = _HEAD + 2
_STUFFED_MAX = _LEAST + PAYLOAD_MAX + 1
_CHECK = 0xFFFF

_crc_hqx = getattr(binascii, "crc_hqx", None)  # MicroPython has none


def check(data: "bytes | bytearray") -> int:
    """CRC-16/GENIBUS: polynomial 0x1021, begins with 0xFFFF, not reflected, complemented; of `123456789` it is 0xD64E.

    Were it not complemented, a zero behind a frame would go unnoticed, which one stray byte 0x01 makes of it.
    """
    if _crc_hqx is not None:
        return _crc_hqx(data, _CHECK) ^ _CHECK  # type: ignore[no-any-return]
    return slow_check(data)


def slow_check(data: "bytes | bytearray") -> int:
    """The same, bit by bit."""
    found = _CHECK
    for byte in data:
        found ^= byte << 8
        for _ in range(8):
            found = (found << 1 ^ 0x1021 if found & 0x8000 else found << 1) & 0xFFFF
    return found ^ _CHECK


def stuff(data: "bytes | bytearray") -> bytearray:
    """COBS of at most 254 bytes: a byte in front says how far it is to the first zero, each zero how far to the next."""
    out = bytearray(1) + data
    last = len(out)
    for place in range(last - 1, -1, -1):
        if out[place] == 0:
            out[place] = last - place
            last = place
    return out


def unstuff(data: "bytes | bytearray") -> "bytearray | None":
    """What was stuffed; None if it is not whole."""
    out = bytearray(data)
    place = 0
    while place < len(out):
        step = out[place]
        out[place] = 0
        if step == 0:
            return None
        place += step
    return out[1:] if out and place == len(out) else None


def pack(address: int, kind: int, number: int, payload: "bytes | bytearray" = b"") -> bytes:
    """A frame as it goes over the line.

    Raises:
        ValueError: the payload has more than 249 bytes.
    """
    if len(payload) > PAYLOAD_MAX:
        raise ValueError("a payload of %d bytes, %d is the most" % (len(payload), PAYLOAD_MAX))
    body = bytearray((address, kind, number)) + payload
    found = check(body)
    body.append(found >> 8)
    body.append(found & 0xFF)
    return b"\x00" + bytes(stuff(body)) + b"\x00"


class Reader:
    """Cuts a stream of bytes into frames. What is damaged is counted by its reason, and the next zero begins anew."""

    def __init__(self) -> None:
        self.damaged = {"crc": 0, "cut": 0, "too_long": 0}
        self._found = bytearray()
        self._skips = False

    def feed(self, data: "bytes | bytearray") -> "list[tuple[int, int, int, bytes]]":
        """The whole frames that end in these bytes: address, kind, number, payload."""
        frames: "list[tuple[int, int, int, bytes]]" = []
        start = 0
        while True:
            end = data.find(b"\x00", start)
            self._take(data[start : end if end >= 0 else len(data)])
            if end < 0:
                return frames
            if self._found or self._skips:
                frame = self._frame()
                if frame:
                    frames.append(frame)
            start = end + 1

    def _take(self, data: "bytes | bytearray") -> None:
        if self._skips or len(self._found) + len(data) > _STUFFED_MAX:
            self._skips = self._skips or bool(data)
            self._found = bytearray()
        else:
            self._found.extend(data)

    def _frame(self) -> "tuple[int, int, int, bytes] | None":
        found, skipped = self._found, self._skips
        self._found = bytearray()
        self._skips = False
        if skipped:
            self.damaged["too_long"] += 1
            return None
        body = unstuff(found)
        if body is None or len(body) < _LEAST:
            self.damaged["cut"] += 1
            return None
        if check(body[:-2]) != body[-2] << 8 | body[-1]:
            self.damaged["crc"] += 1
            return None
        return body[0], body[1], body[2], bytes(body[_HEAD:-2])
