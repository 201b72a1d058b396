"""One expression as written: its tokens, the paths that it reads, and the same expression over numbered variables.

Every path that the scope must give (`temp.value`) becomes one variable of the *canonical* text. So only what an
expression names is handed to the CEL library, which copies its whole input, and rules that differ in the names of
their sources alone share one compiled program.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

import msgspec

from edgematrix.errors import ExpressionError
from edgematrix.expression.lexer import Kind, Token, place, scan
from edgematrix.expression.names import Any_, Shape, nearest

__all__ = ["LENGTH_MAX", "MACROS_NESTED_MAX", "PATHS_MAX", "TOKENS_MAX", "VARIABLE", "Effort", "Source", "free_names", "read_source"]

LENGTH_MAX = 4_000
"""Characters of one expression."""
TOKENS_MAX = 1_000
PATHS_MAX = 64
"""Different paths that one expression may read."""
MACROS_NESTED_MAX = 3
VARIABLE = "em__v"
"""How the variables of a canonical text begin; no name in an expression may."""

_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_BUILDING = frozenset({"map", "filter"})
_KEYWORDS = frozenset({"true", "false", "null", "in"})
_TYPES = frozenset({"bool", "bytes", "double", "google", "int", "list", "map", "null_type", "string", "type", "uint"})


class Effort(msgspec.Struct, frozen=True):
    """What an evaluation may cost, as far as the text tells.

    `length` is how many tokens there are, `depth` how deep macros nest, `inner` which variables occur inside the body
    of a macro, where they are judged again and again; so is all that a macro binds, where a macro inside it `reuses`
    it. `builds` tells that a macro makes a list.
    """

    length: int
    depth: int
    inner: frozenset[int]
    reuses: bool
    builds: bool


class Source(msgspec.Struct, frozen=True):
    """An expression whose names have been checked. `paths[i]` is what variable i of `canonical` stands for."""

    text: str
    tokens: tuple[Token, ...]
    canonical: str
    paths: tuple[tuple[str, ...], ...]
    effort: Effort
    whole: str
    """The text that the expression stands in, for places in errors."""
    start: int
    _cuts: tuple[tuple[int, int], ...]

    def error(self, what: str, offset: int = 0, remedy: str = "") -> ExpressionError:
        """An error about the token at `offset` of the expression."""
        return ExpressionError(what, where=place(self.whole, self.start + offset), remedy=remedy)

    def original(self, offset: int) -> int:
        """The offset in `text` of an offset in `canonical`."""
        cut = bisect_right(self._cuts, (offset, len(self.text))) - 1
        if cut < 0:
            return offset
        canonical, original = self._cuts[cut]
        return min(original + offset - canonical, len(self.text))


def read_source(text: str, names: Mapping[str, Shape], whole: str | None = None, start: int = 0) -> Source:
    """Read an expression that stands at `start` of `whole` (by default it is the whole), and check its names.

    Raises:
        ExpressionError: it is too long, names something that is not there, or has a text without an end.
    """
    whole = text if whole is None else whole
    if len(text) > LENGTH_MAX:
        raise ExpressionError(f"the expression has {len(text)} characters, at most {LENGTH_MAX} are allowed", where=place(whole, start))
    tokens = tuple(scan(text))
    reading = _Reading(text, tokens, names, whole, start)
    return reading.read()


def free_names(text: str) -> tuple[str, ...]:
    """The names that an expression takes from its scope, where it is not known what the scope has, each once, as they come.

    What a macro binds is none of them, nor is a word of CEL's own such as `int`; `type` is one unless it is called.

    Raises:
        ExpressionError: it is too long, or a variable of a macro has a name that is taken.
    """
    if len(text) > LENGTH_MAX:
        raise ExpressionError(f"the expression has {len(text)} characters, at most {LENGTH_MAX} are allowed", where=place(text, 0))
    return _Reading(text, tuple(scan(text)), {}, text, 0).free()


class _Reading:
    """The state of reading one expression, left to right."""

    def __init__(self, text: str, tokens: tuple[Token, ...], names: Mapping[str, Shape], whole: str, start: int) -> None:
        self.text, self.tokens, self.names, self.whole, self.start = text, tokens, names, whole, start
        self.paths: dict[tuple[str, ...], int] = {}
        self.pieces: list[str] = []
        self.cuts: list[tuple[int, int]] = []
        self.inner: set[int] = set()
        self.nesting: list[str] = []
        """For each open bracket, the variable that its macro binds; empty if it is no macro's."""
        self.depth = 0
        self.reuses = False
        self.builds = False
        self.copied = 0
        self.length = 0

    def fail(self, what: str, token: Token, remedy: str = "") -> ExpressionError:
        return ExpressionError(what, where=place(self.whole, self.start + token.start), remedy=remedy)

    def read(self) -> Source:
        if len(self.tokens) > TOKENS_MAX:
            raise self.fail(f"the expression has {len(self.tokens)} parts, at most {TOKENS_MAX} are allowed", self.tokens[0])
        bound = self._bound()
        position = 0
        while position < len(self.tokens):
            token = self.tokens[position]
            if token.kind is Kind.OTHER:
                self._bracket(position)
            elif token.kind is Kind.NAME and self._is_root(position, bound):
                position = self._path(position)
            position += 1
        self._copy(len(self.text))
        return Source(
            text=self.text,
            tokens=self.tokens,
            canonical="".join(self.pieces),
            paths=tuple(self.paths),
            effort=Effort(len(self.tokens), self.depth, frozenset(self.inner), self.reuses, self.builds),
            whole=self.whole,
            start=self.start,
            _cuts=tuple(self.cuts),
        )

    def free(self) -> tuple[str, ...]:
        taken = self._bound() | _KEYWORDS | (_TYPES - {"type"})
        found: dict[str, None] = {}
        for position, token in enumerate(self.tokens):
            if token.kind is Kind.NAME and token.text not in taken and self._stands_alone(position):
                found[token.text] = None
        return tuple(found)

    def _stands_alone(self, position: int) -> bool:
        """Whether a name is neither a field of something nor called."""
        return self._at(position - 1) != "." and self._at(position + 1) not in ("(", "{")

    def _at(self, position: int) -> str:
        return self.tokens[position].text if 0 <= position < len(self.tokens) else ""

    def _bound(self) -> frozenset[str]:
        """The variables that macros bind."""
        bound: set[str] = set()
        for position in range(len(self.tokens) - 1):
            name = self.tokens[position + 1]
            if name.kind is not Kind.NAME or not self._opens_macro(position):
                continue
            if name.text in self.names or name.text.startswith(VARIABLE[:4]):
                raise self.fail(f"the variable `{name.text}` of `{self._at(position - 1)}` has a name that is taken", name)
            bound.add(name.text)
        return frozenset(bound)

    def _opens_macro(self, position: int) -> bool:
        return (
            self._at(position) == "("
            and self._at(position - 1) in _MACROS
            and self._at(position - 2) == "."
            and position + 2 < len(self.tokens)
            and self._at(position + 2) == ","
        )

    def _bracket(self, position: int) -> None:
        token = self.tokens[position]
        if token.text in "([{":
            is_macro = self._opens_macro(position)
            self.nesting.append(self._at(position + 1) if is_macro else "")
            self.builds = self.builds or (is_macro and self._at(position - 1) in _BUILDING)
            self.depth = max(self.depth, sum(map(bool, self.nesting)))
            if self.depth > MACROS_NESTED_MAX:
                raise self.fail(f"macros nest deeper than {MACROS_NESTED_MAX}", token)
        elif token.text in ")]}" and self.nesting:
            self.nesting.pop()
        elif token.text in "\"'":
            raise self.fail("a text without its end", token, "a quote is missing, or stands for an escape that CEL does not know")

    def _is_root(self, position: int, bound: frozenset[str]) -> bool:
        token = self.tokens[position]
        if token.text in _KEYWORDS or not self._stands_alone(position):
            return False
        if token.text in bound:
            around = [name for name in self.nesting if name]
            self.reuses = self.reuses or token.text in around[:-1]
            return False
        if token.text in self.names:
            return True
        if token.text in _TYPES:
            return False
        close = nearest(token.text, self.names)
        remedy = f"did you mean `{close}`?" if close else f"known here: {', '.join(sorted(self.names)[:20]) or 'nothing'}"
        raise self.fail(f"unknown name `{token.text}`", token, remedy)

    def _path(self, position: int) -> int:
        """Replace the path that begins at `position` by a variable; return the position of its last token."""
        last = position
        while self._at(last + 1) == "." and last + 2 < len(self.tokens) and self._is_field(last + 2):
            last += 2
        in_has = self._at(position - 1) == "(" and self._at(position - 2) == "has" and self._at(position - 3) != "."
        self._check_fields(position, last)
        if in_has and last > position:
            last -= 2
        path = tuple(self.tokens[step].text for step in range(position, last + 1, 2))
        number = self.paths.setdefault(path, len(self.paths))
        if number >= PATHS_MAX:
            raise self.fail(f"the expression reads more than {PATHS_MAX} values", self.tokens[position])
        if any(self.nesting):  # an empty name is no macro's
            self.inner.add(number)
        self._copy(self.tokens[position].start)
        self.pieces.append(f"{VARIABLE}{number}")
        self.cuts.append((self.length, self.tokens[position].start))
        self.length += len(self.pieces[-1])
        self.copied = self.tokens[last].end
        self.cuts.append((self.length, self.copied))
        return last

    def _is_field(self, position: int) -> bool:
        token = self.tokens[position]
        return token.kind is Kind.NAME and token.text not in _KEYWORDS and self._at(position + 1) != "("

    def _check_fields(self, position: int, last: int) -> None:
        shape: Shape = self.names[self.tokens[position].text]
        for step in range(position + 2, last + 1, 2):
            if isinstance(shape, Any_):
                return
            field = self.tokens[step]
            if field.text not in shape:
                so_far = "".join(token.text for token in self.tokens[position : step - 1])
                close = nearest(field.text, shape)
                remedy = f"did you mean `{so_far}.{close}`?" if close else f"known there: {', '.join(sorted(shape)[:20]) or 'nothing'}"
                raise self.fail(f"`{so_far}` has no field `{field.text}`", field, remedy)
            shape = shape[field.text]

    def _copy(self, end: int) -> None:
        piece = self.text[self.copied : end]
        self.pieces.append(piece)
        self.length += len(piece)
        self.copied = end
