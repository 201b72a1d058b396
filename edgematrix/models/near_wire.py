"""What a host and the process that finds near sentences say to each other (`wire`)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["Match", "Nearest", "NearestFound", "Pooling"]

Pooling: TypeAlias = Literal["mean", "first"]
"""What stands for a text, of the vectors of its tokens."""


class Nearest(msgspec.Struct, frozen=True):
    """For each of `texts` the `count` nearest of the exemplars that `key` stands for; `exemplars` are they, where they are told,
    `groups` a number for each: of those of one number the nearest counts.
    """

    key: str
    texts: tuple[str, ...]
    count: int
    exemplars: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()


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
