"""A request to a model's process that is under way, and what is heard of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from edgematrix.models.halt import Halt
from edgematrix.models.wire import HEAD_BYTES, Answer, Heard, Piece, Ready, Stop, framed, length_of

__all__ = ["NOBODY", "Asked", "PieceHeard", "answer_in"]

PieceHeard = Callable[[Any], None]
_HEARD: Final = msgspec.msgpack.Decoder(Heard)


class Asked:
    """One request: what is yet to be said of it, and who hears its pieces. Number 0 is the wait for `Ready`."""

    __slots__ = ("_heard", "_piece", "halt", "is_stopped", "left", "number", "timeout_s")

    def __init__(
        self,
        number: int,
        frame: bytes,
        timeout_s: float,
        piece: type[msgspec.Struct] | None = None,
        heard: PieceHeard | None = None,
        halt: Halt | None = None,
    ) -> None:
        self.number = number
        self.left = memoryview(frame)
        self.timeout_s = timeout_s
        self._piece = piece
        self._heard = heard
        self.halt = halt
        self.is_stopped = False

    def stop(self) -> None:
        """Tell the process to stop, after what is to be said before."""
        self.is_stopped = True
        self.left = memoryview(bytes(self.left) + framed(Stop(self.number)))

    def pass_on(self, message: Piece) -> None:
        """Let a piece be heard.

        Raises:
            ValueError: it is none of this request.
        """
        if message.number != self.number or self._piece is None:
            raise ValueError("a piece that nobody has asked for")
        piece = msgspec.msgpack.decode(message.body, type=self._piece)
        if self._heard is not None and not self.is_stopped:
            self._heard(piece)


NOBODY: Final = Asked(0, b"", 0)
"""Who hears no pieces."""


def answer_in(heard: bytearray, asked: Asked) -> Ready | Answer | None:
    """Take the messages that are whole out of what was heard. Pieces are passed on; the answer is returned.

    Raises:
        ValueError: it is no message, of another request, or more than the answer.
    """
    while len(heard) >= HEAD_BYTES:
        size = HEAD_BYTES + length_of(heard)
        if len(heard) < size:
            return None
        message: Heard = _HEARD.decode(bytes(heard[HEAD_BYTES:size]))
        del heard[:size]
        if not isinstance(message, Piece):
            if heard:
                raise ValueError("more than one answer")
            return message
        asked.pass_on(message)
    return None
