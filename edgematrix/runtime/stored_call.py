"""The stored form of a call that somebody elsewhere made."""

from __future__ import annotations

import msgspec

from edgematrix.errors import StateError
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.kept_call import KeptCall
from edgematrix.runtime.stored_form import unpack

__all__ = ["StoredCall", "receiver_of"]


class StoredCall(msgspec.Struct, array_like=True):
    """A call from elsewhere: how many inputs are yet to come, on which ports some came, and these, if they wait for the others.

    `is_over`: it has ended, or never began, and is kept because not all of it has come.
    """

    awaiting: int
    ports: list[str]
    call: KeptCall
    gathered: list[Message]
    is_over: bool = False


def receiver_of(data: bytes) -> AgentPath | None:
    """Who is called, in what is stored of a call; None where that cannot be read."""
    try:
        return unpack(data, StoredCall).call.receiver
    except StateError:
        return None
