"""What a sender keeps of one edge under one epoch."""

from __future__ import annotations

from msgspec import structs

from edgematrix.errors import StateError
from edgematrix.protocol.codec import decode_event, encode_event

__all__ = ["ENTRY_MARK", "Segment", "part_of", "read_part", "with_base", "with_number"]

ENTRY_MARK, _SEQUENCE_MARK = "#", ":"
"""In the name of an entry's part: `{edge}#{epoch}:{sequence}`. No edge holds a `#`."""


class Segment:
    """Entries of consecutive sequences.

    `first` is the lowest that is kept (or would be), `last` the newest, `saved` the newest that was handed to the store,
    `safe` the newest that is committed, `loaded` the newest that an earlier process wrote.
    """

    __slots__ = ("epoch", "first", "last", "loaded", "payloads", "safe", "saved")

    def __init__(self, epoch: int, last: int = 0) -> None:
        self.epoch = epoch
        self.first = last + 1
        self.last = self.saved = self.safe = self.loaded = last
        self.payloads: dict[int, bytes] = {}

    def append(self, payload: bytes) -> int:
        """Take the next entry: its sequence."""
        self.last = seq = self.last + 1
        self.payloads[seq] = payload
        return seq

    def release(self, until: int) -> int:
        """Let all up to `until` go: how many bytes they were."""
        pop = self.payloads.pop
        size_bytes = sum(len(pop(seq)) for seq in range(self.first, until + 1))
        self.first = until + 1
        return size_bytes


def part_of(edge: str, epoch: int, seq: int) -> str:
    """The name of an entry's part in the store."""
    return f"{edge}{ENTRY_MARK}{epoch}{_SEQUENCE_MARK}{seq}"


def read_part(part: str) -> tuple[str, int, int] | None:
    """The edge, epoch and sequence of an entry's part; None if it is the part of something else.

    Raises:
        StateError: it names no entry.
    """
    edge, mark, number = part.rpartition(ENTRY_MARK)
    if not mark:
        return None
    epoch, _, seq = number.partition(_SEQUENCE_MARK)
    if not (epoch.isdecimal() and seq.isdecimal() and int(seq) > 0):
        raise StateError(f"{part[:120]!r} names no entry of an edge")
    return edge, int(epoch), int(seq)


def with_base(payload: bytes, seq: int) -> bytes:
    """The event for a receiver that knows nothing of the edge: nothing before `seq` will come.

    Raises:
        CodecError: the payload is no event.
    """
    return encode_event(structs.replace(decode_event(payload), edgebase=seq))


def with_number(payload: bytes, epoch: int, seq: int) -> bytes:
    """The event under another number.

    Raises:
        CodecError: the payload is no event.
    """
    return encode_event(structs.replace(decode_event(payload), edgeepoch=epoch, sequence=seq, edgebase=None))
