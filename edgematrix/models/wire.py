"""What a host and a model's process say to each other over a pair of pipes.

A message is its length (four bytes, big endian) and msgpack. The process says `Ready` once. Then it answers each `Request` with one
`Answer` of the same number, and may say `Piece`s of it before. What is asked, and what is answered, is a struct that the host and the
process agree on: here it is bytes. A `Stop` has no answer of its own; the request that it names is answered as soon as may be.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

__all__ = [
    "HEAD_BYTES",
    "MESSAGE_BYTES_MAX",
    "Answer",
    "Heard",
    "Message",
    "Piece",
    "Ready",
    "Request",
    "Said",
    "Stop",
    "framed",
    "length_of",
]

MESSAGE_BYTES_MAX: Final = 1_048_576
HEAD_BYTES: Final = 4


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded; or why it is not."""

    error: str = ""


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A question. `time_s` is after how long the process is to end itself, if nobody else has ended it."""

    number: int
    body: msgspec.Raw
    time_s: float


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Nobody waits for the answer to this request any more."""

    number: int


class Piece(msgspec.Struct, frozen=True, tag="piece"):
    """A part of an answer that is being made."""

    number: int
    body: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The answer, in `body`; or what was wrong with the question."""

    number: int
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: str = ""


Said: TypeAlias = Request | Stop
"""What a host says."""
Heard: TypeAlias = Ready | Piece | Answer
"""What a process says."""
Message: TypeAlias = Said | Heard


def framed(message: Message) -> bytes:
    """A message as bytes.

    Raises:
        ValueError: it has more than `MESSAGE_BYTES_MAX`.
    """
    body = msgspec.msgpack.encode(message)
    if len(body) > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message of {len(body)} bytes, at most {MESSAGE_BYTES_MAX} are taken")
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def length_of(head: bytes | bytearray) -> int:
    """How many bytes follow the first four.

    Raises:
        ValueError: more than `MESSAGE_BYTES_MAX`.
    """
    length = int.from_bytes(head[:HEAD_BYTES], "big")
    if length > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message of {length} bytes is announced, at most {MESSAGE_BYTES_MAX} are taken")
    return length
