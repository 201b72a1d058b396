"""The second stage of an intent agent: commands of sentences that are near to those which rules know."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from edgematrix.agents.alike import Alike
from edgematrix.agents.amount import NUMBER, Amount
from edgematrix.agents.clauses import clauses_of
from edgematrix.agents.english import AGAINST
from edgematrix.agents.exemplars import Exemplar, exemplars_of
from edgematrix.agents.heard import Names, Numbers
from edgematrix.agents.near_confidence import Evidence, NearConfidence
from edgematrix.agents.sentences import SENTENCE_LENGTH_MAX, Command, Sentences
from edgematrix.agents.spec import NearSpec
from edgematrix.agents.spoken_words import Spoken, is_plain_speech, spoken
from edgematrix.agents.understanding import Candidate, Understanding
from edgematrix.errors import ExpressionError
from edgematrix.expression import written

__all__ = ["Found", "NearSentences", "Nearest"]

_STAGE: Final = "near"
_SPAN_MAX: Final = 3
"""Parts that may be one clause together, as "nice and warm" are."""
_ASIDE_MAX: Final = 0.3
"""Confidence up to which a clause that tells how things are is taken for one that asks for nothing."""
_EQUAL: Final = 0.02
_SAME_MAX: Final = 2
"""How often a sentence may have each of its words, on average."""
_ALMOST: Final = 0.15
_ONE_WORD_MIN: Final = 0.9
"""Scores that differ by less are as good as equal."""
_FILLED_IN: Final = 0.97
"""What is left of the confidence where a clause was filled in by its neighbour."""
_CANDIDATES_MAX: Final = 8
_STEM_MIN: Final = 3
_COVERED_MIN: Final = 0.35
_UNKNOWN: Final = "nothing that is known is near"


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


_ANSWER: Final = msgspec.json.Decoder(list[list[Found]])


class _Meaning(msgspec.Struct, frozen=True):
    """What a clause, or several, ask for."""

    commands: tuple[Command, ...]
    confidence: float
    reason: str = ""
    candidates: tuple[Candidate, ...] = ()


class Nearest(msgspec.Struct, frozen=True):
    """The exemplar that some words are nearest to, what it asks for with their numbers, what speaks for it, and what else is near."""

    match: Found
    exemplar: Exemplar
    command: Command
    evidence: Evidence
    others: list[tuple[Found, Exemplar, Command]]
    doubt: str = ""
    """Why nobody can tell which of them it is; empty where somebody can."""


class NearSentences:
    """Compares sentences, and each of their clauses, with exemplars. It has no state.

    Args:
        confidence: how sure one may be of what.
        spec: from which confidence on something is carried out, and which model is asked.
    """

    def __init__(self, sentences: Sentences, confidence: NearConfidence, spec: NearSpec) -> None:
        self._sentences = sentences
        self._alike = Alike(spec.alike)
        self._exemplars = exemplars_of(sentences, self._alike)
        self._confidence = confidence
        self.spec = spec
        self.sure = float(spec.sure)
        self.timeout_us = int(spec.timeout)
        self._mentions = _mentions(sentences, self._alike)
        self._naming = frozenset(word for name in self._mentions for word in name)
        """Words of names."""
        self._only_naming = self._naming - {_stem(word) for exemplar in self._exemplars for word in exemplar.wanting}

    @property
    def exemplars(self) -> tuple[str, ...]:
        """What the model compares with."""
        return tuple(" ".join(exemplar.words) for exemplar in self._exemplars)

    @property
    def key(self) -> str:
        """Stands for all that is compared with."""
        return hashlib.sha256("\n".join((*self.exemplars, *map(str, self.groups))).encode()).hexdigest()[:32]

    def spoken(self, text: str) -> Spoken:
        """A text as it is compared."""
        return spoken(text, self._alike)

    def places_of(self, said: str) -> list[int]:
        """The exemplars that are a sentence."""
        words = frozenset(spoken(said, self._alike).words)
        return [place for place, exemplar in enumerate(self._exemplars) if frozenset(exemplar.words) == words]

    @property
    def groups(self) -> tuple[int, ...]:
        """For each of the exemplars a number that it shares with those which ask for the same, but for their numbers."""
        known: dict[tuple[object, ...], int] = {}
        slots = self._sentences.slots
        found = []
        for exemplar in self._exemplars:
            values = tuple(
                (name, repr(slot.values[int(which)])) for name, which in exemplar.names if isinstance(slot := slots[name], Names)
            )
            found.append(known.setdefault((exemplar.pattern.rule.number, values, exemplar.numbers), len(known)))
        return tuple(found)

    def asked(self, text: str) -> tuple[str, ...]:
        """The texts to compare: each run of clauses, and what a clause may mean with its neighbour's words."""
        if len(text) > SENTENCE_LENGTH_MAX or not is_plain_speech(text) or _stutters(self.spoken(text)):
            return ()
        return tuple(dict.fromkeys(" ".join(words) for span in self._spans(text) for words, _ in span.ways if words))

    def understood(self, text: str, found: str, exact: Understanding) -> Understanding:
        """What the sentence asks for: all of it, or nothing."""
        texts = self.asked(text)
        try:
            matches = dict(zip(texts, _ANSWER.decode(found), strict=True))
        except ValueError:
            return msgspec.structs.replace(exact, reason="its model gave what is no answer")
        spans = self._spans(text)
        meanings = {(span.first, span.after): self._meaning(span, matches) for span in spans}
        best = self._whole(meanings, max(span.after for span in spans), spans)
        seen = sorted((candidate for meaning in meanings.values() for candidate in meaning.candidates), key=lambda found: -found.confidence)
        candidates: dict[tuple[object, ...], Candidate] = {}
        for candidate in seen:
            candidates.setdefault(_key(candidate.command), candidate)
        kept = list(candidates.values())[:_CANDIDATES_MAX]
        commands = tuple({_key(command): command for command in best.commands}.values())
        return Understanding(_STAGE, commands, round(best.confidence, 3), best.reason, tuple(kept))

    # The parts of a sentence

    def _spans(self, text: str) -> list[_Span]:
        parts = clauses_of(text) or [text]
        said = [spoken(part, self._alike) for part in parts]
        found = []
        for first in range(len(parts)):
            for after in range(first + 1, min(len(parts), first + _SPAN_MAX) + 1):
                whole = said[first] if after == first + 1 else spoken(" ".join(parts[first:after]), self._alike)
                ways = [(whole.words, whole.amounts)]
                if after == first + 1:
                    ways += self._filled_in(said, first)
                found.append(_Span(first, after, " ".join(parts[first:after]), whole, ways[:_WAYS_MAX]))
        return found

    def _filled_in(self, said: Sequence[Spoken], place: int) -> list[_Way]:
        """What a clause may mean with what its neighbours say: the thing that they name, or what is to be done with it."""
        own = said[place]
        ways: list[_Way] = []
        if "for" in own.tails:
            ways.append((own.tails["for"], own.amounts))
        named = self._named(own.words)
        around = (*reversed(range(place)), *range(place + 1, len(said)))
        for other in around:  # the thing, or the room, that a neighbour names
            there = self._named(said[other].words)
            if there and (not named or own.refers):
                ways += [((*own.words, *name), own.amounts) for name in there[:1]]
                ways += [((*own.words, word), own.amounts) for word in there[0] if len(there[0]) > 1 and word not in own.words]
                if not own.refers:
                    break
        for other in around:  # what a neighbour wants done
            there = self._named(said[other].words)
            action = tuple(word for word in said[other].words if not any(word in name for name in there))
            if there and action and self._naming.issuperset(_stem(word) for word in own.words if word != NUMBER):
                amounts = own.amounts or said[other].amounts
                verbs = tuple(word for word in action if word != NUMBER or not own.amounts)
                ways.append(((*verbs, *own.words), amounts))
                kept = tuple(name[-1] for name in there if name[-1] not in own.words)
                rooms = () if named else tuple(word for word in there[0] if word not in own.words)
                ways += [((*verbs, *more, *own.words), amounts) for more in (kept, *((room,) for room in rooms)) if more]
                break
        return ways

    def _named(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """The names of things that are in these words, the longest first, and none that is a part of another."""
        there = {_stem(word): word for word in words}
        kept: list[tuple[str, ...]] = []
        for name in self._mentions:
            said = tuple(there[word] for word in name if word in there)
            if len(said) == len(name) and not any(set(said) <= set(other) for other in kept):
                kept.append(said)
        return kept

    # What they mean

    def _whole(self, meanings: Mapping[tuple[int, int], _Meaning], count: int, spans: Iterable[_Span]) -> _Meaning:
        """The way to take the sentence apart of which one is surest; each of its parts counts."""
        best: dict[int, _Meaning] = {0: _Meaning((), 1.0)}
        by_place = {(span.first, span.after): span for span in spans}
        telling = {span.first for span in spans if span.is_aside}
        aside = {(first, after) for first, after in by_place if not telling.isdisjoint(range(first, after))}
        for after in range(1, count + 1):
            ways = []
            for first in range(max(0, after - _SPAN_MAX), after):
                before, own = best[first], meanings[first, after]
                if by_place[first, after].is_aside and (own.confidence <= _ASIDE_MAX or self._is_said_elsewhere(own, meanings, aside)):
                    own = _Meaning((), 1.0)
                confidence = min(before.confidence, own.confidence)
                reason = before.reason if before.confidence <= own.confidence and before.reason else own.reason
                ways.append(_Meaning((*before.commands, *own.commands), confidence, reason if confidence < 1 else ""))
            best[after] = max(ways, key=lambda way: (way.confidence, len(way.commands)))
        found = best[count]
        return found if found.commands else _Meaning((), 0.0, next((m.reason for m in meanings.values() if m.reason), _UNKNOWN))

    def _is_said_elsewhere(self, own: _Meaning, meanings: Mapping[tuple[int, int], _Meaning], aside: Collection[tuple[int, int]]) -> bool:
        """Whether another clause, which is sure, asks for something of all that this one hints at: then this one tells why."""
        surely = [other for place, other in meanings.items() if place not in aside and other.confidence >= self.sure]
        asked = {command.path for other in surely for command in other.commands}
        return bool(own.commands) and asked.issuperset(command.path for command in own.commands)

    def _meaning(self, span: _Span, matches: Mapping[str, Sequence[Found]]) -> _Meaning:
        """What one clause asks for."""
        heard = self._sentences.hear(span.text)
        if isinstance(heard, Command):
            return _Meaning((heard,), 1.0)
        best = _Meaning((), 0.0, _UNKNOWN)
        for number, (words, amounts) in enumerate(span.ways):
            found = self._judged(words, amounts, span.said, matches.get(" ".join(words), ()))
            if number:
                found = msgspec.structs.replace(found, confidence=found.confidence * _FILLED_IN)
            if number == 0 or found.confidence > best.confidence:
                best = found
        return best

    def _judged(self, words: Sequence[str], amounts: Sequence[Amount], said: Spoken, matches: Sequence[Found]) -> _Meaning:
        """What words ask for, of which these exemplars are the nearest."""
        nearest = self.nearest(words, amounts, matches)
        if isinstance(nearest, str):
            return _Meaning((), 0.0, nearest)
        exemplar, command, evidence = nearest.exemplar, nearest.command, nearest.evidence
        covered = dict(zip(words, nearest.match.words, strict=False))
        besides = [word for word, share in covered.items() if share < _COVERED_MIN and _stem(word) in self._only_naming]
        stands = said.barred - set(exemplar.raw)
        if not AGAINST.isdisjoint(exemplar.raw):
            stands -= AGAINST  # "can't" for "cannot"
        confidence, reason = self._confidence.of(evidence), ""
        if stands:
            confidence, reason = 0.0, f"“{min(stands)}” stands in the way"
        elif said.is_question:
            confidence, reason = 0.0, "it is a question"
        elif nearest.doubt:
            confidence, reason = 0.0, nearest.doubt
        elif besides:
            confidence, reason = min(confidence, _ASIDE_MAX / 2), f"it names “{besides[0]}” besides"
        elif confidence < self.sure:
            reason = f"the nearest that is known is “{exemplar.said}”"
        candidates = [Candidate(_counted(exemplar, command), command, round(confidence, 3))]
        for match, other, its in nearest.others[: _CANDIDATES_MAX - 1]:
            share = min(confidence, 1 - confidence, self._confidence.of_other(match.score))
            candidates.append(Candidate(_counted(other, its), its, round(share, 3)))
        return _Meaning((command,), confidence, reason, tuple(candidates))

    def nearest(self, words: Sequence[str], amounts: Sequence[Amount], matches: Sequence[Found]) -> Nearest | str:
        """What the nearest exemplar asks for, and what speaks for it; or why nothing is asked for."""
        if words and self._naming.issuperset(map(_stem, words)):
            return f"it names “{' '.join(words)}”, and does not say what is to be done"
        groups: dict[tuple[object, ...], tuple[Found, Exemplar, Command | None, str]] = {}
        for match in matches:
            if match.place < len(self._exemplars):
                exemplar = self._exemplars[match.place]
                command, wrong = self._command(exemplar, amounts)
                key = (None, exemplar.pattern.rule.number, wrong) if command is None else _key(command)
                if len(exemplar.numbers) == len(amounts):
                    groups.setdefault(key, (match, exemplar, command, wrong))
        if not groups:
            return _UNKNOWN
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
            if fitted is None:
                return None, f"{value:g} is not within {slot.least:g} and {slot.most:g}"
            reading.append((name, fitted))
        try:
            return self._sentences.command(exemplar.pattern, tuple(reading)), ""
        except ExpressionError as error:
            return None, str(error)


_Way = tuple[tuple[str, ...], tuple[Amount, ...]]
_WAYS_MAX: Final = 10


class _Span(msgspec.Struct, frozen=True):
    """Parts of a sentence, from `first` up to `after`, and the ways to read them: words, and the numbers among them."""

    first: int
    after: int
    text: str
    said: Spoken
    ways: list[_Way]

    @property
    def is_aside(self) -> bool:
        """Whether it may ask for nothing."""
        return self.after == self.first + 1 and (not self.said.words or self.said.is_statement)


def _stem(word: str) -> str:
    """A word without the ending of several."""
    return word[:-1] if len(word) > _STEM_MIN and word.endswith("s") and not word.endswith("ss") else word


def _key(command: Command) -> tuple[object, ...]:
    """The same for commands that do the same."""
    if command.path is None:
        return ("answer", command.answer)
    return (
        command.path,
        command.port,
        repr(command.payload),
        tuple((more.path, more.port, repr(more.payload)) for more in command.besides),
    )


def _rivals(match: Found, exemplar: Exemplar, other: tuple[Found, Exemplar, Command]) -> bool:
    """Whether something else is made of the same words, as where a light is named and not which."""
    is_same = other[1].pattern.rule.number == exemplar.pattern.rule.number or other[0].found >= match.found - _ALMOST
    return is_same and match.lacking < _COVERED_MIN and other[0].share >= match.share - _EQUAL


def _counted(exemplar: Exemplar, command: Command) -> str:
    """An exemplar in words, with the numbers that were heard."""
    said = exemplar.said
    for name in exemplar.numbers:
        said = said.replace(NUMBER, written(command.slots[name]), 1)
    return said


def _stutters(said: Spoken) -> bool:
    """Whether it is hardly more than one word, again and again."""
    return len(said.words) > _SAME_MAX * len(set(said.words)) or (len(said.words) > 1 and len(set(said.words)) == 1)


def _share(slot: Numbers, share: float) -> float:
    """A share of the way from the least to the most, in whole steps."""
    steps = round((slot.least + share * (slot.most - slot.least)) / slot.step)
    return steps * slot.step


def _mentions(sentences: Sentences, alike: Alike) -> list[tuple[str, ...]]:
    """The names of all slots that choose whom a command goes to, as they are compared, the longest first."""
    found = {
        tuple(map(_stem, spoken(" ".join(words), alike).words))
        for name, slot in sentences.slots.items()
        if isinstance(slot, Names) and name in sentences.naming
        for words in slot.spoken
    }
    return sorted((name for name in found if name), key=lambda name: (-len(name), name))
