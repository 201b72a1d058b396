"""The bounds of everything that comes in from outside, each with a name and a default."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEPTH_BOUND", "Limits"]

DEPTH_BOUND = 100
"""What `depth_max` may be at most: what walks through values goes a level down for each of theirs, and Python bounds that."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a host accepts. What is beyond a limit is dead-lettered or dropped, counted, and traced with the limit's name."""

    payload_bytes_max: int = 262_144
    depth_max: int = 32
    """How deep arrays and objects may nest in a payload; at most `DEPTH_BOUND`."""
    topic_bytes_max: int = 1_024
    hops_max: int = 32
    """How many messages may have led to one another before it is taken for a storm."""
    outbox_messages_max: int = 10_000
    """Messages that wait for the connection; a best-effort one beyond it is dropped."""
    outbox_durable_max: int = 10_000
    """Durable messages that wait to be delivered; beyond it no durable work is taken."""
    outbox_durable_bytes_max: int = 33_554_432
    """What they may weigh together."""
    cascade_max: int = 10_000
    """Messages that one message may cause inside a host at one instant."""
    runs_max: int = 10_000
    """Runs of agents with code that one host has under way."""
    calls_max: int = 50_000
    """Calls, such as the steps of flows, that one host has under way."""
    threads_max: int = 4
    """Threads for agents that are plain functions."""
    dead_letters_max: int = 1_000
    """Messages that could not be handled and that a host keeps; the oldest gives way."""
    dead_letter_bytes_max: int = 16_384
    """A larger dead letter is kept cut, and cannot be retried."""
    journal_bytes_max: int = 8_388_608
    """What a host keeps of one run under way so that it can go on after a restart; a run that needs more fails."""
    observations_max: int = 10_000
    """Observations that a host keeps for whoever asks later."""
    watches_max: int = 64
    """Watchers of traces, each of one part of the tree."""
    parts_per_second_max: int = 1_000
    """Pieces of outputs that one run may stream in a second; beyond it the run waits."""
    traces_per_second_max: int = 200
    """Traces that a host publishes in a second while somebody watches; what is beyond is counted, and the count is told."""
    signed_s_max: int = 300
    """Seconds after which a signed message is worth nothing any more, unless it is kept until it has arrived."""
    unsigned_letters_max: int = 60
    """Dead letters a minute about messages that are not signed as they have to be; beyond it they are counted, and dropped."""
