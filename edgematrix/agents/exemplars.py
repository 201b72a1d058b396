"""Sentences that rules know, spelled out: what others are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Final

import msgspec

from edgematrix.agents.alike import Alike
from edgematrix.agents.amount import NUMBER
from edgematrix.agents.heard import Names, Numbers, Reading
from edgematrix.agents.phrase import Choice, Node, Run, Slot, Word
from edgematrix.agents.sentences import Pattern, Sentences
from edgematrix.agents.spoken_words import spoken
from edgematrix.errors import ExpressionError

__all__ = ["EXEMPLARS_MAX", "Exemplar", "exemplars_of"]

EXEMPLARS_MAX: Final = 20_000
EXEMPLARS_BYTES_MAX: Final = 800_000
"""They have to fit into one message to the model's process."""
_REMEDY: Final = "fewer choices and names in one pattern, or an agent for each part"
_VARIANTS_MAX: Final = 64
"""Ways to say a pattern, its slots aside, of which each is spelled out."""
_WORDS_MAX: Final = 24


class Exemplar(msgspec.Struct, frozen=True):
    """One sentence: its words as they are compared, the pattern that knows it, the names in it, and the slots of its numbers in order."""

    words: tuple[str, ...]
    raw: tuple[str, ...]
    """All its words."""
    wanting: tuple[str, ...]
    """Those that are no names."""
    said: str
    pattern: Pattern
    names: Reading
    numbers: tuple[str, ...]


def exemplars_of(sentences: Sentences, alike: Alike) -> list[Exemplar]:
    """Every sentence that the rules know, with each name; of two that differ in what says nothing, one.

    Raises:
        ExpressionError: there are more than `EXEMPLARS_MAX`.
    """
    found: dict[tuple[frozenset[str], int, Reading, tuple[str, ...]], Exemplar] = {}
    for pattern in sentences.patterns:
        for variant in islice(_variants(pattern.node), _VARIANTS_MAX):
            for exemplar in _filled(pattern, variant, sentences.slots, alike):
                key = (frozenset(exemplar.words), pattern.rule.number, exemplar.names, exemplar.numbers)
                found.setdefault(key, exemplar)
                if len(found) > EXEMPLARS_MAX:
                    what = f"the rules know more than {EXEMPLARS_MAX} sentences, too many to compare with"
                    raise ExpressionError(what, where="near", remedy=_REMEDY)
    exemplars = list(found.values())
    size = sum(len(word) + 1 for exemplar in exemplars for word in exemplar.words)
    if size > EXEMPLARS_BYTES_MAX:
        what = f"the sentences that the rules know have {size} characters, at most {EXEMPLARS_BYTES_MAX} are compared with"
        raise ExpressionError(what, where="near", remedy=_REMEDY)
    return exemplars


def _variants(node: Node) -> Iterator[tuple[Word | Slot, ...]]:
    """Every way to say a pattern; what may be left out is left out first."""
    if isinstance(node, (Word, Slot)):
        yield (node,)
    elif isinstance(node, Choice):
        for part in sorted(node.parts, key=lambda part: not (isinstance(part, Run) and not part.parts)):
            yield from _variants(part)
    else:
        for parts in product(*[list(islice(_variants(part), _VARIANTS_MAX)) for part in node.parts]):
            yield tuple(piece for part in parts for piece in part)


def _filled(pattern: Pattern, variant: tuple[Word | Slot, ...], slots: Mapping[str, Names | Numbers], alike: Alike) -> Iterator[Exemplar]:
    named = [(piece.name, slots[piece.name]) for piece in variant if isinstance(piece, Slot)]
    numbers = tuple(name for name, slot in named if isinstance(slot, Numbers))
    choices = [[(name, which) for which in range(len(slot.values))] for name, slot in named if isinstance(slot, Names)]
    for reading in product(*choices):
        chosen = dict(reading)
        text: list[str] = []
        for piece in variant:
            slot = slots[piece.name] if isinstance(piece, Slot) else None
            if isinstance(piece, Word):
                text.append(piece.text)
            elif isinstance(slot, Names):
                text.extend(slot.spoken[chosen[piece.name]])
            else:
                text.append(NUMBER)
        said = " ".join(text)
        plain = spoken(said.replace(NUMBER, "7"), alike).words[:_WORDS_MAX]
        if plain:
            wanting = tuple(piece.text for piece in variant if isinstance(piece, Word))
            yield Exemplar(plain, tuple(text), wanting, said, pattern, tuple(reading), numbers)
