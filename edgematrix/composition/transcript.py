"""What was said in a chat, so far, and in bounds."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from edgematrix.errors import CodecError, RunError
from edgematrix.protocol.codec import encode_value

__all__ = ["OPENING", "TRANSCRIPT_BYTES_MAX", "Entry", "Transcript", "spoken"]

OPENING: Final = "request"
"""The name under which the request opens a transcript."""
TRANSCRIPT_BYTES_MAX: Final = 65_536
"""Of a transcript as JSON; so it goes to a member in one message, with the request beside it."""


class Entry(NamedTuple):
    """Who said what, and how many bytes that is as JSON."""

    name: str
    content: object
    size_bytes: int


class Transcript:
    """The opening and the replies. What would not fit is cut, from the oldest reply on."""

    __slots__ = ("_size_bytes", "_told", "opening", "replies")

    def __init__(self, request: object) -> None:
        """Open it.

        Raises:
            RunError: the request does not fit, or has no JSON form.
        """
        self.opening = _entry(OPENING, request)
        self.replies: deque[Entry] = deque()
        self._told: deque[dict[str, object]] = deque()
        """The replies as members see them, made once: a chat of 300 turns would make 45,000."""
        self._size_bytes = self.opening.size_bytes
        if self._size_bytes > TRANSCRIPT_BYTES_MAX:
            raise RunError(f"the request has {self._size_bytes} bytes, a transcript holds {TRANSCRIPT_BYTES_MAX}")

    def add(self, name: str, content: object) -> int:
        """Append a reply; how many older ones were cut for it.

        Raises:
            RunError: it does not fit, even alone with the opening, or has no JSON form.
        """
        entry = _entry(name, content)
        room = TRANSCRIPT_BYTES_MAX - self.opening.size_bytes
        if entry.size_bytes > room:
            raise RunError(f"the reply has {entry.size_bytes} bytes, the transcript has room for {room} beside the request")
        self.replies.append(entry)
        self._told.append({"name": name, "content": content})
        self._size_bytes += entry.size_bytes
        cut = 0
        while self._size_bytes > TRANSCRIPT_BYTES_MAX:
            self._size_bytes -= self.replies.popleft().size_bytes
            self._told.popleft()
            cut += 1
        return cut

    def as_list(self) -> list[dict[str, object]]:
        """`[{"name": …, "content": …}, …]`, a list of its own."""
        return [{"name": OPENING, "content": self.opening.content}, *self._told]


def spoken(content: object) -> str:
    """What was said, as a text: a text as it is, the rest as JSON."""
    return content if isinstance(content, str) else encode_value(content).decode(errors="replace")


def _entry(name: str, content: object) -> Entry:
    try:
        # The comma between two entries counts, and the brackets with the opening.
        return Entry(name, content, len(encode_value({"name": name, "content": content})) + 2)
    except CodecError as error:
        raise RunError(error.what) from None
