"""Payload bytes to values and events, and back. Whatever the bytes are, only CodecError is raised."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import msgspec

from edgematrix.errors import CodecError
from edgematrix.protocol.event import Event, Trail
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.message import Message
from edgematrix.protocol.moment import parse_moment

__all__ = ["as_read", "check_bounds", "data_of", "decode", "decode_event", "decode_value", "encode_event", "encode_value"]

_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder(decimal_format="number").encode
_DEFAULT_LIMITS = Limits()
_QUOTE, _BACKSLASH = b'"\\'
_NESTED = re.compile(rb"[ \t\r\n]*[\[{]")
"""How JSON begins that can nest; other bytes, as those of sound, hold brackets by chance."""


def decode(topic: str, payload: bytes, *, retained: bool = False, qos: int = 0, limits: Limits = _DEFAULT_LIMITS) -> Message:
    """Decode what came in: an event if it is a JSON object with `specversion`, else a bare value.

    Raises:
        CodecError: it is too large, nested too deeply, or a malformed event.
    """
    value = decode_value(payload, limits)
    if type(value) is not dict or "specversion" not in value:
        return Message(topic, value, retained, qos)
    event = _event_of(value) if _has_no_key_twice(payload, value) else decode_event(payload)
    return _message_of(event, topic, retained=retained, qos=qos)


def decode_value(payload: bytes, limits: Limits = _DEFAULT_LIMITS) -> object:
    """Decode bare bytes: JSON as its value, other UTF-8 as a string, the rest as the bytes they are.

    Raises:
        CodecError: too large, or nested too deeply.
    """
    check_bounds(payload, limits)
    try:
        return _decode_json(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload


def check_bounds(payload: bytes, limits: Limits) -> None:
    """See whether whoever receives these bytes will take them.

    Raises:
        CodecError: too large, or nested too deeply.
    """
    if len(payload) > limits.payload_bytes_max:
        raise CodecError(f"the payload has {len(payload)} bytes, payload_bytes_max is {limits.payload_bytes_max}")
    if payload.count(b"[") + payload.count(b"{") > limits.depth_max and _NESTED.match(payload):
        _check_depth(payload, limits.depth_max)


def decode_event(payload: bytes) -> Event:
    """Decode the bytes of an event whose size and depth are already checked.

    Raises:
        CodecError: an attribute is missing, of the wrong type, or there twice.
    """
    try:
        raw = json.loads(payload, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"malformed event: {error}") from None
    return _event_of(raw)


def _event_of(raw: object) -> Event:
    try:
        event = msgspec.convert(raw, Event)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CodecError(f"malformed event: {error}") from None
    if event.specversion != "1.0":
        raise CodecError(f"malformed event: specversion is {event.specversion[:20]!r}, expected '1.0'")
    if not event.id or not event.type or not event.source.startswith("/"):
        raise CodecError("malformed event: `id`, `type` and a `source` of / and a path are needed")
    if event.hops < 0:
        raise CodecError(f"malformed event: hops is {event.hops}")
    if event.callinputs is not None and event.callinputs < 1:
        raise CodecError(f"malformed event: callinputs is {event.callinputs}")
    if event.callcancel and event.callinputs is None:
        raise CodecError("malformed event: it has callcancel without callinputs")
    if event.data is not msgspec.UNSET and event.data_base64 is not None:
        raise CodecError("malformed event: it has both data and data_base64")
    return event


def encode_value(value: object) -> bytes:
    """Write a value as bare bytes: bytes and strings as they are, the rest as JSON.

    Raises:
        CodecError: it has no JSON form (NaN, an infinity, an unknown type, a lone surrogate), or nests too deeply.
    """
    try:
        if type(value) is str:
            return value.encode()
        if type(value) is bytes:
            return value
        return _encode_json(_finite(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CodecError(f"the value cannot be written as JSON: {error}") from None


def as_read(value: object, limits: Limits = _DEFAULT_LIMITS) -> object:
    """The value as whoever receives it reads it: a text that spells JSON is sent bare, and so read as that JSON.

    Raises:
        CodecError: it is a text that has no UTF-8 form, or is beyond what they read.
    """
    return decode_value(encode_value(value), limits) if type(value) is str else value


def encode_event(event: Event) -> bytes:
    """Write an event in the CloudEvents JSON format.

    Raises:
        CodecError: its data has no JSON form.
    """
    try:
        _finite(event.data)
        return _encode_json(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CodecError(f"the data cannot be written as JSON: {error}") from None


def data_of(event: Event) -> object:
    """The data of an event: a JSON value, bytes, or None where it has none.

    Raises:
        CodecError: `data_base64` is no base64.
    """
    if event.data_base64 is not None:
        try:
            return base64.b64decode(event.data_base64, validate=True)
        except binascii.Error as error:
            raise CodecError(f"malformed event: data_base64: {error}") from None
    return None if event.data is msgspec.UNSET else event.data


def _message_of(event: Event, topic: str, *, retained: bool, qos: int) -> Message:
    time_us = None if event.time is None else _moment(event.time, "time")
    expiry_us = None if event.expirytime is None else _moment(event.expirytime, "expirytime")
    trail = Trail(event.id, event.runid, event.hops, event.taint, event.traceparent, expiry_us)
    return Message(
        topic,
        data_of(event),
        retained,
        qos,
        time_us,
        trail,
        event.source[1:],
        event.sequence,
        event.edgeepoch,
        event.edgebase,
        event.callinputs,
        event.callwants,
        event.callcancel,
    )


def _moment(text: str, attribute: str) -> int:
    try:
        return parse_moment(text)
    except (ValueError, OverflowError) as error:
        raise CodecError(f"malformed event: {attribute}: {error}") from None


def _has_no_key_twice(payload: bytes, value: object) -> bool:
    """Whether no object in a payload has a key twice; a slower look is needed where a backslash may hide one.

    Without backslashes each text has two quotes, and of a key that is there twice the decoded value has lost one text at least.
    """
    return b"\\" not in payload and payload.count(b'"') == 2 * _texts_in(value)


def _texts_in(value: object) -> int:
    """How many texts a value holds, keys counted too."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is dict:
        return len(value) + sum(map(_texts_in, value.values()))  # type: ignore[attr-defined, arg-type]  # `kind` tells
    return sum(map(_texts_in, value)) if kind is list else 0  # type: ignore[call-overload]


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _check_depth(payload: bytes, depth_max: int) -> None:
    """Count brackets outside strings, without recursion."""
    depth = 0
    in_text = escaped = False
    for byte in payload:
        if in_text:
            if escaped:
                escaped = False
            elif byte == _BACKSLASH:
                escaped = True
            elif byte == _QUOTE:
                in_text = False
        elif byte == _QUOTE:
            in_text = True
        elif byte in b"[{":
            depth += 1
            if depth > depth_max:
                raise CodecError(f"the payload nests deeper than depth_max, {depth_max}")
        elif byte in b"]}":
            depth -= 1


def _finite(value: object) -> object:
    """Refuse NaN and infinities, which msgspec would write as null without a word."""
    if type(value) is float:
        if value - value != 0.0:
            raise ValueError(f"{value} is no JSON number")
    elif type(value) is dict:
        for part in value.values():
            _finite(part)
    elif type(value) is list or type(value) is tuple:
        for part in value:
            _finite(part)
    return value
