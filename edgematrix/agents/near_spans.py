"""The parts of a sentence, and the ways to read each: by itself, with what its neighbours say, with the room that stands before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeAlias

import msgspec

from edgematrix.agents.amount import NUMBER, Amount
from edgematrix.agents.clauses import clauses_of
from edgematrix.agents.each_of import QUANTIFIERS
from edgematrix.agents.near_names import NearNames, stem
from edgematrix.agents.phrase import words_of
from edgematrix.agents.spoken_words import Spoken

__all__ = ["Hearing", "Span", "Way", "spans_of"]

Way: TypeAlias = tuple[tuple[str, ...], tuple[Amount, ...]]
"""Words to compare, and the numbers among them."""
_SPAN_MAX: Final = 3
"""Parts that may be one clause together, as "nice and warm" are."""
_WAYS_MAX: Final = 12
_HEADING: Final = re.compile(r"\s*(?:(?:ok|okay|so|now|and|please|hey|well)\b,?\s*)*(?:in|for|inside)\b", re.IGNORECASE)
_REMARK_MIN: Final = 2
_REMARK_MAX: Final = 6
_LISTED: Final = frozenset({"the", "my", "our", "all", "both", "every", "a", "an"})
"""Words that an item of a list begins with."""
_ADDRESSED: Final = frozenset({"you", "your", "yourself", "must", "now", "mode", "me", "us"})
"""Words of who gives orders, or wants something else, too."""
# fmt: off
_DOING: Final = frozenset({
    "on", "off", "open", "close", "shut", "up", "down", "set", "turn", "switch", "put", "make", "start", "stop", "play", "pause", "lock",
    "unlock", "dim", "raise", "lower", "heat", "cool", "warm", "run", "do", "bring", "take", "send", "get", "give", "book", "call", "order",
    "buy", "tell", "find",
})
# fmt: on
"""Words of what can be done."""
_MENTION_MIN: Final = 2
"""Words of a name that nobody says by chance."""


class Span(msgspec.Struct, frozen=True):
    """Parts of a sentence, from `first` up to `after`, and the ways to read them."""

    first: int
    after: int
    text: str
    said: Spoken
    ways: list[Way]
    readings: dict[Way, Spoken] = {}
    """What else was read for some of the ways, in its own words."""
    is_weak: bool = False
    """Whether it has no word that says much."""
    is_remark: bool = False
    """Whether it is a short remark before a command, of nothing that the house knows: "nosy neighbours, close the blinds"."""

    @property
    def is_aside(self) -> bool:
        """Whether it may ask for nothing."""
        return self.after == self.first + 1 and (not self.said.words or self.said.is_statement or self.is_weak or self.is_remark)


class Hearing(Protocol):
    """How a house hears."""

    names: NearNames
    weak: frozenset[str]
    """Words that say little."""

    def spoken(self, text: str) -> Spoken:
        """A text as it is compared."""

    def readings(self, text: str) -> list[str]:
        """What else a clause may mean."""


def spans_of(text: str, taken_back: str, hearing: Hearing) -> list[Span]:
    """Each run of up to three parts of a text.

    Args:
        taken_back: what was said before and is not meant; its words may be left out in what is.
    """
    names, hear = hearing.names, hearing.spoken
    parts = _under_heading(clauses_of(text) or [text], text, names, hear)
    said = [hear(part) for part in parts]
    before = [hear(part) for part in clauses_of(taken_back)] if taken_back else []
    found = []
    for first in range(len(parts)):
        for after in range(first + 1, min(len(parts), first + _SPAN_MAX) + 1):
            if after > first + 1 and _are_two_things([names.named(part.words) for part in said[first:after]]):
                break
            joined = " ".join(parts[first:after])
            whole = said[first] if after == first + 1 else hear(joined)
            ways = [(whole.words, whole.amounts)]
            readings = {(also.words, also.amounts): also for also in map(hear, hearing.readings(joined))}
            if after == first + 1:
                ways += _filled_in([*before, *said], len(before) + first, names)
            ways += list(readings)
            is_weak = bool(whole.words) and hearing.weak.issuperset(whole.words)
            found.append(
                Span(
                    first,
                    after,
                    joined,
                    whole,
                    list(_once(ways))[:_WAYS_MAX],
                    readings,
                    is_weak,
                    after == 1 and len(parts) > 1 and _is_remark(parts[0], text, whole, names),
                )
            )
    return found


def _is_remark(part: str, text: str, said: Spoken, names: NearNames) -> bool:
    """Whether a comma parts it from the rest, and it has no word of what can be done, of the house's things, or of who is spoken to."""
    words = words_of(part)
    is_short = _REMARK_MIN <= len(words) <= _REMARK_MAX and text[len(part) :].lstrip().startswith(",")
    if not is_short or said.barred or said.is_question or said.amounts or words[0] in _LISTED or not _ADDRESSED.isdisjoint(words):
        return False
    return names.naming.isdisjoint(map(stem, words)) and _DOING.isdisjoint(words)


