"""Numbers as English words, as they are said."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SPOKEN_MAX", "spoken"]

SPOKEN_MAX: Final = 9_999
"""The largest number that has words here; less its sign, the smallest."""

_SMALL: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBER: Final = re.compile(r"(-?)([0-9]{1,4})(?:[.,]([0-9]{1,3}))?")


def spoken(number: str) -> list[list[str]]:
    """The ways to say a number in digits, each as its words: `121` is `one hundred twenty one`, and with an `and` in it.

    Raises:
        ValueError: it is none, its amount is beyond `SPOKEN_MAX`, or it has more than three decimals.
    """
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise ValueError(f"{number[:40]!r} is no number that has words here")
    sign, whole, decimals = found.groups()
    ways = _whole(int(whole))
    if decimals is not None:
        ways = [[*words, "point", *(_SMALL[int(digit)] for digit in decimals)] for words in ways]
    return [["minus", *words] for words in ways] if sign else ways


def _whole(number: int) -> list[list[str]]:
    if number < len(_SMALL):
        return [[_SMALL[number]]]
    if number < 100:  # noqa: PLR2004 - arithmetic of words
        tens, rest = divmod(number, 10)
        return [[_TENS[tens - 2], *([_SMALL[rest]] if rest else [])]]
    size, name = (1_000, "thousand") if number >= 1_000 else (100, "hundred")  # noqa: PLR2004
    head, rest = divmod(number, size)
    heads = [[*words, name] for words in _whole(head)] + ([["a", name]] if head == 1 else [])
    if not rest:
        return heads
    tails = _whole(rest)
    if rest < 100:  # noqa: PLR2004
        tails = tails + [["and", *words] for words in tails]
    return [[*words, *tail] for words in heads for tail in tails]
