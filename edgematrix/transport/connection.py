"""The life of a connection as a state machine: no socket, no clock, no chance of its own.

    IDLE ─start─▶ OPENING ─opened─▶ GREETING ─accepted─▶ ONLINE ─close─▶ CLOSING ─▶ CLOSED
                     ▲ │failed          │failed │refused    │lost
                     │ ▼                ▼       ▼           │
                     └─due── WAITING ◀──┴── (REFUSED)  ◀────┘

MQTT 5 is tried first. A broker that says that it does not speak it, or that closes or says nothing, is tried with 3.1.1 at
once. The version that it took is kept: a connection that breaks later says nothing about versions.

Waiting grows exponentially and is drawn evenly from zero to its bound ("full jitter"; M. Brooker, "Exponential Backoff and
Jitter", 2015). It begins anew only after a connection that held for a while, so that a link that flaps is not hammered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Backoff", "Change", "Connection", "State", "Version"]


class State(StrEnum):
    """Where a connection stands."""

    IDLE = "idle"
    OPENING = "opening"
    GREETING = "greeting"
    ONLINE = "online"
    WAITING = "waiting"
    CLOSING = "closing"
    CLOSED = "closed"
    REFUSED = "refused"


class Version(StrEnum):
    """The protocol versions that are spoken."""

    MQTT_5 = "5"
    MQTT_311 = "3.1.1"


_NEXT: dict[State, frozenset[State]] = {
    State.IDLE: frozenset({State.OPENING, State.CLOSED}),
    State.OPENING: frozenset({State.GREETING, State.WAITING, State.CLOSED}),
    State.GREETING: frozenset({State.ONLINE, State.OPENING, State.WAITING, State.REFUSED, State.CLOSED}),
    State.ONLINE: frozenset({State.WAITING, State.CLOSING, State.REFUSED}),
    State.WAITING: frozenset({State.OPENING, State.CLOSED}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
    State.REFUSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between attempts, in seconds."""

    first_s: float = 0.25
    longest_s: float = 3.0
    """Whoever waits is back within 5 s of the broker, however long that was away."""
    stable_s: float = 5.0
    """A connection that held this long makes the waiting begin anew."""

    def bound_s(self, failures: int) -> float:
        """The longest wait after so many failures in a row, the first being 1."""
        # 2.0**1024 overflows; far below that the bound is reached anyhow.
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 64))


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state, as it is told to an observer."""

    before: State
    after: State
    reason: str = ""


class Connection:
    """The state, what led to it, and what is due next.

    Args:
        backoff: how waiting grows.
        random: gives a number from 0 up to 1.
        observer: is told each change of state. Attempts that fail again during one outage are no news.
    """

    def __init__(self, backoff: Backoff, random: Callable[[], float], observer: Callable[[Change], None] | None = None) -> None:
        self.state = State.IDLE
        self.reason = ""
        self.version = Version.MQTT_5
        self.wait_s = 0.0
        self.failures = 0
        self._backoff = backoff
        self._random = random
        self._observer = observer
        self._known_version = False
        self._tried_other = False
        self._online_since_s = 0.0
        self._outage = False

    @property
    def ended(self) -> bool:
        """Whether nothing is going to happen any more."""
        return self.state in (State.CLOSED, State.REFUSED)

    def start(self) -> None:
        """Begin."""
        self._go(State.OPENING)

    def opened(self) -> None:
        """The socket is connected; the broker is greeted."""
        self._go(State.GREETING)

    def accepted(self, now_s: float) -> None:
        """The broker took us in."""
        self._known_version = True
        self._tried_other = False
        self._online_since_s = now_s
        self._go(State.ONLINE)

    def version_refused(self, reason: str) -> None:
        """The broker does not speak the version that was tried."""
        if self._tried_other:
            self._fail(reason)
        else:
            self._known_version = False
            self._other_version(reason)

    def failed(self, reason: str) -> None:
        """No socket, or no answer to the greeting."""
        if self.state is State.GREETING and not self._known_version and not self._tried_other:
            self._other_version(reason)
        else:
            self._fail(reason)

    def turned_away(self, reason: str) -> None:
        """The broker answered, in the version that was tried, but does not take us in now."""
        self._known_version = True
        self._fail(reason)

    def refused(self, reason: str) -> None:
        """The broker refuses us, and would again."""
        self._go(State.REFUSED, reason)

    def lost(self, reason: str, now_s: float) -> None:
        """The connection that stood is gone."""
        if self.state is State.CLOSING:
            self._go(State.CLOSED, reason)
            return
        if now_s - self._online_since_s >= self._backoff.stable_s:
            self.failures = 0
        self._fail(reason)

    def online_for_s(self, now_s: float) -> float:
        """How long the connection has stood, or stood."""
        return now_s - self._online_since_s

    def due(self) -> None:
        """The wait is over."""
        self._go(State.OPENING)

    def close(self) -> None:
        """The owner wants to end."""
        if not self.ended and self.state is not State.CLOSING:
            self._go(State.CLOSING if self.state is State.ONLINE else State.CLOSED)

    def _other_version(self, reason: str) -> None:
        self._tried_other = True
        self.version = Version.MQTT_311 if self.version is Version.MQTT_5 else Version.MQTT_5
        self._go(State.OPENING, reason)

    def _fail(self, reason: str) -> None:
        if not self._known_version:
            self.version = Version.MQTT_5
        self._tried_other = False
        self.failures += 1
        self.wait_s = self._random() * self._backoff.bound_s(self.failures)
        self._go(State.WAITING, reason)

    def _go(self, after: State, reason: str = "") -> None:
        before = self.state
        if after not in _NEXT[before]:
            raise RuntimeError(f"a connection cannot go from {before} to {after}")
        self.state = after
        self.reason = reason
        again = self._outage and after in (State.OPENING, State.GREETING, State.WAITING)
        self._outage = after is State.WAITING or again
        if self._observer is not None and not again:
            self._observer(Change(before, after, reason))
