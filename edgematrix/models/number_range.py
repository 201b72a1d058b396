"""The decimal texts of the numbers of a range, as patterns of digits: for a grammar under which no other number can be written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

__all__ = ["grammar_of_range", "patterns"]

_DECIMALS_MAX: Final = 3
_DIGITS_MAX: Final = 15
_PIECE: Final = re.compile(r"\[\d-\d\]|.")
_ANY: Final = "[0-9]"


def grammar_of_range(schema: Mapping[str, Any]) -> str:
    """The rule of a JSON Schema of numbers with `minimum` and `maximum`, in GBNF; empty where there is none."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if schema.get("type") not in ("integer", "number") or not (_is_number(least) and _is_number(most)):
        return ""
    found = patterns(least, most, decimals=schema["type"] == "number")
    return " | ".join(" ".join(piece if len(piece) > 1 else f'"{piece}"' for piece in _PIECE.findall(text)) for text in found)


def patterns(least: float, most: float, *, decimals: bool) -> list[str]:
    """Patterns of digits, each a piece of a regular expression, that match whole numbers within these bounds and no others.

    With `decimals` up to three digits after the point besides, as far as that is certain by the digits before it. Empty where no
    whole number is within them, or they have more than 15 digits.
    """
    low, high = math.ceil(least), math.floor(most)
    if low > high or max(abs(low), abs(high)) >= 10**_DIGITS_MAX:
        return []
    found = [*_signed(low, high)]
    if decimals:
        point = [f".{_ANY * count}" for count in range(1, _DECIMALS_MAX + 1)]
        found += [whole + part for whole in _whole(max(low, 0), high - 1) for part in point]
        found += [f"-{whole}{part}" for whole in _whole(max(-high, 0), -low - 1) for part in point]
    return found


def _signed(low: int, high: int) -> Iterator[str]:
    yield from (f"-{whole}" for whole in _whole(max(-high, 1), -low))
    yield from _whole(max(low, 0), high)


def _whole(low: int, high: int) -> Iterator[str]:
    """Of whole numbers from 0 on, without zeros before them."""
    for length in range(len(str(max(low, 0))), len(str(max(high, 0))) + 1):
        first, last = max(low, 10 ** (length - 1) if length > 1 else 0), min(high, 10**length - 1)
        if first <= last:
            yield from _of_length(str(first), str(last))


def _of_length(low: str, high: str) -> Iterator[str]:
    """Of texts of one length."""
    rest = len(low) - 1
    if low == high:
        yield low
    elif low[0] == high[0]:
        yield from (low[0] + text for text in _of_length(low[1:], high[1:]))
    else:
        first, last = int(low[0]), int(high[0])
        if low[1:].strip("0"):
            yield from (low[0] + text for text in _of_length(low[1:], "9" * rest))
            first += 1
        if high[1:].strip("9"):
            yield from (high[0] + text for text in _of_length("0" * rest, high[1:]))
            last -= 1
        if first <= last:
            yield (f"[{first}-{last}]" if first < last else str(first)) + _ANY * rest


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
