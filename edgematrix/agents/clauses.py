"""Sentences that ask for several things: each clause has to be understood, and all of them are carried out, or none."""

from __future__ import annotations

import re
from typing import Final

from edgematrix.agents.conflict import contradiction
from edgematrix.agents.sentences import Ambiguous, Command, Heard, Sentences
from edgematrix.agents.understanding import Candidate, Understanding, described

__all__ = ["CLAUSES_MAX", "clauses_of", "exact"]

CLAUSES_MAX: Final = 8
_AND: Final = r"and(?! (?:a (?:half|quarter)|one half|three quarters)\b)"
_WORDS: Final = (
    rf"and then|and also|{_AND}|then|also|plus|as well as|so(?! (?:that|to|much|many|far|kind|good|nice)\b)|because|since|cause|cos"
)
_JOINT: Final = re.compile(rf"\s*(?:;|,?\s*\b(?:{_WORDS})\b,?|,|:|\.\s|!|\s[-\u2013\u2014]\s)\s*", re.IGNORECASE)
_RULES: Final = "rules"


def clauses_of(text: str) -> list[str]:
    """A text, taken apart at its commas, colons and its "and"s; one of more than `CLAUSES_MAX` parts is left whole."""
    found = [part for part in _JOINT.split(text) if part and part.strip(" ,;:.!?")]
    return found if len(found) <= CLAUSES_MAX else [text]


def exact(sentences: Sentences, text: str) -> Understanding:
    """What exact rules make of a sentence; where no rule knows the whole of it, of each of its clauses."""
    whole = sentences.hear(text)
    if isinstance(whole, Command):
        return Understanding(_RULES, (whole,), 1.0)
    if isinstance(whole, Ambiguous):
        share = round(1 / len(whole.commands), 3)
        candidates = tuple(Candidate(described(command), command, share) for command in whole.commands)
        return Understanding(_RULES, (), 0.0, "ambiguous", candidates, whole.answer)
    parts = clauses_of(text)
    heard: list[Heard] = [sentences.hear(part) for part in parts] if len(parts) > 1 else []
    commands = tuple(part for part in heard if isinstance(part, Command))
    if commands and len(commands) == len(heard):
        against = contradiction(commands)
        if against:
            candidates = tuple(Candidate(described(command), command, 0.0) for command in commands)
            return Understanding(_RULES, (), 0.0, against, candidates)
        return Understanding(_RULES, commands, 1.0)
    return Understanding(_RULES, (), 0.0, whole.reason or "no rule knows it")
