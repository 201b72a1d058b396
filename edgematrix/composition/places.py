"""Who works and who waits in a pool: its replicas, each with a place for as many runs as it may have under way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from edgematrix.errors import QueueFullError, UsageError

__all__ = ["KEYS_MAX", "Places"]

KEYS_MAX: Final = 10_000
"""Keys whose replica a pool remembers; the one that was used longest ago is forgotten first."""


class Places:
    """The places of the replicas `members`, `busy_max` each. At most `waiting_max` runs wait for one.

    A run with a key gets a place of the replica that its key had before, as long as that lives; any other gets one of the
    replica with the least work, the first in order if several have. No run waits for a place that is free and that it may
    take, so what comes later overtakes only what waits for another replica, by its key.

    Tuples of runs that are returned have just been given a place for which they waited.
    """

    __slots__ = ("_busy", "_busy_max", "_held", "_keys", "_promised", "_ranks", "_waiting", "_waiting_max", "alive", "members")

    def __init__(self, members: Sequence[str], busy_max: int, waiting_max: int) -> None:
        self.members = tuple(members)
        self.alive = set(members)
        self._busy_max = busy_max
        self._waiting_max = waiting_max
        self._busy = dict.fromkeys(members, 0)
        self._held: dict[str, str] = {}
        """The replica whose place a run has."""
        self._promised: dict[str, str | None] = {}
        """The keys of the runs that were given a place while they waited, and have not collected it yet."""
        self._waiting: OrderedDict[str, str | None] = OrderedDict()
        """The keys of the runs that wait, in order. No dict: that is slow at its front once much was taken from there."""
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._ranks: dict[str, int] = {}
        """The runs that wait, by number: in that order."""

    def busy(self, member: str) -> int:
        """How many places of a replica are taken."""
        return self._busy[member]

    @property
    def waiting(self) -> tuple[str, ...]:
        """The runs that wait, in order."""
        return tuple(self._waiting)

    def enter(self, runid: str, key: str | None) -> str:
        """Give a new run a place; the replica's name, empty if the run waits.

        Raises:
            QueueFullError: as many runs as may wait do so already.
        """
        member = self._choose(key)
        if member:
            self._take(runid, key, member)
        elif len(self._waiting) >= self._waiting_max:
            raise QueueFullError(f"the pool is full: {len(self._waiting)} runs wait already, waiting_max is {self._waiting_max}")
        else:
            self._ranks[runid] = self._ranks[next(reversed(self._waiting))] + 1 if self._waiting else 0
            self._waiting[runid] = key
        return member

    def rank(self, runid: str) -> int:
        """Where a run that waits stands among the others: the lowest comes first. It never changes while it waits."""
        return self._ranks[runid]

    def hold(self, runid: str, key: str | None, member: str) -> None:
        """Let a run have its place again, after a restart.

        Raises:
            UsageError: there is no such replica.
        """
        self._check(member)
        self._take(runid, key, member)

    def queue(self, runid: str, key: str | None, rank: int) -> None:
        """Let a run wait again, after a restart, at its place in the order."""
        self._waiting[runid] = key
        self._ranks[runid] = rank
        if any(self._ranks[other] > rank for other in self._waiting):
            self._waiting = OrderedDict(sorted(self._waiting.items(), key=lambda waiting: self._ranks[waiting[0]]))

    def level(self) -> tuple[str, ...]:
        """Give places that are free to runs that wait, which none does but after a restart."""
        return self._fill()

    def collect(self, runid: str) -> str:
        """The replica whose place a run was given while it waited; empty if there is none."""
        if runid not in self._promised:
            return ""
        del self._promised[runid]
        return self._held[runid]

    def move(self, runid: str, key: str | None) -> tuple[str, ...]:
        """Let a run give up its place and wait for another, before all others; it may be among the runs returned.

        It was let in once, so it is not turned away: at worst a run for each place waits on top of `waiting_max`.
        """
        self._requeue(runid, key)
        return self._fill()

    def leave(self, runid: str) -> tuple[str, ...]:
        """Take back all that a run has. Twice is once."""
        self._waiting.pop(runid, None)
        self._ranks.pop(runid, None)
        self._promised.pop(runid, None)
        member = self._held.pop(runid, None)
        if member is None:
            return ()
        self._busy[member] -= 1
        return self._fill()

    def gone(self, member: str) -> tuple[str, ...]:
        """A replica is not there any more: its keys are free for others, and what has not begun there waits anew.

        Raises:
            UsageError: there is no such replica.
        """
        self._check(member)
        self.alive.discard(member)
        for key in [key for key, its in self._keys.items() if its == member]:
            del self._keys[key]
        for runid in reversed([runid for runid in self._promised if self._held[runid] == member]):
            self._requeue(runid, self._promised.pop(runid))
        return self._fill()

    def back(self, member: str) -> tuple[str, ...]:
        """A replica is there again.

        Raises:
            UsageError: there is no such replica.
        """
        self._check(member)
        self.alive.add(member)
        return self._fill()

    # Inside

    def _check(self, member: str) -> None:
        if member not in self._busy:
            raise UsageError(f"`{member}` is no replica of this pool, expected one of {', '.join(self.members[:20])}")

    def _choose(self, key: str | None) -> str:
        """The replica whose place work of this key would get now; empty if it has to wait."""
        bound = None if key is None else self._keys.get(key)
        if bound is not None:
            return bound if self._busy[bound] < self._busy_max else ""
        least, chosen = self._busy_max, ""
        for member in self.members:
            busy = self._busy[member]
            if busy < least and member in self.alive:
                least, chosen = busy, member
        return chosen

    def _take(self, runid: str, key: str | None, member: str) -> None:
        self._held[runid] = member
        self._busy[member] += 1
        if key is not None:
            self._keys[key] = member
            self._keys.move_to_end(key)
            if len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)

    def _requeue(self, runid: str, key: str | None) -> None:
        self._busy[self._held.pop(runid)] -= 1
        self._ranks[runid] = self._ranks[next(iter(self._waiting))] - 1 if self._waiting else 0
        self._waiting[runid] = key
        self._waiting.move_to_end(runid, last=False)

    def _fill(self) -> tuple[str, ...]:
        """Give the places that are free to the runs that wait, in order."""
        if not self._waiting:
            return ()
        free = sum(self._busy_max - self._busy[member] for member in self.alive)
        given: list[str] = []
        for runid, key in self._waiting.items():
            if len(given) == free:
                break
            member = self._choose(key)
            if member:
                self._take(runid, key, member)
                given.append(runid)
        for runid in given:
            self._promised[runid] = self._waiting.pop(runid)
            del self._ranks[runid]
        return tuple(given)
