"""What a transport counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Counts since the start."""

    received: int = 0
    """Messages handed to the owner."""
    copies_ignored: int = 0
    """Further copies of a message, and messages that a widened subscription brought but nobody wants."""
    unreadable: int = 0
    """Incoming messages thrown away: too large, or with a topic that is not UTF-8."""
    sent: int = 0
    confirmed: int = 0
    """QoS 1 messages whose PUBACK came."""
    rejected: int = 0
    """QoS 1 messages that the broker refused, or could not take."""
    queue_dropped: int = 0
    """QoS 0 messages that gave way because the queue was full."""
    expired: int = 0
    """Messages whose time ran out while they waited."""
    poisonous: int = 0
    """Messages given up because the connection broke on each attempt to send them."""
    unsent: int = 0
    """Messages that were left when the connection was closed."""
    connections: int = 0
    outages: int = 0
    owner_errors: int = 0
    """Exceptions that the owner raised where it must not."""

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)
