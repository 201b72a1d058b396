"""The known sentence that some words are nearest to, and what it asks for with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from edgematrix.agents.amount import NUMBER, Amount
from edgematrix.agents.exemplars import Exemplar
from edgematrix.agents.heard import Numbers
from edgematrix.agents.near_confidence import Evidence
from edgematrix.agents.near_names import NearNames
from edgematrix.agents.sentences import Command, Sentences
from edgematrix.errors import ExpressionError
from edgematrix.expression import written

__all__ = ["UNKNOWN", "Found", "NearMatching", "Nearest", "counted", "key_of"]

UNKNOWN: Final = "nothing that is known is near"
_EQUAL: Final = 0.02
_ALMOST: Final = 0.15
"""Scores that differ by less are as good as equal."""
_ONE_WORD_MIN: Final = 0.9
_COVERED_MIN: Final = 0.35
_FREEZING_F: Final = 32
_F_PER_C: Final = 1.8


class Found(msgspec.Struct, frozen=True, array_like=True):
    """A match as the model's process tells it: the place of an exemplar, the score, the shares that are covered, how much the text has of
    that word of the exemplar which it has least of, how well each of its own words is covered, and how alike they are as wholes.
    """

    place: int
    score: float
    share: float
    found: float
    lacking: float
    words: list[float]
    whole: float = 0.0


class Nearest(msgspec.Struct, frozen=True):
    """The exemplar that some words are nearest to, what it asks for with their numbers, what speaks for it, and what else is near."""

    match: Found
    exemplar: Exemplar
    command: Command
    evidence: Evidence
    others: list[tuple[Found, Exemplar, Command]]
    doubt: str = ""
    """Why nobody can tell which of them it is; empty where somebody can."""


class NearMatching:
    """Judges what the model has found. It has no state."""

    def __init__(self, sentences: Sentences, exemplars: Sequence[Exemplar], names: NearNames) -> None:
        self._sentences = sentences
        self._exemplars = exemplars
        self._names = names

    def nearest(self, words: Sequence[str], amounts: Sequence[Amount], matches: Sequence[Found]) -> Nearest | str:
        """What the nearest exemplar asks for, and what speaks for it; or why nothing is asked for."""
        if words and self._names.are_names(words):
            return f"it names “{' '.join(words)}”, and does not say what is to be done"
        groups: dict[tuple[object, ...], tuple[Found, Exemplar, Command | None, str]] = {}
        for match in matches:
            if match.place < len(self._exemplars):
                exemplar = self._exemplars[match.place]
                command, wrong = self._command(exemplar, amounts)
                key = (None, exemplar.pattern.rule.number, wrong) if command is None else key_of(command)
                if len(exemplar.numbers) == len(amounts):
                    groups.setdefault(key, (match, exemplar, command, wrong))
        if not groups:
            return UNKNOWN
        ranked = sorted(groups.values(), key=lambda group: -group[0].score)
        fitting = [(match, exemplar, command) for match, exemplar, command, _ in ranked if command is not None]
        if not fitting or fitting[0][0].score < ranked[0][0].score - _EQUAL:
            return ranked[0][3]
        (match, exemplar, command), *others = fitting
        margin = match.score - max((other[0].score for other in others), default=0.0)
        rival = next((other for other in others if _rivals(match, exemplar, other)), None)
        if len(set(words)) == 1 and match.found < _ONE_WORD_MIN:
            return f"one word is not enough for “{exemplar.said}”"
        doubt = "" if rival is None else f"it may be “{exemplar.said}” or “{rival[1].said}”"
        evidence = Evidence(match.score, match.share, match.found, margin, min(match.words, default=0.0), match.lacking, match.whole)
        return Nearest(match, exemplar, command, evidence, others, doubt)

    def _command(self, exemplar: Exemplar, amounts: Sequence[Amount]) -> tuple[Command | None, str]:
        """What an exemplar asks for with these numbers; or why it cannot."""
        if len(exemplar.numbers) != len(amounts):
            return None, f"it has {len(amounts)} numbers, and “{exemplar.said}” {len(exemplar.numbers)}"
        reading = list(exemplar.names)
        for name, amount in zip(exemplar.numbers, amounts, strict=True):
            slot = self._sentences.slots[name]
            assert isinstance(slot, Numbers)  # noqa: S101 - its name says so
            value = _share(slot, amount.value) if amount.is_share else amount.value
            fitted = slot.fitted(value)
            if amount.is_fahrenheit:
                celsius = slot.fitted(_stepped(slot, (value - _FREEZING_F) / _F_PER_C))
                if fitted is not None and celsius is not None:
                    return None, f"{value:g} may be in either of two units"
                fitted = celsius if fitted is None else fitted
            if fitted is None:
                return None, f"{value:g} is not within {slot.least:g} and {slot.most:g}"
            reading.append((name, fitted))
        try:
            return self._sentences.command(exemplar.pattern, tuple(reading)), ""
        except ExpressionError as error:
            return None, str(error)


def key_of(command: Command) -> tuple[object, ...]:
    """The same for commands that do the same."""
    if command.path is None:
        return ("answer", command.answer)
    return (
        command.path,
        command.port,
        repr(command.payload),
        tuple((more.path, more.port, repr(more.payload)) for more in command.besides),
    )


def counted(exemplar: Exemplar, command: Command) -> str:
    """An exemplar in words, with the numbers that were heard."""
    said = exemplar.said
    for name in exemplar.numbers:
        said = said.replace(NUMBER, written(command.slots[name]), 1)
    return said


def _rivals(match: Found, exemplar: Exemplar, other: tuple[Found, Exemplar, Command]) -> bool:
    """Whether something else is made of the same words, as where a light is named and not which."""
    is_same = other[1].pattern.rule.number == exemplar.pattern.rule.number or other[0].found >= match.found - _ALMOST
    return is_same and match.lacking < _COVERED_MIN and other[0].share >= match.share - _EQUAL


def _share(slot: Numbers, share: float) -> float:
    """A share of the way from the least to the most, in whole steps."""
    return _stepped(slot, slot.least + share * (slot.most - slot.least))


def _stepped(slot: Numbers, value: float) -> float:
    """The nearest of the values that a number may have."""
    return round(value / slot.step) * slot.step
