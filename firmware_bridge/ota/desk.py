"""Who serves an image to boards: pure steps, what was heard in, what is to be published out. No socket and no clock.

However many boards there are, `at_once` are served at a time; the others ask again by themselves, and are offered the image anew
when a place is free. What a board may ask for is bounded, so that one that asks over and over costs no more than so much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from edgematrix.protocol.message import Publication
from edgematrix.protocol.topic import DEFAULT_ROOT, Kind
from firmware_bridge.ota.image import Image

__all__ = ["AT_ONCE", "FIRMWARE", "UPDATE", "Desk", "Phase", "Stand", "Told", "read_percent", "read_told", "withdrawals"]

AT_ONCE = 8
FIRMWARE = "_firmware"
"""What a board tells of itself stands on `{root}/state/{board}/_firmware`."""
UPDATE = "_update"
"""Offers stand on `{root}/in/{board}/_update`, requests come on `out`, and what Home Assistant is shown stands on `state`."""
_CHUNK = "_chunk"
_WINDOW_MAX = 16
_SILENT_S = 30.0
"""A board that asked for nothing so long has left its place."""
_SERVED_TIMES_MAX = 8
"""How often a board may get the whole image, in bytes."""
_TOLD_BYTES_MAX = 16_384


class Phase(StrEnum):
    """How it stands with a board."""

    WAITING = "waiting"
    LOADING = "loading"
    TRIAL = "trial"
    DONE = "done"
    REFUSED = "refused"

    @property
    def is_last(self) -> bool:
        """Whether nothing more is to be expected."""
        return self in (Phase.DONE, Phase.REFUSED)


class Refused(msgspec.Struct, frozen=True):
    """Why a board does not take an offer."""

    code: str
    reason: str
    version: int = 0


class Told(msgspec.Struct, frozen=True):
    """What a board says of its program (docs/spec/firmware.md, "What a board tells")."""

    v: int
    board: str
    version: int
    phase: str
    slot: str = ""
    offered: int | None = None
    offer: str = ""
    digest: str = ""
    payload_max: int = 0
    refused: Refused | None = None
    failed: tuple[tuple[int, str], ...] = ()


def read_told(payload: bytes) -> Told | None:
    """Read what a board says of its program; None if it is something else."""
    if len(payload) > _TOLD_BYTES_MAX:
        return None
    try:
        return msgspec.json.decode(payload, type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Shown(msgspec.Struct, frozen=True):
    update_percentage: float | None = None


def read_percent(payload: bytes) -> int | None:
    """How much of an update is loaded, from what Home Assistant is shown; None if nothing is, or if it is something else."""
    try:
        shown = msgspec.json.decode(payload[:_TOLD_BYTES_MAX], type=_Shown)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if shown.update_percentage is None else int(shown.update_percentage)


class Stand(msgspec.Struct):
    """How it stands with one board. `is_in` is whether it has a place at the desk, `heard_s` when it asked last."""

    board: str
    phase: Phase = Phase.WAITING
    percent: int = 0
    reason: str = ""
    is_in: bool = False
    heard_s: float = 0.0
    served_bytes: int = 0
    turned_away: int = 0
    payload_max: int = 0


class _Wish(msgspec.Struct, frozen=True):
    at: int
    count: int
    id: str


class Desk:
    """Serves one image.

    Args:
        image: what is served.
        boards: the paths of the boards that it is for.
        root: of the bus's topics.
        at_once: how many of them are served at a time.
    """

    def __init__(self, image: Image, boards: Sequence[str], root: str = DEFAULT_ROOT, at_once: int = AT_ONCE) -> None:
        self._image = image
        self._root = root
        self._at_once = at_once
        self._offer = image.offer
        self._offer_id = hashlib.sha256(self._offer).hexdigest()[:8]
        self._served_max = _SERVED_TIMES_MAX * image.manifest.size + _WINDOW_MAX * image.manifest.chunk
        self.stands = {board: Stand(board) for board in dict.fromkeys(boards)}
        self._asking = {f"{root}/{Kind.OUT}/{board}/{UPDATE}": stand for board, stand in self.stands.items()}
        self._telling = {f"{root}/{Kind.STATE}/{board}/{FIRMWARE}": stand for board, stand in self.stands.items()}

    @property
    def filters(self) -> list[str]:
        """What has to be listened to."""
        return [*self._asking, *self._telling]

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be expected of any board."""
        return all(stand.phase.is_last for stand in self.stands.values())

    def offers(self) -> list[Publication]:
        """The image, offered to each board that can take it and has not yet: retained."""
        for stand in self.stands.values():
            if 0 < stand.payload_max < len(self._offer) and not stand.phase.is_last:
                stand.phase = Phase.REFUSED
                stand.reason = (
                    f"its packets hold {stand.payload_max} bytes, the offer has {len(self._offer)}: a larger packet_bytes_max there"
                )
        return [self._offered(stand) for stand in self.stands.values() if not stand.phase.is_last]

    def heard(self, topic: str, payload: bytes, retained: bool, now_s: float) -> list[Publication]:
        """Take a message; what is to be published then."""
        stand = self._telling.get(topic)
        if stand is not None:
            told = read_told(payload)
            return [] if told is None else self._told(stand, told, retained=retained, now_s=now_s)
        stand = self._asking.get(topic)
        if stand is None or retained:
            return []
        try:
            wish = msgspec.json.decode(payload, type=_Wish)
        except (msgspec.DecodeError, UnicodeDecodeError):
            stand.turned_away += 1
            return []
        return self._asked(stand, wish, now_s)

    def passed(self, now_s: float) -> list[Publication]:
        """Time passed: places of boards that fell silent are free again."""
        found: list[Publication] = []
        for stand in self.stands.values():
            if stand.is_in and now_s - stand.heard_s > _SILENT_S:
                found += self._leave(stand)
        return found

    def _asked(self, stand: Stand, wish: _Wish, now_s: float) -> list[Publication]:
        size, chunk = self._image.manifest.size, self._image.manifest.chunk
        if wish.id != self._image.digest or not 0 <= wish.at < size or wish.count < 1 or stand.phase.is_last:
            stand.turned_away += 1
            return []
        if not stand.is_in and sum(other.is_in for other in self.stands.values()) >= self._at_once:
            stand.turned_away += 1
            return []
        stand.is_in, stand.heard_s = True, now_s
        places = range(wish.at, size, chunk)[: min(wish.count, _WINDOW_MAX)]
        chunks = [self._image.chunk(at) for at in places]
        stand.served_bytes += sum(map(len, chunks))
        if stand.served_bytes > self._served_max:
            stand.phase, stand.reason = Phase.REFUSED, f"it asked for the image over {_SERVED_TIMES_MAX} times, and is not served any more"
            return self._leave(stand)
        if stand.phase is Phase.WAITING:
            stand.phase = Phase.LOADING
        stand.percent = max(stand.percent, wish.at * 100 // size)
        topic = f"{self._root}/{Kind.IN}/{stand.board}/{_CHUNK}"
        return [Publication(topic, data) for data in chunks]

    def _told(self, stand: Stand, told: Told, *, retained: bool, now_s: float) -> list[Publication]:
        del now_s
        stand.payload_max = told.payload_max
        if stand.phase.is_last:
            return []
        if told.version == self._image.manifest.version and told.digest == self._image.digest:
            stand.phase, stand.percent, stand.reason = Phase.DONE, 100, ""
        elif retained:
            # What it said before it heard of this offer.
            return []
        elif told.refused is not None and told.offer == self._offer_id:
            stand.phase, stand.reason = Phase.REFUSED, f"{told.refused.code}: {told.refused.reason}"
            stand.reason += next((f" ({why})" for version, why in told.failed if version == told.refused.version), "")
        elif told.phase in ("loading", "trial") and told.offered == self._image.manifest.version:
            stand.phase = Phase(told.phase)
            if stand.phase is Phase.LOADING:
                return []
        else:
            return []
        return self._leave(stand)

    def _leave(self, stand: Stand) -> list[Publication]:
        """Give a board's place to the one that was turned away most often."""
        if not stand.is_in:
            return []
        stand.is_in = False
        waiting = [other for other in self.stands.values() if other.turned_away and not other.is_in and not other.phase.is_last]
        if not waiting:
            return []
        following = max(waiting, key=lambda other: other.turned_away)
        following.turned_away = 0
        return [self._offered(following)]

    def _offered(self, stand: Stand) -> Publication:
        return Publication(f"{self._root}/{Kind.IN}/{stand.board}/{UPDATE}", self._offer, 1, retain=True)


def withdrawals(boards: Iterable[str], root: str = DEFAULT_ROOT) -> list[Publication]:
    """What takes an offer back."""
    return [Publication(f"{root}/{Kind.IN}/{board}/{UPDATE}", b"", 1, retain=True) for board in boards]
