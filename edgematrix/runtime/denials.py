"""What the broker refuses a host, told to people: at once, and again each minute as long as it goes on, but not for each message."""

from __future__ import annotations

from collections.abc import Callable

from edgematrix.protocol.duration import SECOND_US

__all__ = ["Denials"]

_AGAIN_US = 60 * SECOND_US
_TOPICS_MAX = 1_000
"""Topics that are known to be refused; beyond it the one that was told first is forgotten, and told again."""
_TOLD_MAX = 20
"""Topics that are told within a minute; of the others it is said how many messages they were."""
_REMEDY = "`edgematrix acl` writes the access list that the matrix needs"


class Denials:
    """Counts refusals by topic, and says so.

    Brokers that speak MQTT 5 tell that they refuse what comes with QoS 1; nobody hears of the rest but the broker's log.

    Args:
        host: who is refused.
        told: called with a sentence.
    """

    def __init__(self, host: str, told: Callable[[str], None]) -> None:
        self.count = 0
        """All that were refused."""
        self._host = host
        self._told = told
        self._topics: dict[str, tuple[int, int]] = {}
        """By topic, when it was told, and how many were refused since."""
        self._minute_us = -_AGAIN_US
        self._told_count = 0
        self._untold = 0

    def note(self, topic: str, reason: str, now_us: int) -> None:
        """One was refused."""
        self.count += 1
        told_us, since = self._topics.pop(topic, (None, 0))
        if told_us is not None and now_us - told_us < _AGAIN_US:
            self._topics[topic] = (told_us, since + 1)
            return
        if now_us - self._minute_us >= _AGAIN_US:
            self._minute_us, self._told_count = now_us, 0
            if self._untold:
                self._told(f"the broker refused {self._untold} more messages of {self._host}, on other topics: {_REMEDY}")
                self._untold = 0
        if self._told_count >= _TOLD_MAX:
            self._untold += 1
            return
        self._told_count += 1
        again = f", {since + 1} times within a minute" if since else ""
        self._told(f"the broker refuses what {self._host} publishes on {topic}{again}: {reason}. {_REMEDY}")
        self._topics[topic] = (now_us, 0)
        if len(self._topics) > _TOPICS_MAX:
            del self._topics[next(iter(self._topics))]
