"""One thing that a device can be told to do, and the limits within which it may be told so (docs/design.md, "Safety").

What counts is what the device will read: a text that spells a JSON object is judged, and sent, as that object, so that
no limit can be passed in quotes.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgematrix.agents.spec import WriteSpec
from edgematrix.errors import CodecError, ProtocolError
from edgematrix.protocol.codec import decode_value, encode_value
from edgematrix.protocol.schema import Schema

__all__ = ["Capability", "Refused"]

_MISSING = object()


class Refused(Exception):  # noqa: N818  an outcome of judging a command, caught by the device
    """The command is not let through; the text says why."""


class Capability:
    """A compiled `writes` entry, its topic checked and its schema compiled.

    Raises:
        ProtocolError: a range is upside down.
    """

    __slots__ = ("_ranges", "_schema", "is_critical", "qos", "retain", "topic")

    def __init__(self, spec: WriteSpec, schema: Schema | None) -> None:
        self.topic = spec.topic
        self.qos: int = spec.qos
        self.retain = spec.retain
        self.is_critical = spec.approval is not None
        """Whether what follows from untrusted text waits for a person."""
        self._schema = schema
        self._ranges = [(name, tuple(name.split(".")), *_bounds(name, limits)) for name, limits in (spec.range or {}).items()]

    def admit(self, value: object) -> object:
        """What to send to the device for the command `value`.

        Raises:
            Refused: it breaks the schema, or is out of range.
        """
        try:
            read = _as_read(value)
        except CodecError as error:
            raise Refused(error.what) from None
        if self._schema is not None:
            as_text = self._schema.takes_text and isinstance(value, str) and not isinstance(read, (dict, list))
            reason = self._schema.refusal(value if as_text else read)
            if reason is not None:
                raise Refused(f"the command breaks the schema: {reason}")
        for name, steps, least, most in self._ranges:
            _check_range(name, _field(read, name, steps), least, most)
        return read if isinstance(read, (dict, list)) else value


def _bounds(name: str, limits: Sequence[float]) -> tuple[float, float]:
    least, most = limits
    if not least <= most:
        raise ProtocolError(f"the range of `{name}` is empty: from {least:g} to {most:g}")
    return least, most


def _as_read(value: object) -> object:
    """The value as the device will read it from the wire."""
    if not isinstance(value, (str, bytes)):
        encode_value(value)
        return value
    read = decode_value(encode_value(value))
    if isinstance(read, str) and read.lstrip()[:1] in ("{", "["):
        raise CodecError("the command is a text that begins like JSON and is none")
    return read


def _field(read: object, name: str, steps: tuple[str, ...]) -> object:
    """The field that a range is about; _MISSING if the command does not have it."""
    if not isinstance(read, (dict, list)):
        return read if name == "value" else _MISSING
    if isinstance(read, dict) and name in read:
        return read[name]
    found: object = read
    for step in steps:
        if isinstance(found, dict):
            found = found.get(step, _MISSING)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return _MISSING
    return found


def _check_range(name: str, number: object, least: float, most: float) -> None:
    if number is _MISSING:
        return
    if type(number) is not int and type(number) is not float:
        raise Refused(f"`{name}` is no number; allowed are {least:g} to {most:g}")
    if not least <= number <= most:
        raise Refused(f"`{name}` is {number}; allowed are {least:g} to {most:g}")
