"""What the pure parts need from outside, as protocols: a bus, the time, a store, a model.

Time inside a host is one number: microseconds since the epoch on a *timeline* that began at the wall clock's time
when the host started and then follows the monotonic clock. A step of the wall clock changes no waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from edgematrix.protocol.message import Publication

__all__ = ["Clock", "Link", "Model", "Signer", "Store", "Transport", "Verifier"]


class Clock(Protocol):
    """Where time comes from."""

    def now_us(self) -> int:
        """The host's timeline: never goes back, whatever the wall clock does."""

    def wall_us(self) -> int:
        """The wall clock, for people and calendars."""

    def wait_s(self, until_us: int) -> float:
        """How many real seconds it takes until the timeline shows `until_us`; below 0 if it does already."""

    def to_wall_us(self, at_us: int) -> int:
        """What clocks on walls show when the timeline shows `at_us`: for what leaves the host."""

    def from_wall_us(self, wall_us: int) -> int:
        """What the timeline shows when clocks on walls show `wall_us`: for what comes in."""


class Link(Protocol):
    """What a transport tells its owner. Called on the event loop; must return quickly and must not raise."""

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """A message came in."""

    def connected(self, session_present: bool) -> None:
        """The broker took us in; subscriptions are in place, or being made."""

    def disconnected(self, reason: str) -> None:
        """The connection is gone, or the first attempt failed; said once an outage. The transport tries again by itself."""

    def refused(self, topic_filter: str, reason: str) -> None:
        """The broker refused one subscription."""

    def dropped(self, topic: str, reason: str) -> None:
        """A message was given up: going out (the queue is full, the broker refused it) or coming in (beyond the size that is read)."""

    def confirmed(self, number: int) -> None:
        """The broker has the QoS 1 publication of this `number` (not 0), or it was given up for good, of which `dropped` told before.

        What is still unconfirmed when the transport is closed is dropped, and not confirmed: it is worth another attempt.
        """


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

        When the queue is full, the oldest QoS 0 message in it gives way (`Link.dropped`). A QoS 0 message for which
        nothing can give way is dropped itself, without an exception.

        Raises:
            QueueFullError: the queue is full of QoS 1 messages, and so is this; nothing was queued.
            TopicError: no message may be published on this topic.
        """

    def subscribe(self, filters: Mapping[str, int]) -> None:
        """Ask for these filters, each with its QoS; kept, and asked for again whenever the broker lost the session."""

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """Ask for these no longer."""

    @property
    def receipt(self) -> int:
        """The number of the newest QoS 1 message handed to the link; numbers only grow, over all connections."""

    def acknowledge(self, receipt: int) -> None:
        """Tell the broker that all up to `receipt` are safe. Needed only where the transport was made to hold acknowledgements.

        A receipt of an earlier connection does nothing: the broker delivers those messages again, with new receipts.
        """

    def sever(self, reason: str) -> None:
        """Break the connection that stands, with all that is still on its way on it, and make a new one."""

    def counts(self) -> Mapping[str, int]:
        """What has been counted since the start, by name: messages in and out, dropped by reason, connections, failures."""


class Signer(Protocol):
    """Somebody's own key, with which messages are signed."""

    @property
    def algorithm(self) -> str:
        """What stands before signatures of it."""

    @property
    def key_id(self) -> str:
        """By which others know the key."""

    def sign(self, data: bytes) -> bytes:
        """The signature of these bytes."""


class Verifier(Protocol):
    """The keys of all who may sign."""

    @property
    def algorithm(self) -> str:
        """What stands before signatures by these keys."""

    def __contains__(self, key_id: object) -> bool: ...

    def principal(self, key_id: str) -> str | None:
        """Whose key it is; None if it is not known."""

    def verify(self, key_id: str, data: bytes, signature: bytes) -> bool:
        """Whether the owner of that key has signed these bytes."""


class Store(Protocol):
    """Bytes by key that outlive the process."""

    def load(self) -> dict[str, bytes]:
        """Everything that is stored."""

    def save(self, changed: Mapping[str, bytes | None], *, is_safe: bool = False) -> None:
        """Store these in one transaction; None deletes. With `is_safe` they survive a loss of power when the call returns.

        Raises:
            StateError: nothing of it is stored, for example for want of room.
        """


class Model(Protocol):
    """A language model. Its methods block; whoever has an event loop calls them from a thread."""

    def choose(self, role: str, prompt: str, choices: Sequence[str], timeout_s: float) -> str:
        """Pick one of `choices`; nothing else can come out.

        Args:
            role: who the model is to be, in a sentence.
            prompt: what it is about, the oldest line first; the last line asks. What is too long is cut in the middle.
            choices: texts that differ, none of them empty.
            timeout_s: how long an answer may take. What the model needs to start is not counted.

        Raises:
            ModelError: it cannot start, hangs, died, or does not answer as it has to.
        """

    def close(self) -> None:
        """Let go of all that it holds. Whoever waits for an answer gets an error."""
