"""Scalars of a YAML file by the 1.2 core schema (yaml.org/spec/1.2.2, 10.3), narrowed to what JSON can say."""

from __future__ import annotations

import re

__all__ = ["resolve_plain"]

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_FOREIGN_CASE = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "Null": "null", "NULL": "null"}
_NUMBER_STARTS = frozenset("0123456789+-.")
_DIGITS_MAX = 20
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


def resolve_plain(text: str) -> str | float | bool | None:
    """The value of an unquoted scalar: null, true or false, a number, else the text itself.

    `True`, `NULL` and the like are refused: other readers disagree on whether they are words.

    Raises:
        ValueError: an infinity, NaN, a number that is too large, or a word that is no boolean here and is one elsewhere.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMBER_STARTS:
        return _number(text)
    if text in _FOREIGN_CASE:
        raise ValueError(f"found {text}, expected {_FOREIGN_CASE[text]}, or quotes around it if the text is meant")
    return text


def _number(text: str) -> str | float:
    base = 8 if _OCTAL.fullmatch(text) else 16 if _HEX.fullmatch(text) else 10
    if base != 10 or _INT.fullmatch(text):  # noqa: PLR2004 - the decimal base
        whole = int(text, base) if len(text) <= _DIGITS_MAX + 1 else _INT_MAX + 1
        if not _INT_MIN <= whole <= _INT_MAX:
            raise ValueError(f"the number {text[:40]} does not fit into 64 bits; quotes around it make it a text")
        return whole
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number - number != 0.0:
            raise ValueError(f"the number {text[:40]} is too large")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} has no JSON form; quotes around it make it a text")
    return text
