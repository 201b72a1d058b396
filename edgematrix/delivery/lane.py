"""What durable agents put out where nobody acknowledges end to end: kept until the broker has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from edgematrix.errors import QueueFullError, StateError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Publication

__all__ = ["Lane"]

_VERSION = 1


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """A publication as it is stored."""

    version: int
    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None
    expires_us: int | None


class _Kept(msgspec.Struct, gc=False):
    """A publication that is kept."""

    publication: Publication
    expires_us: int | None

    @property
    def size_bytes(self) -> int:
        return len(self.publication.topic) + len(self.publication.payload)


class Lane:
    """Publications in the order in which they were put, each numbered. A keeper of the engine.

    What was handed out is the transport's, which sends it again by itself after an outage, until it is `confirmed`.

    Args:
        touched: told when there is something to store.
        entries_max: how many publications may wait.
        bytes_max: how many bytes they may be.
        window_max: how many are handed out before they are confirmed.
    """

    STORE_KEY: ClassVar[str] = "lane"

    def __init__(self, touched: Callable[[Lane], None], *, entries_max: int, bytes_max: int, window_max: int = 100) -> None:
        self._touched = touched
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._window_max = window_max
        self._kept: dict[int, _Kept] = {}
        self._to_go: deque[int] = deque()
        self._under_way: dict[int, None] = {}
        self._expired: list[Publication] = []
        self._changed: dict[str, bytes | None] = {}
        self._last = self._saved = self._safe = 0
        self._is_linked = False
        self.waiting_bytes = 0

    @property
    def waiting(self) -> int:
        """Publications that are kept."""
        return len(self._kept)

    @property
    def is_full(self) -> bool:
        """Whether nothing can be put any more."""
        return self.waiting >= self._entries_max or self.waiting_bytes >= self._bytes_max

    @property
    def is_staged(self) -> bool:
        """Whether publications wait for a commit before they may leave."""
        return self._safe < self._last

    def put(self, publication: Publication, expires_us: int | None) -> None:
        """Stage a publication; from `expires_us` on it is worth nothing.

        Raises:
            QueueFullError: too much waits; nothing was staged.
        """
        kept = _Kept(publication, expires_us)
        if self.is_full or self.waiting_bytes + kept.size_bytes > self._bytes_max:
            raise QueueFullError(
                f"{self.waiting} publications of {self.waiting_bytes} bytes wait for the broker,"
                f" the bounds are {self._entries_max} and {self._bytes_max}",
                where=publication.topic,
            )
        self._last += 1
        self._keep(self._last, kept)
        self._change(self._last, _encode(kept))

    # What the connection does

    def linked(self) -> None:
        """The broker is there."""
        self._is_linked = True

    def unlinked(self) -> None:
        """The broker is gone: nothing is due."""
        self._is_linked = False

    def due(self, now_us: int) -> list[Publication]:
        """What is to be published now, in order: what is committed and has not expired, as far as the window allows."""
        found: list[Publication] = []
        to_go, under_way = self._to_go, self._under_way
        while self._is_linked and to_go and to_go[0] <= self._safe and len(under_way) < self._window_max:
            number = to_go.popleft()
            kept = self._kept[number]
            if kept.expires_us is not None and kept.expires_us <= now_us:
                self._expired.append(kept.publication)
                self._remove(number)
            else:
                under_way[number] = None
                found.append(_publication(kept, number, now_us))
        return found

    def take_expired(self) -> list[Publication]:
        """What was given up because its time had passed; taken out."""
        expired, self._expired = self._expired, []
        return expired

    def under_way(self, number: int) -> Publication | None:
        """What was handed out with this number, and is not confirmed."""
        return self._kept[number].publication if number in self._under_way else None

    def confirmed(self, number: int) -> None:
        """The broker has it, or will never take it."""
        if number in self._under_way:
            del self._under_way[number]
            self._remove(number)

    def go_back(self, number: int) -> None:
        """The transport took neither this one, nor what was handed out after it: they are due again."""
        again = [other for other in self._under_way if other >= number]
        for other in again:
            del self._under_way[other]
        self._to_go.extendleft(reversed(again))

    # What is stored

    @property
    def store_key(self) -> str:
        """Under which it is stored, each publication as a part with its number."""
        return self.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by part."""
        changed, self._changed = self._changed, {}
        self._saved = self._last
        return changed

    def committed(self) -> None:
        """All that was saved is safe, and may leave."""
        self._safe = self._saved

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> None:
        """Go on with what was stored, before anything is put. What is damaged is forgotten, and told."""
        found: dict[int, _Kept] = {}
        for part, data in parts.items():
            try:
                found[_number(part)] = _decode(data)
            except StateError as error:
                damaged(f"lane {part}", error)
                self._mark(part, None)
        for number in sorted(found):
            self._keep(number, found[number])
            self._last = self._saved = self._safe = number

    # Inside

    def _keep(self, number: int, kept: _Kept) -> None:
        self._kept[number] = kept
        self._to_go.append(number)
        self.waiting_bytes += kept.size_bytes

    def _remove(self, number: int) -> None:
        self.waiting_bytes -= self._kept.pop(number).size_bytes
        self._change(number, None)

    def _change(self, number: int, data: bytes | None) -> None:
        self._mark(str(number), data)

    def _mark(self, part: str, data: bytes | None) -> None:
        if not self._changed:
            self._touched(self)
        self._changed[part] = data


def _publication(kept: _Kept, number: int, now_us: int) -> Publication:
    """What is handed to the transport: what is left of its time goes along."""
    made, expiry_s = kept.publication, kept.publication.expiry_s
    if kept.expires_us is not None:
        expiry_s = -(-(kept.expires_us - now_us) // SECOND_US)
    return Publication(made.topic, made.payload, made.qos, made.retain, expiry_s, number)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Stored).decode


def _encode(kept: _Kept) -> bytes:
    made = kept.publication
    return _pack(_Stored(_VERSION, made.topic, made.payload, made.qos, made.retain, made.expiry_s, kept.expires_us))


def _decode(data: bytes) -> _Kept:
    try:
        stored = _unpack(data)
    except msgspec.MsgspecError as error:
        raise StateError(f"the publication is damaged: {error}") from None
    if stored.version != _VERSION:
        raise StateError(f"the publication is of version {stored.version}, expected {_VERSION}")
    return _Kept(Publication(stored.topic, stored.payload, stored.qos, stored.retain, stored.expiry_s), stored.expires_us)


def _number(part: str) -> int:
    if not part.isdecimal() or int(part) < 1:
        raise StateError(f"{part[:40]!r} is no number")
    return int(part)
