"""`${secret:name}` in a text: it stands for a secret, and stays as it is until somebody uses it. `$${` stands for `${`."""

from __future__ import annotations

import re
from collections.abc import Callable

from edgematrix.errors import PathError
from edgematrix.protocol.path import check_name

__all__ = ["FORM", "fill", "is_reference", "may_refer", "names_in"]

FORM = "${secret:name}"
_REFERENCE = re.compile(r"(?<!\$)\$\{secret:([^{}]*)(\}?)")
_MARK = "${secret:"


def may_refer(text: str) -> bool:
    """Whether a text may hold a reference: quick, for texts that hold none."""
    return _MARK in text and _REFERENCE.search(text) is not None


def is_reference(text: str) -> bool:
    """Whether a text is one reference, and nothing else."""
    found = _REFERENCE.fullmatch(text)
    return found is not None and bool(found[2])


def names_in(text: str) -> list[str]:
    """The names of the secrets that a text refers to, in order.

    Raises:
        ValueError: a reference is malformed; a remedy may follow the text after a semicolon.
    """
    return [_name(match) for match in _REFERENCE.finditer(text)]


def fill(text: str, value_of: Callable[[str], str]) -> str:
    """The text with what `value_of` gives for each name. What comes in is not read again.

    Raises:
        ValueError: a reference is malformed.
    """
    return _REFERENCE.sub(lambda match: value_of(_name(match)), text)


def _name(match: re.Match[str]) -> str:
    if not match[2]:
        raise ValueError(f"expected {FORM}, found {match[0][:80]!r} without its }}")
    try:
        return check_name(match[1], "the secret")
    except PathError as error:
        raise ValueError(f"{error.what}; {error.remedy or f'expected {FORM}'}") from None
