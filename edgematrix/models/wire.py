"""What a host and a model's process say to each other over a pair of pipes.

A message is its length (four bytes, big endian) and msgpack. The process says `Ready` once, then answers each `Question` with one
`Answer` of the same number.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["HEAD_BYTES", "MESSAGE_BYTES_MAX", "Answer", "Question", "Ready", "framed", "length_of"]

MESSAGE_BYTES_MAX: Final = 262_144
HEAD_BYTES: Final = 4


class Ready(msgspec.Struct, frozen=True):
    """The model is loaded; or why it is not."""

    error: str = ""


class Question(msgspec.Struct, frozen=True):
    """What `Model.choose` takes. `time_s` is after how long the process is to end itself, if nobody else has ended it."""

    number: int
    role: str
    prompt: str
    choices: tuple[str, ...]
    time_s: float


class Answer(msgspec.Struct, frozen=True):
    """The place of a choice among those of the question; or what was wrong with the question."""

    number: int
    choice: int = 0
    error: str = ""


def framed(message: Ready | Question | Answer) -> bytes:
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
