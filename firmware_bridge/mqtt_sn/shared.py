"""What the parts of one node's session have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from edgematrix.access.grant import Grants
from firmware_bridge.mqtt_sn.effect import Effect
from firmware_bridge.mqtt_sn.message import Packet
from firmware_bridge.mqtt_sn.rules import Rules
from firmware_bridge.mqtt_sn.topic_ids import KnownTopics

__all__ = ["Shared"]


@dataclass(frozen=True, slots=True)
class Shared:
    """Of one node. `grants` are what it may read and publish, `known` the topics that need no registration.

    `counts` tells what became of its messages, and what was refused; `send` sends a message to it, `do` takes what is to be done.
    """

    grants: Grants
    rules: Rules
    known: KnownTopics
    counts: Counter[str]
    send: Callable[[Packet], None]
    do: Callable[[Effect], None]
