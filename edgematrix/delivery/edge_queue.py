"""What a sender does about one edge: what it keeps, who has acknowledged how much, what is to be sent when.

Sending follows TCP: a window, acknowledgements that add up, going back to what is missing, and after a silence one entry alone
until somebody answers. An acknowledgement that repeats the one before is a hint that something is missing; that is sent again
where nothing more is acknowledged for a moment, for the hint may be the answer to a copy.
"""

from __future__ import annotations

from collections import deque

from edgematrix.delivery.ack import Ack
from edgematrix.delivery.segment import Segment, with_base
from edgematrix.protocol.duration import SECOND_US

__all__ = ["AGAIN_US_MAX", "SLEEPER_US_MAX", "EdgeQueue"]

_AGAIN_US = SECOND_US
AGAIN_US_MAX = 10 * SECOND_US
SLEEPER_US_MAX = 600 * SECOND_US
"""The same where a board acknowledges: it may sleep for days, and each copy would wait for it at the broker. It tells by itself where it is
whenever it comes back."""
_BACK_US = 100_000
_BACK_US_MAX = SECOND_US
"""How long after a hint something is sent again: the first time, and when it was in vain again and again."""


class EdgeQueue:
    """The entries of an edge, by epoch. Those of one epoch are sent when all receivers have had the one before.

    Args:
        edge: its name (`edge_of`).
        segment: the epoch that new entries are numbered in.
        window_max: how many entries are sent before the slowest receiver acknowledges them.
    """

    __slots__ = (
        "_again_us",
        "_back_from_us",
        "_based",
        "_hint_us",
        "_is_probing",
        "_lack_us",
        "_lacked",
        "_next",
        "_slowest",
        "_wait_us",
        "_window_max",
        "acked",
        "again_us_max",
        "alarm_us",
        "edge",
        "segments",
        "topic",
    )

    def __init__(self, edge: str, segment: Segment, window_max: int) -> None:
        self.edge = edge
        self.topic = ""
        self.segments = deque((segment,))
        self.acked: dict[str, int] = {}
        """What each receiver has acknowledged of the oldest epoch."""
        self.alarm_us: int | None = None
        """When the outbox looks after it."""
        self.again_us_max = AGAIN_US_MAX
        """How long an answer is waited for at most, before something is sent again."""
        self._window_max = window_max
        self._back_from_us = 0
        self._next: int
        """The sequence that is sent next; lower than what was sent already, where that is sent again."""
        self._slowest: int
        """What all receivers have acknowledged."""
        self._based: int
        """The sequence that is sent with `edgebase`; 0: none."""
        self._lack_us: int | None
        """When something is sent again that a receiver seems to lack: all after `_lacked`."""
        self._lacked: int
        self._hint_us: int
        """How long after a hint that is."""
        self._again_us: int | None
        """When something is sent again for want of an answer."""
        self._is_probing: bool
        """Whether there was no answer for so long that one entry alone was sent."""
        self._wait_us: int
        self._begin_segment()

    @property
    def head(self) -> Segment:
        """The oldest epoch, which is being delivered."""
        return self.segments[0]

    @property
    def tail(self) -> Segment:
        """The newest epoch, in which entries are numbered."""
        return self.segments[-1]

    @property
    def can_send(self) -> bool:
        """Whether something may be sent without waiting."""
        return bool(self.acked) and self._next <= min(self.head.safe, self._slowest + self._window_max)

    @property
    def deadline_us(self) -> int | None:
        """When something is sent again, if nothing else happens."""
        if self._lack_us is None or self._again_us is None:
            return self._again_us if self._lack_us is None else self._lack_us
        return min(self._lack_us, self._again_us)

    def take(self, now_us: int) -> list[bytes]:
        """What is to be sent now, in order."""
        head, found = self.segments[0], []
        if self._lack_us is not None and now_us >= self._lack_us:
            self._go_back(self._lacked + 1, now_us)
            self._hint_us = min(2 * self._hint_us, _BACK_US_MAX)
        elif self._again_us is not None and now_us >= self._again_us:
            self._wait_us = min(2 * self._wait_us, self.again_us_max)
            self._again_us = now_us + self._wait_us
            self._is_probing = True
            if self._next > self._slowest + 1:
                found.append(self._payload(head, self._slowest + 1))
        first, limit = self._next, min(head.safe, self._slowest + self._window_max)
        if first <= limit:
            if first <= self._based <= limit:
                found.extend(self._payload(head, seq) for seq in range(first, limit + 1))
            else:
                payloads = head.payloads
                found.extend([payloads[seq] for seq in range(first, limit + 1)])
            self._next = limit + 1
            if self._again_us is None:
                self._again_us = now_us + self._wait_us
        return found

    # What receivers say

    def hear(self, receiver: str, ack: Ack, now_us: int) -> int:
        """Take an acknowledgement of the oldest epoch, of what is committed: up to where all have acknowledged now."""
        seq, had = ack.seq, self.acked[receiver]
        if seq > had:
            self.acked[receiver] = seq
            if self._lack_us is not None and had == self._lacked:
                self._lacked, self._hint_us = seq, _BACK_US
                self._lack_us = now_us + _BACK_US if seq < self._next - 1 else None
            if had == self._slowest:
                if self._is_probing:
                    self._go_back(seq + 1, now_us)
                self._recount(now_us)
        elif seq < had:
            # It lost what it knew, or the acknowledgement is an old one: both are served by beginning with the oldest that is kept.
            lowest = self.head.first - 1
            self.acked[receiver] = max(seq, lowest)
            if seq < lowest:
                self._based = lowest + 1
            self._slowest = min(self._slowest, self.acked[receiver])
            if now_us >= self._back_from_us:
                self._go_back(self.acked[receiver] + 1, now_us)
        elif seq < self._next - 1 and (self._lack_us is None or seq < self._lacked):
            self._lacked = seq
            self._lack_us = self._lack_us or now_us + self._hint_us
        return self._slowest

    def set_receivers(self, receivers: frozenset[str], now_us: int | None = None) -> int:
        """Who is to acknowledge from now on. Who is new begins with the oldest entry: up to where all have acknowledged now."""
        for gone in self.acked.keys() - receivers:
            del self.acked[gone]
        new = sorted(receivers - self.acked.keys())
        if new:
            first = self.head.first
            for receiver in new:
                self.acked[receiver] = first - 1
            self._next = first
            self._based = first if first > 1 else 0
        if self.acked:
            self._recount(now_us)
        return self._slowest

    # What the connection does

    def begin_again(self) -> None:
        """Send everything that is not acknowledged."""
        self._next = self._slowest + 1
        self._is_probing = False
        self._wait_us, self._hint_us = _AGAIN_US, _BACK_US
        self._lack_us = self._again_us = None

    # Epochs

    def raise_epoch(self, epoch: int) -> bool:
        """Number what comes from now on in a higher epoch: whether that changes anything."""
        if epoch <= self.tail.epoch:
            return False
        self.segments.append(Segment(epoch))
        self.leave_empty()
        return True

    def leave_empty(self) -> None:
        """Go on with the next epoch where all of one is acknowledged."""
        while len(self.segments) > 1 and self.segments[0].first > self.segments[0].last:
            self.segments.popleft()
            self._begin_segment()

    def begin_anew(self) -> Segment:
        """Leave the only epoch to what an earlier process wrote of it, and number the rest in the next one, which is returned."""
        old = self.head
        last = max(old.loaded, old.first - 1)
        for seq in range(last + 1, old.last + 1):
            del old.payloads[seq]
        old.last = old.saved = old.safe = last
        self.acked = {receiver: min(seq, last) for receiver, seq in self.acked.items()}
        self._slowest, self._next = min(self._slowest, last), min(self._next, last + 1)
        new = Segment(old.epoch + 1)
        self.segments.append(new)
        return new

    # Inside

    def _begin_segment(self) -> None:
        first = self.head.first
        for receiver in self.acked:
            self.acked[receiver] = first - 1
        self._slowest = first - 1
        self._next = first
        self._based = first if first > 1 else 0
        self._is_probing = False
        self._wait_us, self._hint_us = _AGAIN_US, _BACK_US
        self._lacked = 0
        self._lack_us = self._again_us = None

    def _payload(self, head: Segment, seq: int) -> bytes:
        payload = head.payloads[seq]
        return with_base(payload, seq) if seq == self._based else payload

    def _recount(self, now_us: int | None) -> None:
        """See who is slowest now."""
        slowest = min(self.acked.values())
        if slowest == self._slowest:
            return
        self._slowest = slowest
        self._wait_us, self._hint_us = _AGAIN_US, _BACK_US
        self._next = max(self._next, slowest + 1)
        if self._next == slowest + 1:
            self._is_probing = False
            self._lack_us = self._again_us = None
        elif now_us is not None:
            self._again_us = now_us + _AGAIN_US

    def _go_back(self, seq: int, now_us: int) -> None:
        self._next = min(self._next, max(seq, self._slowest + 1))
        self._is_probing = False
        self._lack_us = None
        self._back_from_us = now_us + _BACK_US
