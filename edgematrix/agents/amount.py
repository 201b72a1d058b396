"""Numbers as they are spoken, in digits and in English words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from edgematrix.agents.english import BEFORE_ONE, PARTS, SCALES, SHARES, UNITS

__all__ = ["NUMBER", "Amount", "numbered"]

NUMBER: Final = "#"
"""Stands for each number."""
_DIGITS: Final = re.compile(r"-?[0-9]{1,9}(?:[.,][0-9]{1,3})?")
_TENS: Final = 10
_TWENTY: Final = 20
_HUNDRED: Final = 100
_FAHRENHEIT: Final = frozenset({"fahrenheit", "f"})
_DECIMALS_MAX: Final = 2


class Amount(msgspec.Struct, frozen=True):
    """A number that was said: itself, or a share of the way from the least to the most."""

    value: float
    is_share: bool = False
    is_fahrenheit: bool = False


def numbered(words: Sequence[str]) -> tuple[list[str], list[Amount]]:
    """The words with each number, in digits or in words, as one `NUMBER`; `fahrenheit` is a part of its number."""
    found: list[str] = []
    amounts: list[Amount] = []
    place = 0
    while place < len(words):
        amount, after = _amount(words, place)
        if amount is None:
            found.append(words[place])
        else:
            found.append(NUMBER)
            unit = next((at for at in (after, after + 1) if words[at : at + 1] and words[at] in _FAHRENHEIT), None)
            if unit is not None and words[after:unit] in ([], ["degrees"], ["degree"]):
                amount, after = Amount(amount.value, is_fahrenheit=True), unit + 1
                found.append("degrees")
            amounts.append(amount)
        place = after
    return found, amounts


def _amount(words: Sequence[str], place: int) -> tuple[Amount | None, int]:
    """The number that begins at `place`, if one does, and where what comes after it begins."""
    word, following = words[place], words[place + 1] if place + 1 < len(words) else ""
    if _DIGITS.fullmatch(word):
        return _with_part(words, float(word.replace(",", ".")), place + 1)
    if following in PARTS and (word in ("a", "one") or word in UNITS):
        share = (1 if word in ("a", "one") else UNITS[word]) * PARTS[following]
        return (Amount(share, is_share=True), place + 2) if share <= 1 else (None, place + 1)
    if word in SHARES:
        return Amount(SHARES[word], is_share=True), place + 1
    is_one = (word in ("one", "a") and following in SCALES) or (word == "one" and place > 0 and words[place - 1] in BEFORE_ONE)
    if word not in UNITS and not is_one and word not in SCALES:
        return None, place + 1
    value, after = _spelled(words, place)
    return _with_part(words, value, after)


def _with_part(words: Sequence[str], value: float, after: int) -> tuple[Amount, int]:
    """A number with what is added to it: "and a half", "point five"."""
    rest = tuple(words[after : after + 3])
    if rest[:1] == ("and",) and len(rest) > 2 and rest[1] in ("a", "one", "three") and rest[2] in ("half", "quarter", "quarters"):  # noqa: PLR2004
        part = 0.5 if rest[2] == "half" else 0.25 * (3 if rest[1] == "three" else 1)
        return Amount(value + part), after + 3
    if rest[:1] == ("point",) and len(rest) > 1:
        digits = ""
        while after + 1 + len(digits) < len(words) and len(digits) < _DECIMALS_MAX:
            digit = {"one": 1, "oh": 0}.get(words[after + 1 + len(digits)], UNITS.get(words[after + 1 + len(digits)], _TENS))
            if digit >= _TENS:
                break
            digits += str(digit)
        if digits:
            return Amount(value + float(f"0.{digits}")), after + 1 + len(digits)
    return Amount(value), after


def _spelled(words: Sequence[str], place: int) -> tuple[float, int]:
    """A number in words, such as "six thousand five hundred and twenty one", as far as it goes."""
    total, part, after = 0, 0, place
    while after < len(words):
        word, before = words[after], words[after - 1] if after > place else ""
        value = UNITS.get(word, 1 if word == "one" or (word == "a" and after == place) else None)
        if value is not None:
            is_next = part % _HUNDRED == 0 and (after == place or before in SCALES or before == "and")
            if not is_next and not (part % _HUNDRED >= _TWENTY and part % _TENS == 0 and value < _TENS):
                break
            part += value
        elif word in SCALES:
            part = max(part, 1) * SCALES[word]
            if SCALES[word] > _HUNDRED:
                total, part = total + part, 0
        elif word != "and" or before not in SCALES or words[after + 1 : after + 2] == [] or words[after + 1] not in UNITS:
            break
        after += 1
    return float(total + part), after
