"""Times and bounds of a gateway."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for each node. The times are those of the specification's table 30, "best practice values", or shorter."""

    retry_us: int = 10_000_000
    """Tretry: how long an answer may take before a message is sent again."""
    retries_max: int = 4
    """Nretry: how often it is sent again; then the node is lost."""
    tolerance: float = 1.5
    """A node that was silent for so many times its keep-alive, or slept for so many times its duration, is lost."""
    waiting_max: int = 64
    """Messages that wait for a node."""
    waiting_bytes_max: int = 65_536
    waiting_s_max: int = 3_600
    """How long one waits that says nothing of its expiry."""
    payload_bytes_max: int = 1_024
    """Nothing longer is sent to a node: a datagram should fit its radio."""
    topics_max: int = 128
    """Topic ids of a node."""
    filters_max: int = 16
    inflight_max: int = 8
    """Messages of a node that the broker has not confirmed."""
    rate_per_s: int = 50
    """Datagrams a second that a node may send, twice as many at once; what is beyond is dropped."""
