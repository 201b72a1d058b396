"""The tokens of CEL, to find paths, macros and the end of a `${…}` without loading the CEL library (cel-spec, "Syntax")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

import msgspec

__all__ = ["Kind", "Token", "place", "scan"]


class Kind(Enum):
    """What a token is. OTHER is any single character that is none of the rest, for the parser to judge."""

    NAME = "name"
    NUMBER = "number"
    TEXT = "text"
    OTHER = "other"


class Token(msgspec.Struct, frozen=True, gc=False):
    """One token; `start` and `end` are offsets into the scanned text."""

    kind: Kind
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""
      (?P<space>[\t\n\f\r\ ]+|//[^\n]*)
    | (?P<text>[bB]?(?:
          [rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n\r]*"|'[^'\n\r]*')
        | \"{3}(?:[^\\]|\\.)*?\"{3} | '{3}(?:[^\\]|\\.)*?'{3}
        | "(?:[^"\\\n\r]|\\.)*" | '(?:[^'\\\n\r]|\\.)*'))
    | (?P<number>0[xX][0-9a-fA-F]+[uU]? | (?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)? | [0-9]+[uU]?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


_KINDS = {kind.value: kind for kind in Kind}


def scan(text: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens of `text` from `start`; white space and comments are left out. Any text has tokens."""
    for match in _TOKEN.finditer(text, start):
        kind = _KINDS.get(match.lastgroup or "")
        if kind is not None:
            yield Token(kind, match.group(), match.start(), match.end())


def place(text: str, offset: int) -> str:
    """Where an offset is, as `line:column`, both from 1."""
    return f"{text.count(chr(10), 0, offset) + 1}:{offset - text.rfind(chr(10), 0, offset)}"
