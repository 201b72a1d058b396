"""Asks the hosts of a running matrix about their dead letters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgematrix.cli.console import plain
from edgematrix.cli.letter_text import Told
from edgematrix.cli.order import Order, Reply, ask
from edgematrix.cli.target import Target
from edgematrix.errors import UsageError

__all__ = ["LETTERS_MAX", "Answered", "LetterQuestion"]

LETTERS_MAX = 1_000
_ENDS_LENGTH_MIN = 4
_NAMED_MAX = 5
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Answered:
    """What the hosts tell: letters, each with its host, how many they have, how many gave way, and the ids that none of them knows."""

    letters: list[Told]
    total: int
    forgotten: int
    unknown: list[str]


class LetterQuestion:
    """Questions about the letters of one part of the tree.

    Args:
        path: that part; empty for the one matrix there is.
        words: those of the command line that a path would follow.
    """

    def __init__(self, target: Target, path: str, words: str) -> None:
        self._target = target
        self._path = path
        self._words = words

    def newest(self, number: int) -> Answered:
        """The newest letters, newest first.

        Raises:
            BusError: no broker, no such matrix, or no answer.
            UsageError: there are several matrices, and none is named.
        """
        found = self._ask({"do": "list", "newest": number})
        letters = sorted(found.letters, key=lambda told: str(told.get("at")), reverse=True)
        return Answered(letters[:number], found.total, found.forgotten, [])

    def these(self, do: str, ids: Sequence[str]) -> Answered:
        """Look at letters, or handle them.

        Args:
            do: `show`, `retry` or `drop`.
            ids: their ids, or ends or beginnings of them.

        Raises:
            BusError: as `newest`; or no host has any of them.
            UsageError: as `newest`; or several letters may be meant.
        """
        return self._ask({"do": do, "ids": self._whole(ids)})

    def every(self, do: str) -> Answered:
        """Handle all letters.

        Raises:
            BusError: as `newest`.
            UsageError: as `newest`.
        """
        return self._ask({"do": do, "all": True})

    def _whole(self, ids: Sequence[str]) -> list[str]:
        """The ids as wholes: an end may be that of two letters on two hosts, and one of them would be handled unseen."""
        if all(_ID.fullmatch(text) for text in ids):
            return list(ids)
        known = [str(told.get("id")) for told in self.newest(LETTERS_MAX).letters]
        return [_one(known, text) for text in ids]

    def _ask(self, data: dict[str, object]) -> Answered:
        order = Order("dead", self._path, data, of_all=True, words=self._words, listed="letters")
        replies = asyncio.run(ask(self._target, order))
        done = [reply for reply in replies if reply.refusal is None]
        if not done and replies[0].refusal is not None:
            raise replies[0].refusal
        letters: list[Told] = [{"host": reply.host, **told} for reply in done for told in _letters(reply)]
        has_unknown = [reply.data.get("unknown") for reply in done]
        unknown = [text for text in _texts(has_unknown[0]) if all(text in _texts(others) for others in has_unknown)]
        return Answered(letters, _sum(done, "total"), _sum(done, "forgotten"), unknown)


def _one(known: Sequence[str], text: str) -> str:
    found = [letter for letter in known if letter == text]
    if not found and len(text) >= _ENDS_LENGTH_MIN:
        found = [letter for letter in known if letter.endswith(text) or letter.startswith(text)]
    if len(found) > 1:
        named = ", ".join(map(plain, found[:_NAMED_MAX]))
        raise UsageError(f"{len(found)} dead letters have an id like {text[:80]!r}: {named}", remedy="give more of the id")
    return found[0] if found else text


def _letters(reply: Reply) -> list[dict[str, object]]:
    told = reply.data.get("letters")
    return [item for item in told if isinstance(item, dict)] if isinstance(told, list) else []


def _texts(told: object) -> list[str]:
    return [str(text) for text in told] if isinstance(told, list) else []


def _sum(replies: Sequence[Reply], name: str) -> int:
    told = (reply.data.get(name) for reply in replies)
    return sum(number for number in told if isinstance(number, int))