def _once(ways: Sequence[Way]) -> Iterator[Way]:
    seen = set()
    for way in ways:
        if way not in seen:
            seen.add(way)
            yield way


def _under_heading(parts: list[str], text: str, names: NearNames, hear: Callable[[str], Spoken]) -> list[str]:
    """The parts, each with the room that stands before all of them, as in "in the nursery: shutter down, night light on"."""
    if len(parts) == 1:
        return parts
    head, *rest = parts
    said = hear(head).words
    is_set_off = text[len(head) :].lstrip().startswith(":") or _HEADING.match(head) is not None
    if not is_set_off or not said or not names.are_names(said) or NUMBER in said:
        return parts
    return [part if not names.places.isdisjoint(map(stem, hear(part).words)) else f"{head} {part}" for part in rest]


def _are_two_things(named: Sequence[list[tuple[str, ...]]]) -> bool:
    """Whether two of the parts name a thing each, so that they are no single clause."""
    things = [{stem(word) for word in names[0]} for names in named if names and len(names[0]) >= _MENTION_MIN]
    return any(not one <= other and not other <= one for place, one in enumerate(things) for other in things[:place])


def _filled_in(said: Sequence[Spoken], place: int, names: NearNames) -> list[Way]:
    """What a clause may mean with what its neighbours say: the thing that they name, or what is to be done with it."""
    own = said[place]
    ways: list[Way] = []
    if "for" in own.tails:
        ways.append((own.tails["for"], own.amounts))
    named = names.named(own.words)
    around = (*reversed(range(place)), *range(place + 1, len(said)))
    for other in around:  # the thing, or the room, that a neighbour names
        there = names.named(said[other].words)
        if there and (not named or own.refers):
            ways += [((*own.words, *name), own.amounts) for name in there[:1]]
            ways += [((*own.words, word), own.amounts) for word in there[0] if len(there[0]) > 1 and word not in own.words]
            if not own.refers:
                break
        elif own.refers:  # what no slot has the name of, as the front door
            nouns = tuple(word for word in _nouns(said[other], names) if word not in own.words)
            ways += [((*own.words, *nouns), own.amounts)] if nouns else []
    if names.places.isdisjoint(map(stem, own.words)):
        rooms = (word for other in around for word in said[other].words if stem(word) in names.places)
        ways += [((*own.words, room), own.amounts) for room in list(dict.fromkeys(rooms))[:1]]
    ways += list(_as_neighbours(said, place, names))
    return ways


def _nouns(said: Spoken, names: NearNames) -> tuple[str, ...]:
    """What a clause names that no slot has the name of."""
    return tuple(word for word in said.nouns if stem(word) in names.known)


def _as_neighbours(said: Sequence[Spoken], place: int, names: NearNames) -> Iterator[Way]:
    """What a clause means that only names something, or leaves out of which kind it is, by what a neighbour wants done."""
    own = said[place]
    named = names.named(own.words)
    around = (*reversed(range(place)), *range(place + 1, len(said)))
    only_names = all(word == NUMBER or word in own.nouns or stem(word) in names.naming for word in own.words)
    for other in around:
        there = names.named(said[other].words) or [noun for noun in [_nouns(said[other], names)] if noun]
        action = tuple(word for word in said[other].words if not any(word in name for name in there))
        if not there:
            continue
        kept = tuple(name[-1] for name in there if name[-1] not in own.words)
        kept += tuple(word for word in ("all", "both") if word in said[other].words and word not in own.words)
        if action and only_names:
            amounts = own.amounts or said[other].amounts
            verbs = tuple(word for word in action if word != NUMBER or not own.amounts)
            yield (*verbs, *own.words), amounts
            if not QUANTIFIERS.isdisjoint(verbs):
                yield (*(word for word in verbs if word not in QUANTIFIERS), *own.words), amounts
            rooms = () if named else tuple(word for word in there[0] if word not in own.words)
            for more in (kept, *((room,) for room in rooms)):
                if more:
                    yield (*verbs, *more, *own.words), amounts
            return
        if not only_names and named and NUMBER in action and not own.amounts:  # "dim this lamp, and that one to 20 percent"
            yield (*own.words, *action[action.index(NUMBER) :]), said[other].amounts
            return
        if not only_names and named and kept:  # "the blinds in the kitchen, and the living room down"
            yield (*own.words, *kept), own.amounts
            return
