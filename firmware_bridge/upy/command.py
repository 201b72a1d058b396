"""Commands on an input port: a bare payload, or a CloudEvents 1.0 event in the JSON format (docs/spec/topics.md)."""

import binascii

from .ticks import seconds_of
from .value import decode

__all__ = ["Command", "parse", "parse_moment"]

_ID_LENGTH_MAX = 128


class Command:
    """What somebody asks of a port.

    `id` and `source` are empty for a bare payload. `expires_s` is in seconds since 1970, 0 if it does not expire. On a durable
    edge `sequence` counts from 1 in `epoch`, and `base` is its `edgebase`; else they are 0.
    """

    def __init__(self, port: str, value: object, id: str = "", source: str = "", expires_s: int = 0) -> None:  # noqa: A002  # the event's own word
        self.port = port
        self.value = value
        self.id = id
        self.source = source
        self.expires_s = expires_s
        self.epoch = self.sequence = self.base = 0


def parse(port: str, payload: bytes) -> Command:
    """Read a payload: an object with `specversion` is an event, anything else is bare.

    Raises:
        ValueError: a malformed event.
    """
    value = decode(payload)
    if not isinstance(value, dict) or "specversion" not in value:
        return Command(port, value)
    if value["specversion"] != "1.0":
        raise ValueError("malformed event: specversion is not '1.0'")
    for name in ("id", "source", "type"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise ValueError("malformed event: no %s" % name)
    if len(value["id"]) > _ID_LENGTH_MAX:
        raise ValueError("malformed event: an id of %d characters" % len(value["id"]))
    if not value["source"].startswith("/"):
        raise ValueError("malformed event: the source is no / and a path")
    expiry = value.get("expirytime")
    command = Command(port, _data_of(value), value["id"], value["source"], 0 if expiry is None else parse_moment(expiry))
    command.sequence = _number(value, "sequence")
    if command.sequence:
        command.epoch, command.base = _number(value, "edgeepoch"), _number(value, "edgebase")
    return command


def _number(event: dict[str, object], name: str) -> int:
    number = event.get(name, 0)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError("malformed event: %s is no number" % name)
    return number


def parse_moment(text: object) -> int:
    """RFC 3339 text with an offset as seconds since 1970, rounded down.

    Raises:
        ValueError: it is no such text.
    """
    if not isinstance(text, str) or len(text) < 20 or text[4] + text[7] + text[13] + text[16] != "--::" or text[10] not in "Tt ":
        raise ValueError("malformed event: a time that is no RFC 3339")
    whole = seconds_of(*[int(text[start:end]) for start, end in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))])
    rest = text[19:]
    if rest.startswith("."):
        rest = rest[1:].lstrip("0123456789")
    if rest in ("Z", "z"):
        return whole
    if len(rest) != 6 or rest[0] not in "+-" or rest[3] != ":":
        raise ValueError("malformed event: a time without an offset")
    offset_s = int(rest[1:3]) * 3_600 + int(rest[4:6]) * 60
    return whole - offset_s if rest[0] == "+" else whole + offset_s


def _data_of(event: dict[str, object]) -> object:
    if "data_base64" not in event:
        return event.get("data")
    if "data" in event:
        raise ValueError("malformed event: it has both data and data_base64")
    return binascii.a2b_base64(event["data_base64"])  # type: ignore[arg-type]
