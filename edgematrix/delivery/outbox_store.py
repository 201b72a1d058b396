"""How an outbox is stored: each entry as it travels, and the counters of each edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from edgematrix.delivery.segment import ENTRY_MARK, Segment, part_of, read_part
from edgematrix.errors import CodecError, StateError
from edgematrix.protocol.codec import decode_event

__all__ = ["FLOOR_PART", "Found", "read_outbox", "write_counters", "write_floor"]

FLOOR_PART = "floor"
"""The part that says in which epoch edges count that have no counters. No edge has this name."""
_VERSION = 1

_pack = msgspec.msgpack.Encoder().encode
_unpack_counters = msgspec.msgpack.Decoder(tuple[int, int, int]).decode
_unpack_floor = msgspec.msgpack.Decoder(tuple[int, int]).decode


class Found:
    """What was stored: the segments of each edge, oldest first; new entries are numbered in the newest.

    `floor` is in which epoch edges count that have no counters. `lost` are the parts that are of no use.
    """

    def __init__(self, floor: int) -> None:
        self.segments: dict[str, list[Segment]] = {}
        self.floor = floor
        self.lost: list[str] = []


def write_counters(epoch: int, last: int) -> bytes:
    """What an edge counts in, and its newest sequence."""
    return _pack((_VERSION, epoch, last))


def write_floor(epoch: int) -> bytes:
    """In which epoch edges count that have no counters."""
    return _pack((_VERSION, epoch))


def read_outbox(parts: Mapping[str, bytes], epoch: int, damaged: Callable[[str, Exception], None]) -> Found:
    """Read what was stored. What is damaged is told and left out.

    An edge that has lost its counters goes on behind its entries, in a higher epoch than any that is known here: what else it had
    numbered is not known.

    Args:
        parts: by name.
        epoch: in which edges without counters count where nothing higher is known.
        damaged: told of each part that cannot be used, and why.
    """
    found = Found(epoch)
    counters: dict[str, tuple[int, int]] = {}
    entries: dict[str, list[tuple[int, int]]] = {}
    highest, is_uncertain = epoch, False
    for part, data in parts.items():
        try:
            if part == FLOOR_PART:
                found.floor = max(found.floor, _read_floor(data))
            elif (number := read_part(part)) is None:
                counters[part] = _read_counters(data)
                highest = max(highest, counters[part][0])
            else:
                edge, *place = number
                _check_entry(data, *place)
                entries.setdefault(edge, []).append((place[0], place[1]))
                highest = max(highest, place[0])
        except (StateError, CodecError) as error:
            damaged(f"outbox {part}", error)
            found.lost.append(part)
            is_uncertain = is_uncertain or ENTRY_MARK not in part
    if is_uncertain or not entries.keys() <= counters.keys():
        found.floor = max(found.floor, highest) + 1
    for edge in entries | counters:
        segments = found.segments[edge] = _segments(edge, sorted(entries.get(edge, ())), parts)
        _end_with_counters(segments, counters.get(edge, (found.floor, 0)), found.floor)
    return found


def _segments(edge: str, entries: list[tuple[int, int]], parts: Mapping[str, bytes]) -> list[Segment]:
    """The entries of an edge; where one is missing, another segment begins."""
    segments: list[Segment] = []
    for epoch, seq in entries:
        if not segments or segments[-1].epoch != epoch or segments[-1].last + 1 != seq:
            segments.append(Segment(epoch, seq - 1))
        segment = segments[-1]
        segment.append(parts[part_of(edge, epoch, seq)])
        segment.saved = segment.safe = segment.loaded = seq
    return segments


def _end_with_counters(segments: list[Segment], counters: tuple[int, int], floor: int) -> None:
    """Let the newest segment be that of the counters, or of the floor where entries are beyond these."""
    epoch, last = counters
    newest = (segments[-1].epoch, segments[-1].last) if segments else (0, 0)
    if newest > (epoch, last):
        segments.append(Segment(max(floor, newest[0] + 1)))
    elif newest != (epoch, last) or not segments:
        segments.append(Segment(epoch, last))


def _check_entry(data: bytes, epoch: int, seq: int) -> None:
    event = decode_event(data)
    if (event.edgeepoch, event.sequence) != (epoch, seq):
        raise StateError(f"the entry has the number {event.edgeepoch}:{event.sequence}")


def _read_counters(data: bytes) -> tuple[int, int]:
    try:
        version, epoch, last = _unpack_counters(data)
    except msgspec.MsgspecError as error:
        raise StateError(f"the counters are damaged: {error}") from None
    _check_version(version)
    return epoch, last


def _read_floor(data: bytes) -> int:
    try:
        version, epoch = _unpack_floor(data)
    except msgspec.MsgspecError as error:
        raise StateError(f"the epoch is damaged: {error}") from None
    _check_version(version)
    return epoch


def _check_version(version: int) -> None:
    if version != _VERSION:
        raise StateError(f"it is of version {version}, expected {_VERSION}")
