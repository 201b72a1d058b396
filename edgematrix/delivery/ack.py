"""What a receiver says that it has committed (docs/spec/topics.md, `ack`): plain JSON."""

from __future__ import annotations

import msgspec

from edgematrix.errors import CodecError
from edgematrix.protocol.event import NUMBER_MAX

__all__ = ["Ack", "encode_ack", "read_ack"]

_EDGE_LENGTH_MAX = 4_096
_VERSION = 1

_encode = msgspec.json.Encoder().encode


class Ack(msgspec.Struct, frozen=True):
    """All up to `seq` of one edge and epoch are committed; `seq` 0: nothing is known of that epoch."""

    edge: str
    epoch: int
    seq: int


def encode_ack(ack: Ack) -> bytes:
    """Write an acknowledgement as it travels."""
    return _encode({"v": _VERSION, "edge": ack.edge, "epoch": ack.epoch, "seq": ack.seq})


def read_ack(value: object) -> Ack:
    """Read an acknowledgement from decoded JSON. Keys that are unknown here say nothing.

    Raises:
        CodecError: it is none.
    """
    if type(value) is not dict:
        raise CodecError("malformed ack: a JSON object is needed")
    version = value.get("v")
    if version != _VERSION:
        raise CodecError(f"malformed ack: v is {str(version)[:20]!r}, expected {_VERSION}")
    edge = value.get("edge")
    if type(edge) is not str or not 0 < len(edge) <= _EDGE_LENGTH_MAX:
        raise CodecError("malformed ack: edge has to be a text")
    return Ack(edge, _number(value, "epoch"), _number(value, "seq"))


def _number(value: dict[str, object], key: str) -> int:
    number = value.get(key)
    if type(number) is not int or not 0 <= number <= NUMBER_MAX:
        raise CodecError(f"malformed ack: {key} has to be a whole number from 0 to {NUMBER_MAX}")
    return number
