"""What a host and the process that finds near sentences say to each other (`wire`)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["Kin", "Match", "Nearest", "NearestFound", "Pooling"]

Pooling: TypeAlias = Literal["mean", "first"]
"""What stands for a text, of the vectors of its tokens."""


class Kin(msgspec.Struct, frozen=True):
    """Words, with a blank between them, that are as good as the same, whatever their vectors say: `things` where no exemplar has the word
    itself, `ways` always. Those of `opposites` on the two sides of a stroke are never alike. `weak` ones count where an exemplar has them,
    `units` are what nobody has to say.
    """

    things: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    opposites: tuple[str, ...] = ()
    weak: str = ""
    units: str = ""


class Nearest(msgspec.Struct, frozen=True):
    """For each of `texts` the `count` nearest of the exemplars that `key` stands for; `exemplars` are they, where they are told,
    `groups` a number for each: of those of one number the nearest counts. `kin` are words that are as good as the same.
    """

    key: str
    texts: tuple[str, ...]
    count: int
    exemplars: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    kin: Kin = Kin()


class Match(msgspec.Struct, frozen=True, array_like=True):
    """One exemplar by its place: how near it is, the share of the text that it covers, the share of it that the text covers, how much
    the text has of that word of it which it has least of, how much each word of the text is like one of its words, and how much the text
    is like it as a whole, where the model can tell: all from 0 to 1.
    """

    place: int
    score: float
    share: float
    found: float
    lacking: float
    words: list[float]
    whole: float = 0.0


class NearestFound(msgspec.Struct, frozen=True):
    """The matches of each text, the nearest first; or that nobody has told the exemplars yet. `notes` are for people."""

    matches: list[list[Match]] = []
    is_unknown: bool = False
    notes: tuple[str, ...] = ()
