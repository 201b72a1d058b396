"""The second stage of an intent agent: commands of sentences that are near to those which rules know."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from edgematrix.agents.alike import Alike
from edgematrix.agents.amount import Amount
from edgematrix.agents.conflict import contradiction, without
from edgematrix.agents.corrections import corrected
from edgematrix.agents.each_of import QUANTIFIERS, EachOf, Members, each_of, texts_of
from edgematrix.agents.english import AGAINST
from edgematrix.agents.exceptions import Spared, spared
from edgematrix.agents.exemplars import exemplars_of
from edgematrix.agents.heard import Names, Numbers
from edgematrix.agents.lexicon import Lexicon, Rewriter, Words, phrases_for
from edgematrix.agents.near_confidence import NearConfidence
from edgematrix.agents.near_match import UNKNOWN, Found, Nearest, NearMatching, counted, key_of
from edgematrix.agents.near_names import NearNames, stem
from edgematrix.agents.near_spans import Span, spans_of
from edgematrix.agents.sentences import SENTENCE_LENGTH_MAX, Command, Sentences
from edgematrix.agents.spec import NearSpec
from edgematrix.agents.spoken_words import Spoken, is_plain_speech, spoken
from edgematrix.agents.understanding import Candidate, Understanding

__all__ = ["NearSentences"]

_STAGE: Final = "near"
_ASIDE_MAX: Final = 0.3
"""Confidence up to which a clause that tells how things are is taken for one that asks for nothing."""
_SAME_MAX: Final = 2
"""How often a sentence may have each of its words, on average."""
_FILLED_IN: Final = 0.97
"""What is left of the confidence where a clause was filled in by its neighbour."""
_CANDIDATES_MAX: Final = 8
_COVERED_MIN: Final = 0.35
_ASKED_BEFORE: Final = re.compile(
    r"(?P<asked>[^?,;]+)\?\s+(?P<rest>(?!(?:then|if|or|and|in that case|otherwise)\b)\w.*)", re.IGNORECASE | re.DOTALL
)
_HOURS: Final = 12


_ANSWER: Final = msgspec.json.Decoder(list[list[Found]])


class _Meaning(msgspec.Struct, frozen=True):
    """What a clause, or several, ask for."""

    commands: tuple[Command, ...]
    confidence: float
    reason: str = ""
    candidates: tuple[Candidate, ...] = ()


class _Request(msgspec.Struct, frozen=True):
    """A sentence, taken apart: what is meant, what was taken back before, and what is left out."""

    spans: list[Span]
    each: dict[tuple[int, int], EachOf]
    taken_back: str
    spared: list[Spared]

    @property
    def count(self) -> int:
        """Of its parts."""
        return max((span.after for span in self.spans), default=0)


class NearSentences:
    """Compares sentences, and each of their clauses, with exemplars. It has no state.

    Args:
        confidence: how sure one may be of what.
        spec: from which confidence on something is carried out, and which model is asked.
        lexicon: what people say for one another in any house; what this one says itself goes before.
    """

    def __init__(self, sentences: Sentences, confidence: NearConfidence, spec: NearSpec, lexicon: Lexicon | None = None) -> None:
        lexicon = lexicon or Lexicon()
        self._sentences = sentences
        own = [tuple(words) for slot in sentences.slots.values() if isinstance(slot, Names) for words in slot.spoken]
        self._alike = Alike({**phrases_for(lexicon.phrases, own), **spec.alike})
        self._rewriter = Rewriter(lexicon)
        self.words: Words = lexicon.words
        """Words that are as good as the same, for the model."""
        self.weak = frozenset(lexicon.words.weak.split())
        self._exemplars = exemplars_of(sentences, self._alike)
        self._confidence = confidence
        self.spec = spec
        self.sure = float(spec.sure)
        self.timeout_us = int(spec.timeout)
        self.names = NearNames(sentences, self._alike, self._exemplars)
        self.matching = NearMatching(sentences, self._exemplars, self.names)
        self._things: dict[str, set[str]] = {}
        for line in lexicon.words.things:
            for word in line.split():
                self._things.setdefault(word, set()).update(line.split())

    @property
    def exemplars(self) -> tuple[str, ...]:
        """What the model compares with."""
        return tuple(" ".join(exemplar.words) for exemplar in self._exemplars)

    @property
    def key(self) -> str:
        """Stands for all that is compared with."""
        return hashlib.sha256("\n".join((*self.exemplars, *map(str, self.groups), repr(self.words))).encode()).hexdigest()[:32]

    def spoken(self, text: str) -> Spoken:
        """A text as it is compared."""
        return spoken(text, self._alike)

    def readings(self, text: str) -> list[str]:
        """What else a clause may mean."""
        return self._rewriter.readings(text)

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
        """The texts to compare: each run of clauses, what else a clause may mean, and what is asked of each of a kind."""
        request = self._request(text)
        texts = [words for span in request.spans for words, _ in span.ways]
        texts += [words for each in request.each.values() for words in texts_of(each)]
        return tuple(dict.fromkeys(" ".join(words) for words in texts if words))

    def understood(self, text: str, found: str, exact: Understanding) -> Understanding:
        """What the sentence asks for: all of it, or nothing."""
        request, texts = self._request(text), self.asked(text)
        try:
            matches = dict(zip(texts, _ANSWER.decode(found), strict=True))
        except ValueError:
            return msgspec.structs.replace(exact, reason="its model gave what is no answer")
        meanings = {(span.first, span.after): self._meaning(span, matches, request) for span in request.spans}
        best = self._spared(self._whole(meanings, request), request)
        seen = sorted((candidate for meaning in meanings.values() for candidate in meaning.candidates), key=lambda found: -found.confidence)
        candidates: dict[tuple[object, ...], Candidate] = {}
        for candidate in seen:
            candidates.setdefault(key_of(candidate.command), candidate)
        kept = list(candidates.values())[:_CANDIDATES_MAX]
        commands = tuple({key_of(command): command for command in best.commands}.values())
        return Understanding(_STAGE, commands, round(best.confidence, 3), best.reason, tuple(kept))

    # The parts of a sentence

    def _request(self, text: str) -> _Request:
        if len(text) > SENTENCE_LENGTH_MAX or not is_plain_speech(text) or _stutters(self.spoken(text)):
            return _Request([], {}, "", [])
        asked, meant = self._without_question(self._rewriter.rewritten(text))
        taken_back, meant = corrected(meant)
        meant, out = spared(meant)
        left_out = []
        for one in out:
            if one.is_exception:
                name, rest = self.names.name_at(one.what)
                meant = f"{meant} {rest}"
                left_out.append(Spared(" ".join(sorted(name)), is_exception=True))
            else:
                name, rest = self.names.name_at(one.what)
                left_out.append(Spared("" if rest else " ".join(sorted(name)), is_exception=False))
        if not meant.strip(" ,;:.!?-"):
            return _Request([], {}, taken_back, left_out)
        spans = spans_of(meant, taken_back or asked, self)
        each = {
            (span.first, span.after): found
            for span in spans
            if (found := each_of(span.said, span.text, self._sentences, self.names, self.spoken, self._kin)) is not None
        }
        return _Request(spans, each, taken_back, left_out)

    def _without_question(self, text: str) -> tuple[str, str]:
        """A question that stands before something else, and that: "did I leave it on? turn it off"."""
        match = _ASKED_BEFORE.match(text)
        if match is None or not self.spoken(match["asked"]).is_question:
            return "", text
        return match["asked"], match["rest"]

    def _kin(self, word: str) -> Collection[str]:
        return self._things.get(word, self._things.get(stem(word), ()))

    # What they mean

    def _whole(self, meanings: Mapping[tuple[int, int], _Meaning], request: _Request) -> _Meaning:
        """The way to take the sentence apart of which one is surest; each of its parts counts."""
        best: dict[int, _Meaning] = {0: _Meaning((), 1.0)}
        by_place = {(span.first, span.after): span for span in request.spans}
        telling = {span.first for span in request.spans if span.is_aside}
        aside = {(first, after) for first, after in by_place if not telling.isdisjoint(range(first, after))}
        for after in range(1, request.count + 1):
            ways = []
            for first in (first for first, ends in by_place if ends == after):
                before, own = best[first], meanings[first, after]
                if by_place[first, after].is_aside and self._is_aside(own, meanings, aside):
                    own = _Meaning((), 1.0)
                confidence = min(before.confidence, own.confidence)
                reason = before.reason if before.confidence <= own.confidence and before.reason else own.reason
                ways.append(_Meaning((*before.commands, *own.commands), confidence, reason if confidence < 1 else ""))
            best[after] = max(ways, key=lambda way: (way.confidence, len(way.commands)))
        found = best[request.count]
        if not found.commands:
            return _Meaning((), 0.0, next((m.reason for m in meanings.values() if m.reason), UNKNOWN))
        against = contradiction(found.commands) if found.confidence >= self.sure else ""
        return found if not against else _Meaning(found.commands, 0.0, against)

    def _spared(self, found: _Meaning, request: _Request) -> _Meaning:
        """What is asked for, without what is left out."""
        barred = self.spoken(request.taken_back).barred if request.taken_back else frozenset()
        if barred and found.confidence >= self.sure:
            return _Meaning(found.commands, 0.0, f"“{min(barred)}” stands in the way")
        for one in request.spared:
            words = frozenset(one.what.split())
            if not words:
                return _Meaning(found.commands, 0.0, "what is to be left out is not known")
            kept, gone = without(found.commands, partial(self.names.is_called, words=words))
            if (one.is_exception and not gone) or not kept:
                return _Meaning(found.commands, 0.0, f"“{one.what}” is none of what is asked for, or all of it")
            found = msgspec.structs.replace(found, commands=kept)
        return found

    def _is_aside(self, own: _Meaning, meanings: Mapping[tuple[int, int], _Meaning], aside: Collection[tuple[int, int]]) -> bool:
        """Whether what tells how things are asks for nothing: nobody is sure that it does, or another clause is of what is to be done."""
        elsewhere = any(other.commands and other.confidence >= self.sure for place, other in meanings.items() if place not in aside)
        return own.confidence <= _ASIDE_MAX or (elsewhere and own.confidence < 1)

    def _meaning(self, span: Span, matches: Mapping[str, Sequence[Found]], request: _Request) -> _Meaning:
        """What one clause asks for."""
        heard = self._sentences.hear(span.text)
        if isinstance(heard, Command):
            return _Meaning((heard,), 1.0)
        best, again = _Meaning((), 0.0, UNKNOWN), _Meaning((), 0.0)
        for number, (words, amounts) in enumerate(span.ways):
            if number and best.confidence >= self.sure and not request.taken_back:
                break
            said = span.readings.get((words, amounts), span.said)
            found = self._judged(words, amounts, said, matches.get(" ".join(words), ()))
            if number:
                found = msgspec.structs.replace(found, confidence=found.confidence * _FILLED_IN)
                again = max(again, found, key=lambda meaning: meaning.confidence)
            if number == 0 or found.confidence > best.confidence:
                best = found
        if request.taken_back and again.confidence >= self.sure:
            best = again  # what was said before goes before what this means by itself
        each = request.each.get((span.first, span.after))
        return best if each is None or best.confidence >= self.sure else self._of_each(each, span.said, matches) or best

    def _may_be_hour(self, name: str) -> bool:
        """Whether a slot has room for more than the hours on a clock."""
        slot = self._sentences.slots[name]
        return isinstance(slot, Numbers) and slot.most > _HOURS

    def _is_half_named(self, words: Sequence[str], nearest: Nearest) -> bool:
        """Whether words leave out what tells an agent from others: "the door", of a house that has two."""
        path, said = nearest.command.path, set(map(stem, words))
        own = {stem(word) for word in nearest.exemplar.words}
        if path is None or not self.names.is_called(path, own & self.names.nouns) or (own & self.names.nouns) <= said:
            return False
        return self.names.others_called(path, own & said & self.names.nouns)

    def _of_each(self, each: EachOf, said: Spoken, matches: Mapping[str, Sequence[Found]]) -> _Meaning | None:
        """What is asked of each of a kind, where it can be asked of every one, and by the same rule; of everything, where it can."""
        commands: list[Command] = []
        confidence = 1.0
        for members in each.kinds:
            judged = [self._of_member(words, members, said, matches) for words in members.texts]
            sure = [meaning for meaning in judged if meaning.confidence >= self.sure]
            rules = {command.rule for meaning in sure for command in meaning.commands}
            if not each.is_everything and (len(sure) < len(judged) or len(rules) != 1):
                continue
            commands += [command for meaning in sure for command in meaning.commands if command.path is not None]
            confidence = min([confidence, *(meaning.confidence for meaning in sure)])
        return _Meaning(tuple(commands), confidence * _FILLED_IN) if commands else None

    def _of_member(self, words: tuple[str, ...], members: Members, said: Spoken, matches: Mapping[str, Sequence[Found]]) -> _Meaning:
        alone = msgspec.structs.replace(said, barred=said.barred - {"every"})
        return self._judged(words, members.amounts, alone, matches.get(" ".join(words), ()))

    def _judged(self, words: Sequence[str], amounts: Sequence[Amount], said: Spoken, matches: Sequence[Found]) -> _Meaning:
        """What words ask for, of which these exemplars are the nearest."""
        nearest = self.matching.nearest(words, amounts, matches)
        if isinstance(nearest, str):
            return _Meaning((), 0.0, nearest)
        exemplar, command, evidence = nearest.exemplar, nearest.command, nearest.evidence
        covered = dict(zip(words, nearest.match.words, strict=False))
        uncovered = [word for word, share in covered.items() if share < _COVERED_MIN]
        own = [] if command.path is None else [word for word in uncovered if self.names.is_called(command.path, {stem(word)})]
        besides = [
            word
            for word in uncovered
            if word in QUANTIFIERS or (word not in own and (stem(word) in self.names.telling or word in said.heads))
        ]
        stands = said.barred - set(exemplar.raw)
        is_against = not AGAINST.isdisjoint(exemplar.raw)
        if is_against:
            stands -= AGAINST  # "can't" for "cannot"
        confidence, reason = self._confidence.of(evidence), ""
        if stands:
            confidence, reason = 0.0, f"“{min(stands)}” stands in the way"
        elif said.is_question:
            confidence, reason = 0.0, "it is a question"
        elif said.is_report:
            confidence, reason = 0.0, "it tells how things are"
        elif nearest.doubt:
            confidence, reason = 0.0, nearest.doubt
        elif said.is_hour and any(self._may_be_hour(name) for name in exemplar.numbers):
            confidence, reason = 0.0, "it may be a time of the day"
        elif is_against and nearest.match.lacking < _COVERED_MIN:
            confidence, reason = min(confidence, _ASIDE_MAX), f"it is half of “{exemplar.said}”"
        elif nearest.match.lacking < _COVERED_MIN and self._is_half_named(words, nearest):
            confidence, reason = 0.0, f"“{exemplar.said}” is not the only one that is called so"
        elif besides:
            confidence, reason = min(confidence, _ASIDE_MAX / 2), f"it names “{besides[0]}” besides"
        elif confidence < self.sure:
            reason = f"the nearest that is known is “{exemplar.said}”"
        candidates = [Candidate(counted(exemplar, command), command, round(confidence, 3))]
        for match, other, its in nearest.others[: _CANDIDATES_MAX - 1]:
            share = min(confidence, 1 - confidence, self._confidence.of_other(match.score))
            candidates.append(Candidate(counted(other, its), its, round(share, 3)))
        return _Meaning((command,), confidence, reason, tuple(candidates))


def _stutters(said: Spoken) -> bool:
    """Whether it is hardly more than one word, again and again."""
    return len(said.words) > _SAME_MAX * len(set(said.words)) or (len(said.words) > 1 and len(set(said.words)) == 1)
