"""Things that somebody leaves out: "all the lights except the one in the hall", "the lights off, but leave the TV on"."""

from __future__ import annotations

import re
from typing import Final

import msgspec

__all__ = ["Spared", "spared"]

_ALL: Final = re.compile(r"\b(?:all|every|each|both|everything|everywhere|any)\b", re.IGNORECASE)
_EXCEPT: Final = re.compile(
    r"[,;]?\s*\b(?:except(?: for)?|apart from|other than|excluding|with the exception of|save for|not including|but not|but for|but)\b\s+"
    r"(?P<what>[^,;.!?]+)",
    re.IGNORECASE,
)
_LEAVE: Final = re.compile(
    r"[,;.]?\s*\b(?:(?:but|and|just|only|then|please)\s+)*(?:leave|keep)\s+(?P<what>[^,;.!?]*?)\s+"
    r"(?:on|off|open|closed|shut|running|going|alone|as (?:it|they) (?:is|are)|as is|be|up|down)(?=\s*(?:[,;.!?]|$|and\b|please\b))",
    re.IGNORECASE,
)


class Spared(msgspec.Struct, frozen=True):
    """What is left out. Of an exception one member at least is among what is asked for; what is left alone need not be."""

    what: str
    is_exception: bool


def spared(text: str) -> tuple[str, list[Spared]]:
    """A text without what it leaves out, and that. What stands behind an exception's name is for the reader of names to give back."""
    found: list[Spared] = []
    for leave in reversed(list(_LEAVE.finditer(text))):
        if text[: leave.start()].strip(" ,;.!"):
            found.append(Spared(leave["what"], is_exception=False))
            text = text[: leave.start()] + text[leave.end() :]
    match = _EXCEPT.search(text)
    if match is not None and _ALL.search(text[: match.start()]):
        found.append(Spared(match["what"], is_exception=True))
        text = text[: match.start()] + text[match.end() :]
    return text, found
