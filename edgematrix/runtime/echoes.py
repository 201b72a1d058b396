"""What was published on foreign topics and follows from untrusted text: who reads it back reads the same text.

A foreign topic is bare, so the broker brings it back without a word of where it came from.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from edgematrix.errors import CodecError
from edgematrix.protocol.codec import encode_value

__all__ = ["Echoes"]

_TOPICS_MAX: Final = 1_000
_PAYLOADS_MAX: Final = 16


class Echoes:
    """The newest untrusted payloads of the topics that are read here: at most 16 of each of 1,000 topics."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: OrderedDict[str, OrderedDict[int, str]] = OrderedDict()
        """The origins by topic, and by the hash of the payload."""

    def note(self, topic: str, value: object, taint: str) -> None:
        """Something was published on a topic that is read here; without a taint, it is as good as its newest writer."""
        known = self.known.get(topic)
        if known is None:
            if not taint:
                return
            known = self.known[topic] = OrderedDict()
            if len(self.known) > _TOPICS_MAX:
                self.known.popitem(last=False)
        digest = _digest(value)
        known.pop(digest, None)
        if taint:
            self.known.move_to_end(topic)
            known[digest] = taint
            if len(known) > _PAYLOADS_MAX:
                known.popitem(last=False)
        elif not known:
            del self.known[topic]

    def of(self, topic: str, value: object) -> str:
        """The origins of a payload that comes back; empty where it is none of these."""
        known = self.known.get(topic)
        return "" if known is None else known.get(_digest(value), "")


def _digest(value: object) -> int:
    try:
        return hash(encode_value(value))
    except CodecError:
        return 0
