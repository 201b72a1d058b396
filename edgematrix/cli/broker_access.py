"""Makes the access list of a running mosquitto what the tree says, through its dynamic security plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from edgematrix.access.dynamic_security import (
    COMMAND_TOPIC,
    RESPONSE_TOPIC,
    BrokerAccess,
    Command,
    differences,
    in_parts,
    of_broker,
    questions,
    role_questions,
)
from edgematrix.cli.visit import Visit, visit
from edgematrix.errors import BusError
from edgematrix.protocol.message import Publication

__all__ = ["ANSWER_S_MAX", "apply_access"]

ANSWER_S_MAX = 10.0
"""How long a broker may take to answer one message of commands."""
_REMEDY = "the broker needs the plugin, and the URL an administrator of it (docs/access.md); without the plugin use an acl_file"


async def apply_access(url: str, matrix: str, wish: BrokerAccess) -> list[Command]:
    """Look what the broker has, tell it what differs, and return that.

    Raises:
        BusError: no broker answers, it has no such plugin or we may not use it, or it refuses a command.
        StateError: the plugin answers in another way than ours does.
    """
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    def received(topic: str, payload: bytes, qos: int, retained: bool) -> None:
        del qos
        if topic == RESPONSE_TOPIC and not retained:
            answers.put_nowait(payload)

    async with visit(url, [RESPONSE_TOPIC], received, qos=1) as guest:
        desk = _Desk(guest, answers)
        found = await desk.ask(questions())
        for part in role_questions(matrix, found):
            found += await desk.ask(part)
        told = differences(matrix, wish, of_broker(found))
        for message in in_parts(told):
            await desk.tell(message)
    return told


class _Desk:
    """Sends commands, and waits for the answers to them."""

    def __init__(self, guest: Visit, answers: asyncio.Queue[bytes]) -> None:
        self._guest = guest
        self._answers = answers

    async def ask(self, commands: Iterable[Command]) -> list[dict[str, Any]]:
        (message,) = in_parts(commands)
        return await self._exchange(message)

    async def tell(self, message: bytes) -> None:
        refused = [answer for answer in await self._exchange(message) if "error" in answer]
        if refused:
            more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
            raise BusError(
                f"the plugin refuses {refused[0].get('command')}: {refused[0]['error']}{more}",
                where=self._guest.where,
                remedy="part of the list may be in force: look at the broker's log, and apply it again",
            )

    async def _exchange(self, message: bytes) -> list[dict[str, Any]]:
        try:
            await self._guest.assure(Publication(COMMAND_TOPIC, message, qos=1), ANSWER_S_MAX)
        except BusError as error:
            raise BusError(error.what, where=self._guest.where, remedy=_REMEDY) from None
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                payload = await self._answers.get()
        except TimeoutError:
            what = f"the dynamic security plugin does not answer within {ANSWER_S_MAX:g} s"
            raise BusError(what, where=self._guest.where, remedy=_REMEDY) from None
        try:
            return msgspec.json.decode(payload, type=dict[str, list[dict[str, Any]]])["responses"]
        except (msgspec.DecodeError, KeyError):
            raise BusError("the dynamic security plugin answers something that is not understood", where=self._guest.where) from None
