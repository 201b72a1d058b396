"""A message that reaches a group."""

from __future__ import annotations

import msgspec

from edgematrix.protocol.message import Message

__all__ = ["Arrival", "Hits"]

Hits = tuple[tuple[int, dict[str, str]], ...]
"""Which sources a topic matches (their index in written order), each with what its filter captured."""


class Arrival(msgspec.Struct, gc=False):
    """One message, and the sources that it is for. A `value` of None in the message marks it as unknown."""

    message: Message
    hits: Hits
