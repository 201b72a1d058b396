"""English as it is spoken to a house: words that say nothing, numbers in words, and words that turn a sentence around.

What is here holds for every house; what a house's things are called stands in its matrix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from edgematrix.agents.alike import Alike
from edgematrix.agents.amount import Amount, numbered
from edgematrix.agents.english import (
    AGAINST,
    ASKING,
    FILLERS,
    GREETINGS,
    HELD,
    NOUNS_FOLLOW,
    OPENERS,
    REFERRING,
    SUBJECTS,
    TOLD,
    VERBS,
    WISHES,
)
from edgematrix.agents.phrase import words_of
from edgematrix.agents.statements import is_complaint, is_report, is_told

__all__ = ["Spoken", "is_plain_speech", "spoken"]

_ASKED_FOR: Final = {
    ("do", "the"),
    ("do", "my"),
    ("do", "our"),
    ("do", "it"),
    *((verb, "you") for verb in ("can", "could", "will", "would")),
}
_ASKING_PAIRS: Final = frozenset(
    (verb, subject)
    for verb in ("do", "can", "could", "have", "will", "would")
    for subject in ("i", "we", "they", "the", "it", "my", "our", "you")
    if (verb, subject) not in _ASKED_FOR
)
_APOSTROPHES: Final = str.maketrans("\u2019\u02bc`", "'''")
_SHORTENED: Final = re.compile(r"(?<=\w)['\u2019](?:re|ll|ve|m)\b", re.IGNORECASE)
"""Verbs that are a part of the word before; without the apostrophe "we're" would be "were"."""
_UNIT: Final = re.compile(r"(?<=\d)(?=(?:k|f|c|a|w|amps?|degrees|percent)\b)", re.IGNORECASE)
"""Units that are written to their numbers, as in 6500K."""
_DETERMINERS: Final = frozenset({"the", "my", "our", "a", "an", "that", "this", "these", "those"})
_NOUNS_MAX: Final = 3
_NOTHING_ALIKE: Final = Alike({})
_LIGHTS: Final = frozenset({"lights", "lamps", "blinds", "of"})
"""What follows on a `both` that stands for two things of one kind."""
_WITH_PARTICLE: Final = frozenset({"shut", "power", "switched", "turned", "powered"})
"""Verbs that say nothing beside an `on` or `off`."""
_HOUR: Final = re.compile(r"\b(?:on|off|open|close|closed|start|stop|up|down)\b.*\bat #(?! (?:percent|degrees?|kelvin|amps?|amperes?)\b)")
_HOURS: Final = 12
_TIME_WORDS_MAX: Final = 3
_PARTICLES: Final = frozenset({"on", "off", "up", "down", "out", "in", "over", "is", "are", "was", "open", "closed", "shut", "to", "at"})
_NEVER_ASIDE: Final = AGAINST | TOLD | frozenset({"if", "when", "whenever", "unless", "until", "or", "whether"})
_UNSPOKEN: Final = re.compile(r"[{}\[\]<>$=\\|^~`@*_]|\w/\w|\w\.\w*[A-Za-z]\w*(?!\S*\s*$)|::|\(.*\)")


class Spoken(msgspec.Struct, frozen=True):
    """What was said, without what says nothing. `words` has `NUMBER` for each of `amounts`.

    `barred` are words that stand in the way of carrying it out, unless what is known has them too. A statement tells how things are.
    """

    words: tuple[str, ...]
    amounts: tuple[Amount, ...]
    barred: frozenset[str]
    is_question: bool
    is_statement: bool
    refers: bool = False
    """Whether it refers to what was said before, as "it" and "there" do."""
    is_report: bool = False
    """Whether it tells the state of something, or what somebody else does."""
    is_hour: bool = False
    """Whether its number may be a time of the day, as in "on at seven"."""
    nouns: tuple[str, ...] = ()
    """The words after its `the`s and `my`s, up to the next that says nothing."""
    heads: frozenset[str] = frozenset()
    """The last of each of these."""
    tails: dict[str, tuple[str, ...]] = {}
    """Its words without what it says last, such as `for her nap`, by the word that this begins with."""


def is_plain_speech(text: str) -> bool:
    """Whether a text is one that somebody may have said: no braces, no paths, no signs that nobody speaks."""
    return _UNSPOKEN.search(text) is None


def spoken(text: str, alike: Alike = _NOTHING_ALIKE) -> Spoken:
    """A text as it is compared, with words that mean the same taken for one another."""
    text = text.translate(_APOSTROPHES)
    raw = words_of(_UNIT.sub(" ", _SHORTENED.sub("", text)))
    words = alike.levelled(_levelled(raw))
    barred = frozenset(words) & (AGAINST | HELD | TOLD)
    counted, amounts = numbered(words)
    kept = tuple(word for word in counted if word not in FILLERS)
    tails = {}
    if "for" in words[1:]:
        cut, own = numbered(words[: len(words) - 1 - words[::-1].index("for")])
        if len(own) == len(amounts):
            tails["for"] = tuple(word for word in cut if word not in FILLERS)
    return Spoken(
        kept,
        tuple(amounts),
        barred,
        _is_question(words, text),
        _is_statement(words, barred, text),
        not REFERRING.isdisjoint(words),
        is_report(text),
        "%" not in text
        and any(amount.value <= _HOURS and not amount.is_share for amount in amounts)
        and _HOUR.search(" ".join(counted)) is not None,
        tuple(dict.fromkeys(noun for nouns in _nouns(words) for noun in nouns)),
        frozenset(nouns[-1] for nouns in _nouns(words)),
        tails,
    )


def _levelled(words: list[str]) -> list[str]:
    """The words without who is addressed, an `of` at the end as the `off` that it is a slip of, and no `on` of a place beside an `off`."""
    if words[:1] == ["house"] or words[:2] in (["hey", "house"], ["ok", "house"], ["okay", "house"]):
        words = words[1 + (words[0] != "house") :]
    while words[:2] in (["how", "about"], ["what", "about"]):
        words = words[2:]
    words = [word for place, word in enumerate(words) if word != "all" or words[place + 1 : place + 3] != ["the", "way"]]
    words = [word for place, word in enumerate(words) if word != "both" or not _LIGHTS.isdisjoint(words[place + 1 : place + 3])]
    if words[-1:] == ["of"] and words[0] in {"turn", "switch", "put", "flip"}:
        words = [*words[:-1], "off"]
    words = [word for place, word in enumerate(words) if word not in ("up", "down") or words[place + 1 : place + 2] != ["to"]]
    if "off" in words or "on" in words:
        words = [word for place, word in enumerate(words) if place == len(words) - 1 or word not in _WITH_PARTICLE]
    if "off" in words:
        words = [word for place, word in enumerate(words) if word != "on" or words[place + 1 : place + 2] not in (["my"], ["the"], ["our"])]
    return words


def _nouns(words: Sequence[str]) -> list[list[str]]:
    """For each determiner the words after it."""
    found: list[list[str]] = []
    for place, word in enumerate(words):
        if word in _DETERMINERS:
            nouns: list[str] = []
            for noun in words[place + 1 : place + 1 + _NOUNS_MAX]:
                if noun in FILLERS or noun in _PARTICLES:
                    break
                nouns.append(noun)
            found += [nouns] if nouns else []
    return found


def _is_statement(words: Sequence[str], barred: frozenset[str], text: str) -> bool:
    """Whether it tells how things are, and wants nothing: such a clause may stand beside what is asked for."""
    if is_complaint(text) or (not barred & _NEVER_ASIDE and is_told(text)):
        return True
    said = [word for word in words if word not in OPENERS]
    if said and (GREETINGS.issuperset(said) or (said[-1] == "time" and len(said) <= _TIME_WORDS_MAX)):
        return True  # "bath time"
    if not said or barred & _NEVER_ASIDE or _wishes(said):
        return False
    return said[0] in SUBJECTS or (said[0] in NOUNS_FOLLOW and not VERBS.isdisjoint(said))


def _wishes(said: Sequence[str]) -> bool:
    """Whether somebody is to do something; what somebody wants to do himself is his own affair."""
    places = [place for place, word in enumerate(said) if word in WISHES]
    return any(said[place + 1 : place + 2] != ["to"] or said[0] != "i" for place in places)


def _is_question(words: Sequence[str], text: str) -> bool:
    rest = [word for word in words if word not in OPENERS]
    if not rest:
        return False
    if rest[0] in ASKING or tuple(rest[:2]) in _ASKING_PAIRS:
        return True
    asks_politely = rest[0] in {"could", "can", "would", "will", "mind"}
    return text.rstrip().endswith("?") and not asks_politely and "please" not in words
