"""Reads as much of the configuration language of nats-server as an `authorization` block needs.

The language: https://docs.nats.io/running-a-nats-service/configuration, "Configuration file format".
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from edgematrix.errors import StateError

__all__ = ["Value", "read_configuration"]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r,;]+)|(?P<comment>(?:\#|//)[^\r\n]*)|(?P<line>\n)|(?P<mark>[{}\[\]:=])"""
    r"""|(?P<double>"(?:[^"\\\n]|\\.)*")|(?P<single>'[^'\n]*')|(?P<word>[^\s,;{}\[\]:="'\#]+)"""
)
_DEPTH_MAX = 20


class Value(msgspec.Struct):
    """A text, a list, or a map of keys, with the line that it begins in."""

    value: Any
    line: int


class _Token(msgspec.Struct):
    kind: str
    text: str
    line: int


def read_configuration(text: str) -> dict[str, Value]:
    """The keys of the top level. Includes and variables stay as they are written.

    Raises:
        StateError: it is no such configuration; the line is named.
    """
    return _Reader(_tokens(text)).keys(end="", depth=0)


def _tokens(text: str) -> list[_Token]:
    tokens, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise StateError(f"line {line}: {text[at : at + 40]!r} is not understood")
        kind, found = str(match.lastgroup), match.group()
        if kind == "line":
            line += 1
        elif kind == "double":
            try:
                tokens.append(_Token("text", msgspec.json.decode(found, type=str), line))
            except msgspec.DecodeError:
                raise StateError(f"line {line}: the text {found[:40]} is not understood") from None
        elif kind == "single":
            tokens.append(_Token("text", found[1:-1], line))
        elif kind in ("mark", "word"):
            if found.startswith("("):
                raise StateError(f"line {line}: a block of text in ( ) is not understood", remedy="write it in quotes")
            tokens.append(_Token("text" if kind == "word" else "mark", found, line))
        at = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def keys(self, *, end: str, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            token = self._next()
            if token is None:
                if end:
                    raise StateError(f"the file ends, expected {end!r}")
                return found
            if token.kind == "mark" and token.text == end:
                return found
            if token.kind != "text":
                raise StateError(f"line {token.line}: found {token.text!r}, expected a key")
            peek = self._tokens[self._at] if self._at < len(self._tokens) else None
            if peek is not None and peek.kind == "mark" and peek.text in (":", "="):
                self._at += 1
            if token.text in found:
                raise StateError(f"line {token.line}: {token.text[:40]!r} stands there twice", remedy="leave one of them")
            found[token.text] = self._value(depth + 1)

    def _value(self, depth: int) -> Value:
        token = self._next()
        if token is None or depth > _DEPTH_MAX:
            raise StateError("the file ends, expected a value" if token is None else f"line {token.line}: it is nested too deeply")
        if token.kind == "text":
            return Value(token.text, token.line)
        if token.text == "{":
            return Value(self.keys(end="}", depth=depth), token.line)
        if token.text == "[":
            items: list[Value] = []
            while self._at < len(self._tokens) and not self._ends_list():
                items.append(self._value(depth + 1))
            if self._next() is None:
                raise StateError("the file ends, expected ']'")
            return Value(items, token.line)
        raise StateError(f"line {token.line}: found {token.text!r}, expected a value")

    def _ends_list(self) -> bool:
        token = self._tokens[self._at]
        return token.kind == "mark" and token.text == "]"

    def _next(self) -> _Token | None:
        if self._at >= len(self._tokens):
            return None
        self._at += 1
        return self._tokens[self._at - 1]
