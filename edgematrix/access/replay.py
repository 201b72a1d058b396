"""What has been taken of each signer on each topic, so that nothing is taken twice: not after a restart either.

A window as in RFC 4303 (3.4.3): what is newer than the newest is taken, what is older only if it is within the window and was not there
before. A signer counts anew in a higher epoch each time that it starts; of a signer that is several processes at once a few epochs
are known beside one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping
from enum import Enum, auto
from typing import ClassVar

import msgspec

from edgematrix.errors import StateError

__all__ = ["ReplayMemory", "Verdict"]

_WINDOW = 1_024
_EPOCHS_MAX = 4
_VERSION = 1
_BETWEEN = " "
"""Between the key and the topic in the name of a part: no key's id holds a space."""


class Verdict(Enum):
    """What becomes of a signed message."""

    NEW = auto()
    """It was not here before."""
    AGAIN = auto()
    """It was here before, or is too old to tell."""
    FULL = auto()
    """So many signers and topics are known that nothing can be noted of another one."""


class _Count:
    """One signer on one topic: the newest sequence of each epoch with a bit for each one before it that was there."""

    __slots__ = ("epochs", "floor")

    def __init__(self) -> None:
        self.epochs: dict[int, tuple[int, int]] = {}
        self.floor = -1
        """The highest epoch of which nothing is known any more."""

    def newest(self) -> tuple[int, int]:
        """The highest epoch, and its highest sequence."""
        epoch = max(self.epochs, default=self.floor)
        return epoch, self.epochs[epoch][0] if epoch in self.epochs else 0

    def take(self, epoch: int, sequence: int) -> bool:
        """Note it, where it is new."""
        if epoch <= self.floor:
            return False
        high, bits = self.epochs.get(epoch, (0, 0))
        if sequence > high:
            bits = ((bits << (sequence - high)) | 1) & _MASK if sequence - high < _WINDOW else 1
            high = sequence
        else:
            bit = 1 << (high - sequence)
            if high - sequence >= _WINDOW or bits & bit:
                return False
            bits |= bit
        self.epochs[epoch] = (high, bits)
        if len(self.epochs) > _EPOCHS_MAX:
            self.floor = min(self.epochs)
            del self.epochs[self.floor]
        return epoch > self.floor


_MASK = (1 << _WINDOW) - 1


class ReplayMemory:
    """What was taken, by key and topic.

    Args:
        touched: called when there is something to store.
        counts_max: how many pairs of a key and a topic may be known; what comes of another one is not taken.
        topics_max: how many topics of one key: whoever has one may publish on any number, and leaves the others room so.
    """

    STORE_KEY: ClassVar[str] = "#signed"

    def __init__(self, touched: Callable[[], None], *, counts_max: int = 100_000, topics_max: int = 20_000) -> None:
        self._touched = touched
        self._counts_max = counts_max
        self._topics_max = topics_max
        self._topics: Counter[str] = Counter()
        self._counts: dict[tuple[str, str], _Count] = {}
        self._changed: dict[tuple[str, str], None] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, key_id: str, topic: str, epoch: int, sequence: int) -> Verdict:
        """Judge a message of which each counts once, and note it where it is new."""
        count = self._count(key_id, topic)
        if count is None:
            return Verdict.FULL
        if not count.take(epoch, sequence):
            return Verdict.AGAIN
        self._change(key_id, topic)
        return Verdict.NEW

    def follow(self, key_id: str, topic: str, epoch: int, sequence: int) -> Verdict:
        """Judge a message of which the newest counts, however often it comes, and note it."""
        count = self._count(key_id, topic)
        if count is None:
            return Verdict.FULL
        newest = count.newest()
        if (epoch, sequence) < newest:
            return Verdict.AGAIN
        if (epoch, sequence) > newest:
            count.epochs = {epoch: (sequence, 1)}
            count.floor = max(count.floor, epoch - 1)
            self._change(key_id, topic)
        return Verdict.NEW

    def forget(self, key_id: str, topic: str, epoch: int, sequence: int) -> None:
        """A message that was noted was not taken after all: it may come again."""
        count = self._counts.get((key_id, topic))
        if count is not None and epoch in count.epochs:
            high, bits = count.epochs[epoch]
            if 0 <= high - sequence < _WINDOW:
                count.epochs[epoch] = (high, bits & ~(1 << (high - sequence)))
                self._change(key_id, topic)

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by part."""
        changed, self._changed = self._changed, {}
        return {f"{key_id}{_BETWEEN}{topic}": _encode(self._counts[key_id, topic]) for key_id, topic in changed}

    def load(self, parts: Mapping[str, bytes], keys: Container[str], damaged: Callable[[str, Exception], None]) -> list[str]:
        """Go on with what was stored.

        Args:
            keys: those that are known; what was noted of others is of no use any more.
            damaged: called with the part and the error where one cannot be read: what its signer sent before may be taken once more.

        Returns:
            The parts that are of no use.
        """
        useless = []
        for part, data in parts.items():
            key_id, _, topic = part.partition(_BETWEEN)
            if key_id not in keys:
                useless.append(part)
                continue
            try:
                self._counts[key_id, topic] = _decode(data)
                self._topics[key_id] += 1
            except StateError as error:
                damaged(f"{self.STORE_KEY} {part}", error)
                useless.append(part)
        return useless

    def _count(self, key_id: str, topic: str) -> _Count | None:
        count = self._counts.get((key_id, topic))
        if count is None and len(self._counts) < self._counts_max and self._topics[key_id] < self._topics_max:
            count = self._counts[key_id, topic] = _Count()
            self._topics[key_id] += 1
        return count

    def _change(self, key_id: str, topic: str) -> None:
        if not self._changed:
            self._touched()
        self._changed[key_id, topic] = None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[int, int, list[tuple[int, int, bytes]]]).decode


def _encode(count: _Count) -> bytes:
    epochs = [(epoch, high, bits.to_bytes((bits.bit_length() + 7) // 8)) for epoch, (high, bits) in count.epochs.items()]
    return _pack((_VERSION, count.floor, epochs))


def _decode(data: bytes) -> _Count:
    try:
        version, floor, epochs = _unpack(data)
    except msgspec.MsgspecError as error:
        raise StateError(f"what was taken is damaged: {error}") from None
    if version != _VERSION:
        raise StateError(f"what was taken is of version {version}, expected {_VERSION}")
    count = _Count()
    count.floor = floor
    count.epochs = {epoch: (high, int.from_bytes(bits) & _MASK) for epoch, high, bits in epochs}
    return count
