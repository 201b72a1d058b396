"""What the pure parts need from outside, as protocols: a bus, the time, a store.

Time inside a host is one number: microseconds since the epoch on a *timeline* that began at the wall clock's time
when the host started and then follows the monotonic clock. A step of the wall clock changes no waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from edgematrix.protocol.message import Publication

__all__ = ["Clock", "Link", "Store", "Transport"]


class Clock(Protocol):
    """Where time comes from."""

    def now_us(self) -> int:
        """The host's timeline: never goes back, whatever the wall clock does."""

    def wall_us(self) -> int:
        """The wall clock, for people and calendars."""


class Link(Protocol):
    """What a transport tells its owner. Called on the event loop; must return quickly and must not raise."""

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """A message came in."""

    def connected(self, session_present: bool) -> None:
        """The broker took us in; subscriptions are in place, or being made."""

    def disconnected(self, reason: str) -> None:
        """The connection is gone; the transport tries again by itself."""

    def refused(self, topic_filter: str, reason: str) -> None:
        """The broker refused one subscription."""


class Transport(Protocol):
    """A connection to a bus that heals itself."""

    async def run(self, link: Link) -> None:
        """Connect, and keep connected until `close`.

        Raises:
            AccessRefusedError: the broker refuses this client, and would again.
        """

    async def close(self) -> None:
        """Send what is queued (bounded in time), disconnect cleanly (the broker publishes no will), end `run`."""

    def publish(self, publication: Publication) -> None:
        """Send, or queue while not connected.

        Raises:
            QueueFullError: the queue has reached its bound; nothing was queued.
        """

    def subscribe(self, filters: Mapping[str, int]) -> None:
        """Ask for these filters, each with its QoS; kept, and asked for again whenever the broker lost the session."""

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """Ask for these no longer."""


class Store(Protocol):
    """Bytes by key that outlive the process."""

    def load(self) -> dict[str, bytes]:
        """Everything that is stored."""

    def save(self, changed: Mapping[str, bytes | None]) -> None:
        """Store these in one transaction; None deletes."""
