"""What the receivers of a host have had of each edge, so that each event is taken once and in order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import ClassVar

import msgspec

from edgematrix.delivery.ack import Ack
from edgematrix.errors import StateError

__all__ = ["Inbox", "Verdict"]

_EPOCHS_MAX = 4
"""How many epochs of an edge are known at once: senders that had the agent before may still have something to deliver."""
_VERSION = 1
_BETWEEN = " "
"""Between the receiver and the edge in the name of a part: no path holds a space."""


class Verdict(Enum):
    """What a receiver makes of an event of an edge."""

    NEW = auto()
    """It is the next: take it."""
    AGAIN = auto()
    """It was had before: drop it."""
    EARLY = auto()
    """Something before it is missing: drop it, the sender sends both again."""


class _Cursor:
    """One receiver of one edge: the newest sequence taken of each epoch, the epoch heard of last standing last."""

    __slots__ = ("edge", "part", "receiver", "safe", "taken")

    def __init__(self, receiver: str, edge: str) -> None:
        self.receiver = receiver
        self.edge = edge
        self.part = f"{receiver}{_BETWEEN}{edge}"
        self.taken: dict[int, int] = {}
        self.safe: dict[int, int] = {}

    def advance(self, epoch: int, seq: int) -> None:
        taken = self.taken
        if epoch not in taken:
            if len(taken) >= _EPOCHS_MAX:
                stalest = next(iter(taken))
                del taken[stalest]
                self.safe.pop(stalest, None)
        elif len(taken) > 1:
            del taken[epoch]
        taken[epoch] = seq


class Inbox:
    """The cursors of all receivers on this host. A keeper of the engine.

    What is taken counts as had at once, and is acknowledged after the commit that holds it.

    Args:
        touched: told when there is something to store.
        edges_max: how many cursors there may be; beyond it the one unused for the longest time is forgotten, and counted.
    """

    STORE_KEY: ClassVar[str] = "inbox"

    def __init__(self, touched: Callable[[Inbox], None], *, edges_max: int = 100_000) -> None:
        self._touched = touched
        self._edges_max = edges_max
        self._cursors: OrderedDict[tuple[str, str], _Cursor] = OrderedDict()
        self._of: dict[str, dict[str, _Cursor]] = {}
        self._followed: OrderedDict[str, dict[int, int]] = OrderedDict()
        self._unsaved: dict[str, _Cursor | None] = {}
        self._saved: list[tuple[_Cursor, dict[int, int]]] = []
        self._due: dict[tuple[str, str, int], None] = {}
        self.forgotten_count = 0
        """Cursors that gave way to newer ones."""

    def __len__(self) -> int:
        return len(self._cursors)

    # What comes in

    def take(self, receiver: str, edge: str, epoch: int, seq: int, base: int | None = None) -> Verdict:
        """Judge an event, and note it where it is new.

        Args:
            receiver: the path of the agent that it is for.
            edge: `edge_of` it.
            epoch: its `edgeepoch`.
            seq: its `sequence`.
            base: its `edgebase`; where that is `seq`, nothing before it will come.
        """
        cursor = self._cursors.get((receiver, edge))
        had = 0 if cursor is None else cursor.taken.get(epoch, 0)
        if seq == had + 1 or (seq > had and base == seq):
            if cursor is None:
                cursor = self._make(receiver, edge)
            cursor.advance(epoch, seq)
            self._cursors.move_to_end((receiver, edge))
            self._change(cursor.part, cursor)
            return Verdict.NEW
        if seq > had:
            self._ask(receiver, edge, epoch)
            return Verdict.EARLY
        if cursor is None or seq <= cursor.safe.get(epoch, 0):  # else the commit under way acknowledges it
            self._ask(receiver, edge, epoch)
        return Verdict.AGAIN

    def follow(self, edge: str, epoch: int, seq: int) -> bool:
        """Whether an event is newer than what was heard of its edge, for a reader that promises nothing and may miss some."""
        followed = self._followed
        heard = followed.get(edge)
        if heard is None:
            heard = followed[edge] = {}
            if len(followed) > self._edges_max:
                followed.popitem(last=False)
        elif seq <= heard.get(epoch, 0):
            return False
        else:
            followed.move_to_end(edge)
        if len(heard) >= _EPOCHS_MAX and epoch not in heard:
            del heard[next(iter(heard))]
        heard[epoch] = seq
        return True

    def remind(self, receiver: str, edge: str, epoch: int) -> None:
        """Tell a sender again how far it has come: what it sent since was not taken, and will be now."""
        self._ask(receiver, edge, epoch)

    # What goes out

    def acks(self) -> list[tuple[str, Ack]]:
        """What is to be acknowledged now, by receiver; taken out."""
        if not self._due:
            return []
        due, self._due = self._due, {}
        found: list[tuple[str, Ack]] = []
        for receiver, edge, epoch in due:
            cursor = self._cursors.get((receiver, edge))
            found.append((receiver, Ack(edge, epoch, 0 if cursor is None else cursor.safe.get(epoch, 0))))
        return found

    def all_acks(self) -> list[tuple[str, Ack]]:
        """Everything that is committed, by receiver: for senders that wait since the connection broke."""
        return [(cursor.receiver, Ack(cursor.edge, epoch, seq)) for cursor in self._cursors.values() for epoch, seq in cursor.safe.items()]

    # What is stored

    @property
    def store_key(self) -> str:
        """Under which the cursors are stored, each as a part."""
        return self.STORE_KEY

    def save(self) -> dict[str, bytes | None]:
        """What has changed since the last call, by part."""
        unsaved, self._unsaved = self._unsaved, {}
        changed: dict[str, bytes | None] = {}
        for part, cursor in unsaved.items():
            if cursor is None:
                changed[part] = None
            else:
                changed[part] = _encode(cursor.taken)
                self._saved.append((cursor, dict(cursor.taken)))
        return changed

    def committed(self) -> None:
        """All that was saved is safe: what it holds may be acknowledged."""
        saved, self._saved = self._saved, []
        for cursor, taken in saved:
            if self._cursors.get((cursor.receiver, cursor.edge)) is not cursor:
                continue
            for epoch, seq in taken.items():
                if epoch in cursor.taken and cursor.safe.get(epoch, 0) != seq:
                    cursor.safe[epoch] = seq
                    self._ask(cursor.receiver, cursor.edge, epoch)

    def load(self, parts: Mapping[str, bytes], damaged: Callable[[str, Exception], None]) -> None:
        """Go on with what was stored. What is damaged is forgotten, and told: its sender then begins with what it still has."""
        for part, data in parts.items():
            receiver, _, edge = part.partition(_BETWEEN)
            try:
                taken = _decode(data)
            except StateError as error:
                damaged(f"inbox {part}", error)
                self._change(part, None)
                continue
            cursor = self._make(receiver, edge)
            cursor.taken, cursor.safe = taken, dict(taken)

    # What comes and goes

    def forget(self, receiver: str) -> None:
        """The receiver is no longer here, or begins anew."""
        for cursor in self._of.pop(receiver, {}).values():
            del self._cursors[receiver, cursor.edge]
            self._change(cursor.part, None)

    def knows(self, receiver: str) -> bool:
        """Whether a receiver has taken anything so far."""
        return bool(self._of.get(receiver))

    def cursors(self, receiver: str) -> bytes:
        """What a receiver has taken so far, to go with its state to another host."""
        return _encode_all([(cursor.edge, list(cursor.taken.items())) for cursor in self._of.get(receiver, {}).values()])

    def adopt(self, receiver: str, data: bytes) -> None:
        """Go on with what a receiver had taken elsewhere (`cursors`); what was known of it here is forgotten.

        Raises:
            StateError: it is damaged; nothing has changed.
        """
        found = _decode_all(data)
        self.forget(receiver)
        for edge, taken in found.items():
            cursor = self._make(receiver, edge)
            cursor.taken = taken
            self._change(cursor.part, cursor)

    # Inside

    def _make(self, receiver: str, edge: str) -> _Cursor:
        if len(self._cursors) >= self._edges_max:
            _, stalest = self._cursors.popitem(last=False)
            siblings = self._of[stalest.receiver]
            del siblings[stalest.edge]
            if not siblings:
                del self._of[stalest.receiver]
            self._change(stalest.part, None)
            self.forgotten_count += 1
        cursor = self._cursors[receiver, edge] = _Cursor(receiver, edge)
        self._of.setdefault(receiver, {})[edge] = cursor
        return cursor

    def _change(self, part: str, cursor: _Cursor | None) -> None:
        if not self._unsaved:
            self._touched(self)
        self._unsaved[part] = cursor

    def _ask(self, receiver: str, edge: str, epoch: int) -> None:
        """Let an acknowledgement be sent. Whoever goes without one sends again, and is then answered."""
        if len(self._due) < self._edges_max:
            self._due[receiver, edge, epoch] = None


_Taken = list[tuple[int, int]]
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[int, _Taken]).decode
_unpack_all = msgspec.msgpack.Decoder(tuple[int, list[tuple[str, _Taken]]]).decode


def _encode(taken: Mapping[int, int]) -> bytes:
    return _pack((_VERSION, list(taken.items())))


def _encode_all(edges: list[tuple[str, _Taken]]) -> bytes:
    return _pack((_VERSION, edges))


def _decode(data: bytes) -> dict[int, int]:
    try:
        version, taken = _unpack(data)
    except msgspec.MsgspecError as error:
        raise StateError(f"the cursor is damaged: {error}") from None
    _check_version(version)
    return _checked(taken)


def _decode_all(data: bytes) -> dict[str, dict[int, int]]:
    try:
        version, edges = _unpack_all(data)
    except msgspec.MsgspecError as error:
        raise StateError(f"the cursors are damaged: {error}") from None
    _check_version(version)
    return {edge: _checked(taken) for edge, taken in edges}


def _check_version(version: int) -> None:
    if version != _VERSION:
        raise StateError(f"the cursors are of version {version}, expected {_VERSION}")


def _checked(taken: _Taken) -> dict[int, int]:
    if not 0 < len(taken) <= _EPOCHS_MAX or any(seq < 1 for _, seq in taken):
        raise StateError("the cursor is damaged: it has epochs without a sequence, or too many")
    return dict(taken)
