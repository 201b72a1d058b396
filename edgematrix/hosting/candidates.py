"""The hosts that may have a failover unit, in order, and which of them are there."""

from __future__ import annotations

from edgematrix.hosting.lease import Lease

__all__ = ["Candidates"]


class Candidates:
    """They, as one of them sees them.

    Args:
        host: this host's name.
        order: the hosts, the first choice first; this one among them.
    """

    def __init__(self, host: str, order: tuple[str, ...]) -> None:
        self.order = order
        self._host = host
        self._online: dict[str, tuple[str, int]] = {}
        """The session of each host that is online, and since when."""
        self._offline: dict[str, tuple[str, int]] = {}

    @property
    def better(self) -> tuple[str, ...]:
        """The hosts before this one in order that are online."""
        return tuple(name for name in self.order[: self.order.index(self._host)] if name in self._online)

    def session_of(self, name: str) -> str:
        """The session of a host that is online; empty where it is not."""
        return self._online.get(name, ("", 0))[0]

    def since_us(self, name: str) -> int:
        """Since when a host that is online is there."""
        return self._online[name][1]

    def come(self, name: str, session: str, now_us: int) -> bool:
        """A host is online; whether that is news."""
        self._offline.pop(name, None)
        if self.session_of(name) == session:
            return False
        self._online[name] = (session, now_us)
        return True

    def go(self, name: str, session: str, now_us: int) -> None:
        """A host is offline, as the message says that this session left behind."""
        if self._online.get(name, (session, 0))[0] == session:
            self._online.pop(name, None)
        if self._offline.get(name, ("", 0))[0] != session:
            self._offline[name] = (session, now_us)

    def again(self, name: str, session: str, now_us: int) -> None:
        """If this session of a host is online, it counts as one that has come now."""
        if self.session_of(name) == session:
            self._online[name] = (session, now_us)

    def gone_us(self, lease: Lease) -> int | None:
        """Since when the process that holds a lease is known to be gone; None if it is not."""
        session, since_us = self._offline.get(lease.holder, ("", 0))
        if session == lease.session:
            return since_us
        session, since_us = self._online.get(lease.holder, (lease.session, 0))
        return since_us if session != lease.session else None

    def turns(self, seen: Lease) -> int:
        """How many hosts before this one could claim as well: whoever had the lease, or gave it up, could not."""
        return sum(name != seen.holder and self.session_of(name) != seen.giver for name in self.better)
