"""Recordings: what was published, one JSON object a line (docs/spec/matrix.md, "Scenarios").

    {"at": 5.0, "topic": "t/out", "payload": 1, "retain": false, "qos": 1}

`at` counts from the start, in seconds or as a duration such as `1h30m`; lines are in order of time. `payload` is the
value as a host reads it, so `"21"` is the text and `21` the number; what is no text and no JSON stands in
`payload_base64` instead. `retain` (false) is the flag as delivered, `qos` (0) is 0 or 1.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from edgematrix.errors import CodecError, ConfigError, EdgeMatrixError, Issue, TopicError, UsageError
from edgematrix.protocol.codec import decode_value, encode_value
from edgematrix.protocol.duration import SECOND_US, format_duration, parse_duration
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.topic import check_topic

__all__ = ["LINE_BYTES_MAX", "Recorded", "format_line", "read_recording", "read_whole", "write_recording"]

CHECK_BYTES_MAX = 67_108_864
"""A file up to this size is checked to its end before its first line is handed out."""
_ISSUES_MAX = 20
_LIMITS = Limits()
LINE_BYTES_MAX = 2 * _LIMITS.payload_bytes_max
"""Longer lines are no lines of a recording."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message. `at_us` counts from the start; `payload` is the value as a host reads it."""

    at_us: int
    topic: str
    payload: object = None
    retain: bool = False
    qos: int = 0

    def wire(self) -> bytes:
        """The bytes that a host reads as this payload: `ON` for the text ON, `"21"` with its quotes for the text 21.

        Raises:
            CodecError: it has no JSON form.
        """
        data = encode_value(self.payload)
        if type(self.payload) is str and type(decode_value(data)) is not str:
            return json.dumps(self.payload).encode()
        return data


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    at: float | str
    topic: str
    payload: object = msgspec.UNSET
    payload_base64: str | None = None
    retain: bool = False
    qos: Literal[0, 1] = 0


_KEYS = _Line.__struct_fields__
_decode = msgspec.json.Decoder(_Line).decode


def read_recording(path: Path) -> Iterator[Recorded]:
    """Read a recording, line by line. Blank lines are passed over.

    A file of up to `CHECK_BYTES_MAX` is checked whole before anything is returned, so that nothing is half done.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: a line is broken, with file, line and column; of a larger file, when it is reached.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"the recording cannot be read: {error.strerror}", where=str(path)) from None
    try:
        if os.fstat(file.fileno()).st_size <= CHECK_BYTES_MAX:
            _check(file, str(path))
            file.seek(0)
    except OSError as error:
        file.close()
        raise UsageError(f"the recording cannot be read: {error.strerror}", where=str(path)) from None
    except BaseException:
        file.close()
        raise
    return _yield_all(file, str(path))


def read_whole(path: Path) -> list[Recorded]:
    """Read a recording that is wanted as a whole: each line is read once.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: lines are broken, with file and line; up to `_ISSUES_MAX` of them are told.
    """
    found: list[Recorded] = []
    issues: list[Issue] = []
    last_us = 0
    try:
        with path.open("rb") as file:
            for number, line in _lines(file, str(path)):
                try:
                    found.append(_parse(line, last_us))
                    last_us = found[-1].at_us
                except EdgeMatrixError as error:
                    issues.append(_issue(error, str(path), number))
                    if len(issues) == _ISSUES_MAX:
                        break
    except OSError as error:
        raise UsageError(f"the recording cannot be read: {error.strerror}", where=str(path)) from None
    if issues:
        raise ConfigError(issues)
    return found


def write_recording(path: Path, messages: Iterable[Recorded]) -> int:
    """Write a recording; the file is there when all of it is. Returns the number of messages.

    Raises:
        CodecError: a payload has no JSON form.
        UsageError: the file cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    count = 0
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for message in messages:
                file.write(format_line(message) + "\n")
                count += 1
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"the recording cannot be written: {error.strerror}", where=str(path)) from None
    finally:
        partial.unlink(missing_ok=True)
    return count


def format_line(message: Recorded) -> str:
    """One message as a line, without its end.

    Raises:
        CodecError: the payload has no JSON form.
    """
    name, payload = "payload", message.payload
    if isinstance(payload, bytes):
        name, payload = "payload_base64", base64.b64encode(payload).decode()
    line = {"at": message.at_us / SECOND_US, "topic": message.topic, name: payload, "retain": message.retain, "qos": message.qos}
    try:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"the payload cannot be written as JSON: {error}", where=message.topic) from None
    return text


def _check(file: BinaryIO, name: str) -> None:
    """Find up to `_ISSUES_MAX` broken lines."""
    issues: list[Issue] = []
    last_us = 0
    for number, line in _lines(file, name):
        try:
            last_us = _parse(line, last_us).at_us
        except EdgeMatrixError as error:
            issues.append(_issue(error, name, number))
            if len(issues) == _ISSUES_MAX:
                break
    if issues:
        raise ConfigError(issues)


def _yield_all(file: BinaryIO, name: str) -> Iterator[Recorded]:
    with file:
        last_us = 0
        for number, line in _lines(file, name):
            try:
                found = _parse(line, last_us)
            except EdgeMatrixError as error:
                raise ConfigError([_issue(error, name, number)]) from None
            last_us = found.at_us
            yield found


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise ConfigError([Issue("error", f"the line has more than {LINE_BYTES_MAX} bytes", name, number)])
        if not line.isspace():
            yield number, line


def _parse(text: bytes, last_us: int) -> Recorded:
    try:
        line = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(_explained(str(error))) from None
    try:
        at_us = parse_duration(line.at)
    except ValueError as error:
        raise CodecError(f"at: {error}") from None
    if at_us < last_us:
        raise CodecError(f"at: time goes back, from {format_duration(last_us)} to {format_duration(at_us)}")
    return Recorded(at_us, check_topic(line.topic, _LIMITS.topic_bytes_max), _payload_of(line), line.retain, line.qos)


def _payload_of(line: _Line) -> object:
    if line.payload_base64 is None:
        if line.payload is msgspec.UNSET:
            raise CodecError("`payload` is missing")
        return line.payload
    if line.payload is not msgspec.UNSET:
        raise CodecError("it has both `payload` and `payload_base64`")
    try:
        return decode_value(base64.b64decode(line.payload_base64, validate=True), _LIMITS)
    except binascii.Error as error:
        raise CodecError(f"payload_base64: {error}") from None


_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_BYTE = re.compile(r" \(byte (\d+)\)$")


def _explained(text: str) -> str:
    unknown = _UNKNOWN.match(text)
    if unknown is None:
        return text
    near = get_close_matches(unknown[1], _KEYS, 1)
    return f"unknown key {unknown[1][:40]!r}" + (f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(_KEYS)}")


def _issue(error: EdgeMatrixError, name: str, number: int) -> Issue:
    what = error.what
    byte = _BYTE.search(what)
    if byte is not None:
        return Issue("error", what[: byte.start()], name, number, int(byte[1]) + 1)
    return Issue("error", f"topic: {what}" if isinstance(error, TopicError) else what, name, number)
