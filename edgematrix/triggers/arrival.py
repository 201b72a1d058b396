"""A message that reaches a group."""

from __future__ import annotations

from dataclasses import dataclass

from edgematrix.protocol.message import Message

__all__ = ["Arrival", "Hits"]

Hits = tuple[tuple[int, dict[str, str]], ...]
"""Which sources a topic matches (their index in written order), each with what its filter captured."""


@dataclass(slots=True)
class Arrival:
    """One message, and the sources that it is for. A `value` of None in the message marks it as unknown."""

    message: Message
    hits: Hits
