"""What is asked of each of a kind, or of all in a room: "all three fans off", "everything in the office off"."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from edgematrix.agents.amount import NUMBER, Amount
from edgematrix.agents.heard import Names
from edgematrix.agents.near_names import NearNames, stem
from edgematrix.agents.phrase import words_of
from edgematrix.agents.sentences import Sentences
from edgematrix.agents.spoken_words import Spoken

__all__ = ["QUANTIFIERS", "EachOf", "Members", "each_of", "texts_of"]

QUANTIFIERS: Final = frozenset({"all", "every", "each", "both", "everything"})
"""Words for each of a kind."""
_BESIDE: Final = QUANTIFIERS | {"everywhere", "them", "whole"}
_EACH_ROOM: Final = (("every", "room"), ("each", "room"))
_BOTH: Final = 2
_MEMBERS_MAX: Final = 24


class Members(msgspec.Struct, frozen=True):
    """Those of one kind: what is asked of each, in the words in which it would be asked of it alone."""

    texts: tuple[tuple[str, ...], ...]
    amounts: tuple[Amount, ...]


class EachOf(msgspec.Struct, frozen=True):
    """What is asked of each member of the kinds that may be meant. Of `everything` those count of which it can be asked."""

    kinds: tuple[Members, ...]
    is_everything: bool


def each_of(
    said: Spoken, text: str, sentences: Sentences, names: NearNames, hear: Callable[[str], Spoken], kin: Callable[[str], Collection[str]]
) -> EachOf | None:
    """What a clause asks of each of a kind; None where it asks no such thing.

    Args:
        kin: the words that mean the same as a word.
    """
    raw = words_of(text)
    if QUANTIFIERS.isdisjoint(raw):
        return None
    words, amounts, count = _counted(said, raw)
    pairs = set(pairwise(raw))
    is_everything = "everything" in raw
    kinds = []
    for slot_name in sorted(sentences.naming):
        slot = sentences.slots[slot_name]
        if not isinstance(slot, Names):
            continue
        called = _called(slot, hear)
        kind = None if is_everything else _kind(words, slot_name, called, kin)
        if kind is None and not is_everything:
            continue
        rest = [word for word in words if word != kind]
        plural_rooms = kind not in ("room", "rooms") and ("rooms" in raw or any(pair in pairs for pair in _EACH_ROOM))
        among = frozenset(stem(word) for word in rest if stem(word) in names.naming | names.places) - ({"room"} if plural_rooms else set())
        action = tuple(word for word in rest if stem(word) not in among and not (plural_rooms and stem(word) == "room"))
        chosen = [name for path, options in called if (name := _chosen(path, options, among)) is not None]
        if not action or (is_everything and not among) or (count and len(chosen) != count):
            continue
        if chosen:
            kinds.append(Members(tuple((*action, *name) for name in chosen), amounts))
    if not kinds or sum(len(members.texts) for members in kinds) > _MEMBERS_MAX:
        return None
    return EachOf(tuple(kinds), is_everything)


def _counted(said: Spoken, raw: Sequence[str]) -> tuple[list[str], tuple[Amount, ...], int]:
    """The words without what tells how many, the numbers without it, and how many: 0 where that is not said."""
    words = [word for word in said.words if word not in _BESIDE]
    if "both" in raw:
        return words, said.amounts, _BOTH
    place = next((place for place, word in enumerate(said.words) if word in QUANTIFIERS), None)
    if place is not None and said.words[place + 1 : place + 2] == (NUMBER,) and said.amounts:
        before = said.words[: place + 1].count(NUMBER)
        count = int(said.amounts[before].value)
        words.remove(NUMBER)
        return words, (*said.amounts[:before], *said.amounts[before + 1 :]), count
    return words, said.amounts, 0


def _called(slot: Names, hear: Callable[[str], Spoken]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """For each value of a slot its names, as they are compared, the longest first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for value, spoken_as in zip(slot.values, slot.spoken, strict=True):
        found.setdefault(str(value), []).append(hear(" ".join(spoken_as)).words)
    return [(value, sorted(options, key=lambda option: -len(option))) for value, options in found.items()]


def _kind(
    words: Sequence[str], slot_name: str, called: Sequence[tuple[str, list[tuple[str, ...]]]], kin: Callable[[str], Collection[str]]
) -> str | None:
    """The word that stands for all of a slot: its name, or what each of them is called."""
    parts = set(slot_name.split("_"))
    for word in words:
        same = {stem(word), *map(stem, kin(word))}
        if not parts.isdisjoint(same):
            return word
        if len(called) > 1 and all(any(not same.isdisjoint(map(stem, option)) for option in options) for _, options in called):
            return word
    return None


def _chosen(path: str, options: Sequence[tuple[str, ...]], among: Collection[str]) -> tuple[str, ...] | None:
    """By which name one is asked; None where it is not among those of the room."""
    segments = {stem(part) for part in path.replace("_", "/").split("/")}
    of_path = "room" in among and not segments.isdisjoint(among)
    for option in options:
        own = {*map(stem, option)}
        if own.issuperset(among) or (own | segments | ({"room"} if of_path else set())).issuperset(among):
            return option
    return None


def texts_of(each: EachOf) -> Iterator[tuple[str, ...]]:
    """All that has to be compared."""
    for members in each.kinds:
        yield from members.texts
