"""What can be said to an agent with `sentences`, as a finite automaton over spoken words: a recogniser hears nothing else.

A pattern has no loops, so the automaton has none. Numbers are said as words and written in digits, as rules read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import ceil, floor

import msgspec

from edgematrix.agents.phrase import Choice, Node, Slot, Word, parse_phrase, words_of
from edgematrix.agents.place import at
from edgematrix.agents.spec import SentencesSpec
from edgematrix.agents.spoken_number import SPOKEN_MAX, spoken
from edgematrix.errors import ExpressionError

__all__ = ["ARCS_MAX", "NUMBERS_MAX", "Arc", "SpeechGrammar", "speech_grammar"]

ARCS_MAX = 20_000
"""Words in the places that they may stand in; a recogniser with more takes too long."""
NUMBERS_MAX = 1_001
"""Numbers of one slot that can be said, from the smallest on; of a slot with more the rest is written only."""

Arc = tuple[int, int, str]
"""From a state to a state, by a word."""


class SpeechGrammar(msgspec.Struct, frozen=True):
    """All that can be said. State 0 is the beginning, 1 the end; from no state two arcs lead on by the same word.

    `numbers` are slots of which only a part can be said, each with the last number that can.
    """

    states: int
    arcs: tuple[Arc, ...]
    numbers: Mapping[str, float]
    _steps: Mapping[int, tuple[tuple[str, str, int], ...]]
    """Of the automaton as it was written: word, what is written for it, where it leads."""
    _silent: Mapping[int, tuple[int, ...]]

    @property
    def words(self) -> frozenset[str]:
        """Every word that may be said."""
        return frozenset(word for _, _, word in self.arcs)

    def written(self, words: Iterable[str]) -> str | None:
        """A sentence of these words as rules read it, with its numbers in digits; None where they are no whole sentence."""
        reached: dict[int, tuple[str, ...]] = {}
        self._reach(reached, _FIRST, ())
        for word in words:
            before, reached = reached, {}
            for state, said in before.items():
                for known, text, after in self._steps.get(state, ()):
                    if known == word:
                        self._reach(reached, after, (*said, text) if text else said)
            if not reached:
                return None
        found = reached.get(_LAST)
        return None if found is None else " ".join(found)

    def _reach(self, reached: dict[int, tuple[str, ...]], state: int, said: tuple[str, ...]) -> None:
        """Note a state, and all that can be reached from it in silence; who came first stays."""
        if state not in reached:
            reached[state] = said
            for after in self._silent.get(state, ()):
                self._reach(reached, after, said)


_FIRST, _LAST = 0, 1


def speech_grammar(spec: SentencesSpec) -> SpeechGrammar:
    """What can be said to an agent.

    Raises:
        ExpressionError: a pattern is wrong, or there is more to say than `ARCS_MAX`; `where` names its place.
    """
    draft = _Draft(spec)
    for number, rule in enumerate(spec.rules):
        for position, said in enumerate(rule.say):
            with at(f"rules.{number}.say.{position}"):
                draft.add(parse_phrase(said), _FIRST, _LAST)
        for position, said in enumerate(rule.examples if spec.near is not None else ()):
            with at(f"rules.{number}.examples.{position}"):
                draft.add(parse_phrase(said), _FIRST, _LAST)
    return draft.finished()


class _Draft:
    def __init__(self, spec: SentencesSpec) -> None:
        self._spec = spec
        self._count = 2
        self._arcs = 0
        self._steps: dict[int, list[tuple[str, str, int]]] = {}
        self._silent: dict[int, list[int]] = {}
        self._cut: dict[str, float] = {}

    def add(self, node: Node, begins: int, ends: int) -> None:
        """Let a pattern lead from one state to another."""
        if isinstance(node, Word):
            self._say(_spoken_word(node.text), node.text, begins, ends)
        elif isinstance(node, Slot):
            self._slot(node.name, begins, ends)
        elif isinstance(node, Choice):
            for part in node.parts:
                self.add(part, begins, ends)
        elif not node.parts:
            self._silent.setdefault(begins, []).append(ends)
        else:
            states = [begins, *(self._state() for _ in node.parts[1:]), ends]
            for part, (before, after) in zip(node.parts, pairwise(states), strict=True):
                self.add(part, before, after)

    def finished(self) -> SpeechGrammar:
        """The automaton, with one way on by each word."""
        steps = {state: tuple(found) for state, found in self._steps.items()}
        silent = {state: tuple(found) for state, found in self._silent.items()}
        numbers: dict[frozenset[int], int] = {}
        arcs: list[Arc] = []
        first = self._closed({_FIRST})
        numbers[first] = _FIRST
        todo, count = [first], 2
        while todo:
            states = todo.pop()
            following: dict[str, set[int]] = {}
            for state in sorted(states):
                for word, _, after in steps.get(state, ()):
                    following.setdefault(word, set()).add(after)
            for word, reached in following.items():
                closed = self._closed(reached)
                number = numbers.get(closed)
                if number is None:
                    number, count = (_LAST, count) if closed == {_LAST} else (count, count + 1)
                    numbers[closed] = number
                    todo.append(closed)
                arcs.append((numbers[states], number, word))
                if _LAST in closed and number != _LAST:
                    arcs.append((numbers[states], _LAST, word))
                if len(arcs) > ARCS_MAX:
                    raise _too_much()
        return SpeechGrammar(count, tuple(arcs), dict(self._cut), steps, silent)

    def _closed(self, states: set[int]) -> frozenset[int]:
        found, todo = set(states), list(states)
        while todo:
            for after in self._silent.get(todo.pop(), ()):
                if after not in found:
                    found.add(after)
                    todo.append(after)
        return frozenset(found)

    def _slot(self, name: str, begins: int, ends: int) -> None:
        if name in self._spec.slots:
            for spoken_name in self._spec.slots[name]:
                self._names(words_of(spoken_name), begins, ends)
            return
        if name not in self._spec.numbers:
            raise ExpressionError(f"the slot {{{name}}} has no names", where="1:1")
        least, most, step = (*self._spec.numbers[name], 1)[:3]
        first, last = ceil(max(least, -SPOKEN_MAX) / step), floor(min(most, SPOKEN_MAX) / step)
        if last - first >= NUMBERS_MAX or most > SPOKEN_MAX:
            last = min(last, first + NUMBERS_MAX - 1)
            self._cut[name] = last * step
        for multiple in range(first, last + 1):
            text = f"{round(multiple * step, 3):.7g}"
            for words in spoken(text):
                self._say(words, text, begins, ends)

    def _names(self, words: list[str], begins: int, ends: int) -> None:
        states = [begins, *(self._state() for _ in words[1:]), ends]
        for word, (before, after) in zip(words, pairwise(states), strict=True):
            self._say(_spoken_word(word), word, before, after)

    def _say(self, words: list[str], text: str, begins: int, ends: int) -> None:
        """Let these words lead from one state to another; they are written as `text`."""
        states = [begins, *(self._state() for _ in words[1:]), ends]
        for place, (word, (before, after)) in enumerate(zip(words, pairwise(states), strict=True)):
            self._steps.setdefault(before, []).append((word, "" if place else text, after))
        self._arcs += len(words)
        if self._arcs > 2 * ARCS_MAX:
            raise _too_much()

    def _state(self) -> int:
        self._count += 1
        return self._count - 1


def _spoken_word(word: str) -> list[str]:
    """How a word of a pattern is said: a number in words."""
    try:
        return spoken(word)[0]
    except ValueError:
        return [word]


def _too_much() -> ExpressionError:
    return ExpressionError(
        f"there is more to say than a recogniser can listen for, {ARCS_MAX} words in their places",
        remedy="fewer patterns, or smaller ranges of numbers; or `recognise: whisper`, which needs no grammar",
    )
