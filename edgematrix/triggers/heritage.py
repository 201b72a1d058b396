"""What earlier untrusted messages have a part in: a mean, a count, a change, a level that holds what turned it.

A token names the origins of all that it is made of. What a source remembers of one message only is forgotten with the next.
"""

from __future__ import annotations

from msgspec import structs

from edgematrix.protocol.event import merged, tainted
from edgematrix.protocol.message import Message
from edgematrix.triggers.cell import Cell
from edgematrix.triggers.source import LEVEL, Source

__all__ = ["inherited", "settled"]


def inherited(source: Source, cell: Cell, message: Message, at_us: int) -> Message:
    """The message with the origins of what else its value, or its detection, is made of. The cell remembers them."""
    own = message.trail.taint
    if not source.remembers:
        return message
    known = cell.taint
    if known and source.reach_us is not None and at_us - cell.taint_us > source.reach_us:
        known = ""
    found = merged(known, own) if known else own
    if own:
        cell.taint_us = at_us
    cell.taint = own if source.remembers_one else found
    trail = tainted(message.trail, found)
    return message if trail is message.trail else structs.replace(message, trail=trail)


def settled(source: Source, cell: Cell, message: Message, at_us: int) -> None:
    """What was remembered has led to a token, or to an OFF: from here on this message alone counts, but for windows."""
    window = source.aggregate
    if not cell.taint or (window is not None and (source.kind != LEVEL or at_us - cell.taint_us <= window.over)):
        return
    cell.taint = message.trail.taint if source.kind != LEVEL else ""
