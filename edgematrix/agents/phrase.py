"""Patterns of sentences, and the words of what was said.

    pattern  = sequence { "|" sequence }        only inside brackets
    sequence = { word | "[" pattern "]" | "(" pattern ")" | "{" name "}" }

A pattern has no loops, so matching takes time in proportion to its size times the number of words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from edgematrix.errors import ExpressionError

__all__ = ["Choice", "Node", "Run", "Slot", "Word", "always_said", "first_words", "parse_phrase", "said_slots", "words_of"]

PHRASE_LENGTH_MAX = 500
_NESTING_MAX = 8
_PIECE = re.compile(r"[\[\](){}|]|[^\[\](){}|]+")
_WORD = re.compile(r"(?<!\S)-[0-9]+(?:[.,][0-9]+)*(?![^\W_])|[0-9]+(?:[.,][0-9]+)+(?![^\W_])|[^\W_]+")
_APOSTROPHES = str.maketrans("", "", "'\u2019\u02bc`")
_CLOSING = {"[": "]", "(": ")"}


class Word(msgspec.Struct, frozen=True):
    """One word, normalised."""

    text: str


class Slot(msgspec.Struct, frozen=True):
    """A name or number to be heard."""

    name: str


class Run(msgspec.Struct, frozen=True):
    """One after another; without parts it is nothing at all."""

    parts: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    """One of these."""

    parts: tuple[Node, ...]


Node: TypeAlias = Word | Slot | Run | Choice


def words_of(text: str) -> list[str]:
    """The words of a text: case, punctuation, apostrophes and white space are levelled; `-5` and `21.5` are words."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES))


def parse_phrase(text: str) -> Node:
    """Read a pattern.

    Raises:
        ExpressionError: a bracket is without its other one or touches a word, a choice is empty, it nests deeper than 8,
            or the whole may be silence; `where` is the column.
    """
    if len(text) > PHRASE_LENGTH_MAX:
        raise ExpressionError(f"the pattern has {len(text)} characters, at most {PHRASE_LENGTH_MAX} are allowed", where="1:1")
    parser = _Parser(text)
    node = parser.pattern("", 0)
    if _may_be_silent(node):
        raise ExpressionError(f"the pattern {text[:80]!r} is met by saying nothing", where="1:1")
    return node


def said_slots(node: Node) -> frozenset[str]:
    """The slots that a pattern may fill."""
    if isinstance(node, Slot):
        return frozenset({node.name})
    return frozenset() if isinstance(node, Word) else frozenset().union(*map(said_slots, node.parts))


def always_said(node: Node) -> frozenset[str]:
    """The slots that a pattern fills whichever way it is said."""
    if isinstance(node, Slot):
        return frozenset({node.name})
    if isinstance(node, Run):
        return frozenset().union(*map(always_said, node.parts))
    return frozenset.intersection(*map(always_said, node.parts)) if isinstance(node, Choice) else frozenset()


def first_words(node: Node, of_slot: Callable[[str], Iterable[str] | None]) -> set[str] | None:
    """The words that a sentence of this pattern may begin with; None if that may be any. `of_slot` gives those of a slot."""
    if isinstance(node, Word):
        return {node.text}
    if isinstance(node, Slot):
        words = of_slot(node.name)
        return None if words is None else set(words)
    found: set[str] = set()
    for part in node.parts:
        words = first_words(part, of_slot)
        if words is None:
            return None
        found |= words
        if isinstance(node, Run) and not _may_be_silent(part):
            break
    return found


def _may_be_silent(node: Node) -> bool:
    if isinstance(node, (Word, Slot)):
        return False
    silent = map(_may_be_silent, node.parts)
    return all(silent) if isinstance(node, Run) else any(silent)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces = list(_PIECE.finditer(text))
        self.position = 0
        self.slots: set[str] = set()

    def fail(self, what: str, offset: int, remedy: str = "") -> ExpressionError:
        return ExpressionError(f"{what} in the pattern {self.text[:80]!r}", where=f"1:{offset + 1}", remedy=remedy)

    def pattern(self, closing: str, depth: int) -> Node:
        """Read up to `closing`, which is passed over."""
        start = self.position
        choices: list[Node] = []
        parts: list[Node] = []
        while self.position < len(self.pieces):
            piece = self.pieces[self.position]
            text = piece.group()
            self.position += 1
            if text == closing or (text == "|" and closing):
                if not parts:
                    raise self.fail("an empty choice", piece.start(), "what may be left out stands in [ ]")
                choices.append(Run(tuple(parts)))
                parts = []
                if text == closing:
                    return Choice(tuple(choices)) if len(choices) > 1 else choices[0]
            else:
                parts.extend(self.part(piece, depth))
        if closing:
            raise self.fail(f"no {closing!r} for what was opened", self.pieces[start - 1].start())
        return Run(tuple(parts))

    def part(self, piece: re.Match[str], depth: int) -> list[Node]:
        text = piece.group()
        if text == "{":
            return [self.slot(piece)]
        if text in _CLOSING:
            self.check_apart(piece.start() - 1, piece.start())
            if depth == _NESTING_MAX:
                raise self.fail(f"brackets nest deeper than {_NESTING_MAX}", piece.start())
            inner = self.pattern(_CLOSING[text], depth + 1)
            self.check_apart(self.pieces[self.position - 1].end(), piece.start())
            return [Choice((inner, Run(())))] if text == "[" else [inner]
        if text in "])}|":
            raise self.fail(f"{text!r} without what opens it", piece.start())
        return [Word(word) for word in words_of(text)]

    def slot(self, piece: re.Match[str]) -> Slot:
        closed = self.position + 1 < len(self.pieces) and self.pieces[self.position + 1].group() == "}"
        name = self.pieces[self.position].group() if closed else ""
        if not name.isidentifier():
            raise self.fail("a slot without a name", piece.start(), "write {room}, with a name from `slots`")
        if name in self.slots:
            raise self.fail(f"the slot {{{name}}} is there twice", piece.start())
        self.slots.add(name)
        self.position += 2
        self.check_apart(piece.start() - 1, piece.start())
        self.check_apart(self.pieces[self.position - 1].end(), piece.start())
        return Slot(name)

    def check_apart(self, neighbour: int, offset: int) -> None:
        """A bracket that touches a word is taken for a part of a word, which there is not."""
        if 0 <= neighbour < len(self.text) and self.text[neighbour].isalnum():
            raise self.fail("a bracket touches a word", offset, "write whole words: (light|lights)")
