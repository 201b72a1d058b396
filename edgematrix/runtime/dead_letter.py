"""A message that could not be handled, as a host keeps it: small, and as it came, so that it can be handed in again."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import decode_value, encode_value
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL
from edgematrix.runtime.abridgement import in_words, shortened
from edgematrix.triggers import Firing

__all__ = ["UNKNOWN", "Form", "Letter", "Origin", "letter_of", "read_letter", "write_letter"]

_VERSION = 1
_REASON_LENGTH_MAX = 2_000
_NAME_LENGTH_MAX = 200
"""Of a letter that is too large: characters of its topic, its source and its trail."""


class Form(StrEnum):
    """What is kept of it."""

    VALUE = "value"
    """A message that came in, decoded."""
    RAW = "raw"
    """The bytes of a message that came in."""
    FIRING = "firing"
    """What a run was begun with: its values by source, and what came on the agent's own inputs."""
    OUTPUT = "output"
    """What the agent itself put out, or wanted to publish."""
    CUT = "cut"
    """The beginning of a payload that is too large."""
    TEXT = "text"
    """A payload that has no JSON form, in words."""
    REFUSED = "refused"
    """The bytes of a message that is not signed as it has to be: they are shown, and never handed in."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """How a message came, as far as whoever could not handle it knows.

    `source` is the agent that an event claims, `raw` the payload where it was not read, `firing` what began a run that failed.
    `is_output` tells that the agent itself put the message out, `is_refused` that nobody is known to have sent it who may.
    """

    trail: Trail = NO_TRAIL
    source: str = ""
    raw: bytes | None = None
    firing: Firing | None = None
    is_output: bool = False
    is_refused: bool = False


UNKNOWN = Origin()


class Letter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One dead letter.

    `at_us` is when it died last, by the wall clock, `retries` how often it was handed in again before. `body` is what is kept,
    in its `form`, and `size_bytes` what all of it takes, with topic and trail.
    """

    version: int
    id: str
    agent: str
    topic: str
    reason: str
    at_us: int
    form: Form
    body: bytes
    size_bytes: int
    trail: Trail
    source: str
    retries: int

    def payload(self) -> Any:
        """What could not be handled: a JSON value or bytes. Of what is too large, the beginning of its text."""
        if self.form in (Form.CUT, Form.TEXT):
            return self.body.decode(errors="replace")
        if self.form in (Form.RAW, Form.REFUSED):
            try:
                return decode_value(self.body)
            except CodecError:
                return self.body.decode(errors="replace")
        found = msgspec.msgpack.decode(self.body)
        return found[0] if self.form is Form.FIRING else found

    def inputs(self) -> list[tuple[str, object]]:
        """What came on the agent's own inputs and began its run: topics and values."""
        return [(topic, value) for topic, value in msgspec.msgpack.decode(self.body)[1]] if self.form is Form.FIRING else []


def letter_of(
    letter_id: str, agent: str, topic: str, value: object, reason: str, origin: Origin, own_inputs: str, bytes_max: int
) -> Letter:
    """Make one; its moment and its retries are still to be told.

    Args:
        letter_id: its id.
        agent: whose it is.
        topic: where the message came, or was to go.
        value: the message.
        reason: why it could not be handled.
        origin: how it came.
        own_inputs: what the topics of the agent's own inputs begin with.
        bytes_max: how much its payload, its topic and its trail may take; what is larger is cut.
    """
    form, body = _kept(value, origin, own_inputs)
    trail, source, topic = _clean_trail(origin.trail), _clean(origin.source), _clean(topic)
    size_bytes = len(body) + sum(map(len, (topic, source, trail.id, trail.runid, trail.taint, trail.traceparent)))
    if size_bytes > bytes_max:
        form, body = Form.CUT, _text_of(value if origin.raw is None else origin.raw, bytes_max)
        trail, source, topic = _shortened_trail(trail), shortened(source, _NAME_LENGTH_MAX), shortened(topic, _NAME_LENGTH_MAX)
    shown = shortened(_clean(reason), _REASON_LENGTH_MAX)
    return Letter(_VERSION, letter_id, agent, topic, shown, 0, form, body, size_bytes, trail, source, 0)


def write_letter(letter: Letter) -> bytes:
    """The bytes that are stored."""
    return msgspec.msgpack.encode(letter)


def read_letter(data: bytes) -> Letter:
    """Read what was stored.

    Raises:
        CodecError: it is damaged, or of another version.
    """
    try:
        letter = msgspec.msgpack.decode(data, type=Letter)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(f"no dead letter: {error}") from None
    if letter.version != _VERSION:
        raise CodecError(f"the dead letter is of version {letter.version}, expected {_VERSION}")
    return letter


def _kept(value: object, origin: Origin, own_inputs: str) -> tuple[Form, bytes]:
    if origin.raw is not None:
        return Form.REFUSED if origin.is_refused else Form.RAW, origin.raw
    form, kept = Form.OUTPUT if origin.is_output else Form.VALUE, value
    if origin.firing is not None:
        form, kept = Form.FIRING, [value, list(_own(origin.firing, own_inputs))]
    try:
        return form, msgspec.msgpack.encode(kept)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return Form.TEXT, in_words(value).encode(errors="replace")


def _own(firing: Firing, own_inputs: str) -> Iterator[tuple[str, object]]:
    """What came on the agent's own inputs; a source that keeps several messages has read a list of them."""
    for reading in firing.sources.values():
        if reading is None:
            continue
        several = type(reading.topic) is list
        for topic, payload in zip(reading.topic, reading.payload, strict=False) if several else [(reading.topic, reading.payload)]:
            if type(topic) is str and topic.startswith(own_inputs):
                yield topic, payload


def _clean(text: str) -> str:
    """A text that has a UTF-8 form: what comes in an event need not have one."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _clean_trail(trail: Trail) -> Trail:
    if (trail.id + trail.runid + trail.taint + trail.traceparent).isascii():
        return trail
    return Trail(_clean(trail.id), _clean(trail.runid), trail.hops, _clean(trail.taint), _clean(trail.traceparent), trail.expiry_us)


def _shortened_trail(trail: Trail) -> Trail:
    texts = (shortened(text, _NAME_LENGTH_MAX) for text in (trail.id, trail.runid, trail.taint, trail.traceparent))
    letter_id, runid, taint, traceparent = texts
    return Trail(letter_id, runid, trail.hops, taint, traceparent)


def _text_of(value: object, bytes_max: int) -> bytes:
    """The beginning of a payload's text, in whole characters."""
    try:
        text = encode_value(value)
    except CodecError:
        text = repr(value).encode(errors="replace")
    return text[:bytes_max].decode(errors="ignore").encode()
