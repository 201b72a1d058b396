"""Topics by number: those that everybody knows beforehand, and those that one node and the gateway have agreed on."""

from __future__ import annotations

from collections.abc import Mapping

from firmware_bridge.mqtt_sn.message import IdType

__all__ = ["KnownTopics", "TopicIds"]

_ID_MAX = 0xFFFE


class KnownTopics:
    """Topics that have a number, or a short name of two characters, without being registered."""

    def __init__(self, numbers: Mapping[int, str], short: Mapping[str, str]) -> None:
        self._numbers = dict(numbers)
        self._short = dict(short)

    def topic(self, id_type: IdType, topic_id: int) -> str | None:
        """The topic; a short name that stands for nothing else is a topic itself."""
        if id_type is IdType.PREDEFINED:
            return self._numbers.get(topic_id)
        if id_type is not IdType.SHORT:
            return None
        try:
            name = topic_id.to_bytes(2, "big").decode("ascii")
        except UnicodeDecodeError:
            return None
        return self._short.get(name, name)


class TopicIds:
    """What one node knows: until it connects anew. Ids are given from 1 on, and none twice.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = min(most, _ID_MAX)
        self._ids: dict[str, int] = {}
        self._topics: dict[int, str] = {}

    def topic(self, topic_id: int) -> str | None:
        """The topic with this id."""
        return self._topics.get(topic_id)

    def find(self, topic: str) -> int | None:
        """The id of a topic, if it has one."""
        return self._ids.get(topic)

    def give(self, topic: str) -> int | None:
        """The id of a topic, a new one if need be; None if there are too many."""
        found = self._ids.get(topic)
        if found is None and len(self._ids) < self._most:
            found = len(self._ids) + 1
            self._ids[topic] = found
            self._topics[found] = topic
        return found
