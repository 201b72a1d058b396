"""Which device is on which line: `home/shed/arduino=/dev/ttyUSB0@115200`, `home/shed/pump=socket://10.0.0.7:4000#2`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import AgentPath, parse_path

__all__ = ["Place", "read_places"]

SOCKET = "socket://"
_BAUD = 115_200
_BAUD_MIN, _BAUD_MAX = 50, 4_000_000
_ADDRESS_MAX = 255
_DEVICES_MAX = 64
_FORM = "--line home/shed/arduino=/dev/ttyUSB0@115200, or =socket://HOST:PORT; #2 at its end is the device's address on the line"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one device is. `port` is a device file or `socket://host:port`, `baud` 0 for a socket."""

    path: AgentPath
    port: str
    baud: int
    address: int

    @property
    def line(self) -> str:
        """The line, as people call it."""
        return f"{self.port}@{self.baud}" if self.baud else self.port


def read_places(texts: list[str]) -> list[Place]:
    """Read what follows `--line`, once for each device.

    Raises:
        UsageError: one of them breaks the form, a device or an address on a line is there twice, or a line has two speeds.
    """
    if not texts:
        raise UsageError("no device is named", where="--line", remedy=_FORM)
    if len(texts) > _DEVICES_MAX:
        raise UsageError(f"{len(texts)} devices are named, {_DEVICES_MAX} is the most", where="--line", remedy="start another bridge")
    places = [_place(text) for text in texts]
    for number, place in enumerate(places):
        for other in places[:number]:
            _compare(place, other)
    return places


def _compare(place: Place, other: Place) -> None:
    if place.path == other.path:
        raise UsageError(f"{place.path} is there twice", where="--line")
    if place.port == other.port and place.address == other.address:
        what = f"{place.path} and {other.path} have the address {place.address} on {place.port}"
        raise UsageError(what, where="--line", remedy="give each its own, as its firmware has it: #1, #2")
    if place.port == other.port and place.baud != other.baud:
        raise UsageError(f"{place.port} has two speeds, {other.baud} and {place.baud}", where="--line")


def _place(text: str) -> Place:
    name, equals, rest = text.partition("=")
    if not equals:
        raise UsageError("after the device's path, = and its line are missing", where=f"--line {text}", remedy=_FORM)
    try:
        path = parse_path(name)
    except PathError as error:
        raise UsageError(error.what, where=f"--line {text}", remedy=error.remedy or _FORM) from None
    rest, _, address = rest.rpartition("#") if "#" in rest else (rest, "", "0")
    number = _number(address, 0, _ADDRESS_MAX, "address", text)
    if rest.startswith(SOCKET):
        return Place(path, _socket(rest, text), 0, number)
    port, _, baud = rest.rpartition("@") if "@" in rest else (rest, "", str(_BAUD))
    if not port:
        raise UsageError("no line is named", where=f"--line {text}", remedy=_FORM)
    return Place(path, port, _number(baud, _BAUD_MIN, _BAUD_MAX, "speed", text), number)


def _number(text: str, least: int, most: int, what: str, where: str) -> int:
    if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        raise UsageError(f"the {what} {text[:20]!r} is not from {least} to {most}", where=f"--line {where}", remedy=_FORM)
    return int(text)


def _socket(url: str, text: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = None
    if not port or not parts.hostname or parts.path or parts.query or parts.username is not None:
        raise UsageError("the socket is no host and port", where=f"--line {text}", remedy="socket://192.168.1.7:4000")
    return url
