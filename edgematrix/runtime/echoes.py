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

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[str, OrderedDict[int, str]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._known)

    def note(self, topic: str, value: object, taint: str) -> None:
        """Something was published on a topic that is read here; without a taint, it is as good as its newest writer."""
        known = self._known.get(topic)
        if known is None:
            if not taint:
                return
            known = self._known[topic] = OrderedDict()
            if len(self._known) > _TOPICS_MAX:
                self._known.popitem(last=False)
        digest = _digest(value)
        known.pop(digest, None)
        if taint:
            self._known.move_to_end(topic)
            known[digest] = taint
            if len(known) > _PAYLOADS_MAX:
                known.popitem(last=False)
        elif not known:
            del self._known[topic]

    def of(self, topic: str, value: object) -> str:
        """The origins of a payload that comes back; empty where it is none of these."""
        known = self._known.get(topic)
        return "" if known is None else known.get(_digest(value), "")


def _digest(value: object) -> int:
    try:
        return hash(encode_value(value))
    except CodecError:
        return 0
