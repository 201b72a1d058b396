"""Inputs of a run that wait for others of the same run, as they are kept for a restart."""

from __future__ import annotations

import logging

import msgspec

from edgematrix.errors import StateError
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.stored_form import pack, unpack

__all__ = ["PartialInputs", "StoredInputs", "read_inputs"]

_log = logging.getLogger(__name__)


class PartialInputs:
    """What has come of one run, by input port."""

    __slots__ = ("is_changed", "is_stored", "key", "messages", "runid")

    def __init__(self, runid: str, messages: dict[str, Message] | None = None) -> None:
        self.runid = runid
        self.messages: dict[str, Message] = messages or {}
        self.key = ""
        self.is_changed = False
        self.is_stored = False

    def parts(self) -> dict[str, bytes | None]:
        """What is to be written now."""
        try:
            return {self.key: pack((self.runid, self.messages))}
        except StateError as error:
            topics = ", ".join(message.topic for message in self.messages.values())
            _log.error("what has come on %s cannot be kept for a restart: %s", topics, error)
            return {}

    def erased(self) -> dict[str, bytes | None]:
        """The key of what was written."""
        return {self.key: None}


class StoredInputs(msgspec.Struct):
    """The inputs of one run that have come to an agent."""

    key: str
    agent: AgentPath
    runid: str
    messages: dict[str, Message]


def read_inputs(key: str, agent: str, data: bytes) -> StoredInputs:
    """What was written.

    Raises:
        StateError: it is damaged.
    """
    runid, messages = unpack(data, tuple[str, dict[str, Message]])
    return StoredInputs(key, AgentPath(agent), runid, messages)
