"""What a device says of itself: its name, its ports, and how much it takes (docs/spec/serial.md, "HELLO")."""

from __future__ import annotations

from dataclasses import dataclass

from edgematrix.errors import PathError
from edgematrix.protocol.path import check_name
from firmware_bridge.serial.kind import VERSION

__all__ = ["Hello", "Port", "read_hello"]

_HEAD = 4
_ROOM_MIN = 16
_PORTS_MAX = 32
_MARKS = {">": (False, False), "=": (False, True), "<": (True, False)}


@dataclass(frozen=True, slots=True)
class Port:
    """One of a device: `is_retained` is an output's whose last value the broker keeps."""

    name: str
    is_input: bool
    is_retained: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """A device's word. `session` is what it was given last, 0 since it started; `room` is the largest payload that it takes, in bytes."""

    session: int
    room: int
    name: str
    ports: tuple[Port, ...]


def read_hello(payload: bytes) -> Hello:
    """Read the payload of a HELLO.

    Raises:
        ValueError: another version, or it breaks the form; the message tells where.
    """
    if len(payload) <= _HEAD:
        raise ValueError(f"its HELLO has {len(payload)} bytes")
    version, room = payload[0], payload[3]
    if version != VERSION:
        raise ValueError(f"it speaks version {version} of the frames, expected {VERSION}")
    if room < _ROOM_MIN:
        raise ValueError(f"it has room for {room} bytes, {_ROOM_MIN} is the least")
    try:
        name, *texts = payload[_HEAD:].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise ValueError("its HELLO is no ASCII text") from None
    if len(texts) > _PORTS_MAX:
        raise ValueError(f"it has {len(texts)} ports, {_PORTS_MAX} is the most")
    ports = tuple(_port(text) for text in texts)
    names = [port.name for port in ports]
    twice = next((one for number, one in enumerate(names) if one in names[:number]), None)
    if twice is not None:
        raise ValueError(f"its port {twice} is there twice")
    return Hello(payload[1] << 8 | payload[2], room, name and _checked(name, "name"), ports)


def _port(text: str) -> Port:
    if text[:1] not in _MARKS:
        raise ValueError(f"its port {text[:40]!r} does not begin with >, = or <")
    return Port(_checked(text[1:], "port"), *_MARKS[text[0]])


def _checked(name: str, what: str) -> str:
    try:
        return check_name(name, f"its {what}")
    except PathError as error:
        raise ValueError(error.what) from None
