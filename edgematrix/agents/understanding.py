"""What a stage of an intent agent makes of a sentence: commands, and how sure it is of them."""

from __future__ import annotations

from typing import Any

import msgspec

from edgematrix.agents.sentences import Command
from edgematrix.expression import written

__all__ = ["Candidate", "Understanding", "described"]

CANDIDATES_SHOWN_MAX = 3
"""Of what may be meant, so many are named to whoever is asked back."""


class Candidate(msgspec.Struct, frozen=True):
    """One thing that may be meant, in words, and how likely that is."""

    said: str
    command: Command
    confidence: float

    def plain(self) -> dict[str, Any]:
        """As it is passed on."""
        command = self.command
        where = {} if command.path is None else {"to": f"{command.path}.{command.port}", "payload": command.payload}
        return {"said": self.said, **where, "confidence": self.confidence}


class Understanding(msgspec.Struct, frozen=True):
    """What a sentence asks for, as far as `stage` knows: all of `commands`, or nothing where there are none.

    `confidence` is from 0 to 1, `reason` says why it is not more. `candidates` are what may be meant, the likeliest first.
    """

    stage: str
    commands: tuple[Command, ...]
    confidence: float
    reason: str = ""
    candidates: tuple[Candidate, ...] = ()
    question: str = ""
    """What to ask back, where the stage has words of its own for it."""

    def asks_back(self) -> str:
        """What to ask the speaker; empty where nothing is near."""
        if self.question or not self.candidates:
            return self.question
        named = list(dict.fromkeys(f"“{candidate.said}”" for candidate in self.candidates))[:CANDIDATES_SHOWN_MAX]
        return f"I am not sure. Did you mean {' or '.join(named)}?"


def described(command: Command) -> str:
    """A command in words: the pattern that asks for it, with what was named."""
    said = command.said
    for name, value in command.slots.items():
        said = said.replace(f"{{{name}}}", written(value))
    return said
