"""Values with `${…}` in their texts (docs/spec/triggers.md, "Actions")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from edgematrix.errors import ExpressionError
from edgematrix.expression.condition import Expression
from edgematrix.expression.lexer import place, scan
from edgematrix.expression.names import Key, Read, Scope, Shape, key_of
from edgematrix.expression.source import free_names
from edgematrix.expression.values import written

__all__ = ["Template", "compile_pieces", "literal_pieces", "template_names"]

_DEPTH_MAX = 64
_SHARED_MAX = 1_024
"""Texts that are kept compiled, for sharing."""


class Template:
    """A JSON-like value; each `${…}` in its texts is filled in when it is rendered. Keys are taken as they are.

    A text that is exactly one `${…}` becomes the expression's value, type and all. In a longer text the value is
    written out: text as it is, whole numbers without `.0`, the rest as JSON. `$${` stands for `${`.
    """

    __slots__ = ("_value", "read")

    def __init__(self, read: Read | None, value: object = None) -> None:
        self.read = read
        """What fills it in; None where it holds no `${…}`, so that every scope gives the same."""
        self._value = value

    @property
    def constant(self) -> bool:
        """Whether every scope gives the same."""
        return self.read is None

    @classmethod
    def compile(cls, value: object, names: Mapping[str, Shape]) -> Template:
        """Compile the texts in a value. Rules with the same text over the same names share what it is compiled to.

        Raises:
            ExpressionError: an expression is wrong. `where` is `line:column` in its text, after the path to the text
                in the value if it is not the value itself (`battery.0 1:5`).
        """
        if isinstance(value, str) and "${" in value:
            return _of_text(value, names)
        read = _compile(value, names, ())
        return cls(None, _unescaped(value)) if read is None else cls(read)

    def render(self, scope: Scope) -> object:
        """The value in this scope. What is constant in it is shared, not copied.

        Raises:
            ExpressionError: an expression failed.
        """
        return self._value if self.read is None else self.read(scope)


def compile_pieces(text: str, names: Mapping[str, Shape]) -> list[str | Expression]:
    """Split a text into what stands as it is and its expressions, in order.

    Raises:
        ExpressionError: an expression is wrong, or has no `}`; `where` is `line:column`.
    """
    return [piece if start < 0 else Expression.compile(piece, names, whole=text, start=start) for piece, start in _pieces(text)]


def literal_pieces(text: str) -> list[str | None]:
    """The same with None in place of each expression, none of which is compiled.

    Raises:
        ExpressionError: an expression has no `}`; `where` is `line:column`.
    """
    return [piece if start < 0 else None for piece, start in _pieces(text)]


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """What stands as it is, with -1, and what stands in `${…}`, with where that begins."""
    literal = ""
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        literal += text[position:dollar]
        if text.startswith("$${", dollar):
            literal += "${"
            position = dollar + 3
        elif text.startswith("${", dollar):
            end = _end_of(text, dollar + 2)
            if literal:
                yield literal, -1
            literal = ""
            yield text[dollar + 2 : end], dollar + 2
            position = end + 1
        else:
            literal += "$"
            position = dollar + 1
    literal += text[position:]
    if literal:
        yield literal, -1


def template_names(text: str) -> tuple[str, ...]:
    """The names that the expressions of a text read, each once, in order: for a scope that is not known before it comes.

    Raises:
        ExpressionError: an expression has no `}`; `where` is `line:column`.
    """
    found: dict[str, None] = {}
    position = 0
    while (dollar := text.find("${", position)) >= 0:
        position = dollar + 2
        if dollar and text[dollar - 1] == "$":
            continue
        end = _end_of(text, position)
        with suppress(ExpressionError):  # told, with its place, by whoever compiles the text
            found |= dict.fromkeys(free_names(text[position:end]))
        position = end + 1
    return tuple(found)


def _end_of(text: str, start: int) -> int:
    """Where the `}` is that ends the expression at `start`; braces in it and its texts are passed over."""
    depth = 0
    for token in scan(text, start):
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            if depth == 0:
                return token.start
            depth -= 1
    raise ExpressionError("`${` without its `}`", where=place(text, start - 2), remedy="write $${ for the characters themselves")


def _compile(value: object, names: Mapping[str, Shape], path: tuple[str, ...]) -> Read | None:
    """How to render a value; None where nothing in it depends on the scope."""
    if isinstance(value, str):
        return _inside(value, names, path) if "${" in value else None
    if len(path) > _DEPTH_MAX:
        raise ExpressionError(f"the value nests deeper than {_DEPTH_MAX}", where=".".join(path))
    if isinstance(value, Mapping):
        fields = [(key, part, _compile(part, names, (*path, str(key)))) for key, part in value.items()]
        return _render_fields(fields) if any(render for _, _, render in fields) else None
    if isinstance(value, (list, tuple)):
        parts = [(part, _compile(part, names, (*path, str(number)))) for number, part in enumerate(value)]
        return _render_parts(parts) if any(render for _, render in parts) else None
    return None


def _inside(text: str, names: Mapping[str, Shape], path: tuple[str, ...]) -> Read | None:
    """As `_compile`, for a text in a value."""
    try:
        return _of_text(text, names).read
    except ExpressionError as error:
        raise ExpressionError(error.what, where=f"{'.'.join(path)} {error.where}", remedy=error.remedy) from None


def _of_text(text: str, names: Mapping[str, Shape]) -> Template:
    key = (text, key_of(names))
    found = _shared.get(key)
    if found is None:
        found = _of_pieces(compile_pieces(text, names))
        if len(_shared) >= _SHARED_MAX:
            _shared.clear()
        _shared[key] = found
    return found


_shared: dict[tuple[str, Key], Template] = {}


def _of_pieces(pieces: list[str | Expression]) -> Template:
    if all(isinstance(piece, str) for piece in pieces):
        return Template(None, "".join(map(str, pieces)))
    if len(pieces) == 1 and isinstance(pieces[0], Expression):
        return Template(pieces[0].evaluate)
    return Template(lambda scope: "".join([piece if isinstance(piece, str) else written(piece.evaluate(scope)) for piece in pieces]))


def _render_fields(fields: list[tuple[object, object, Read | None]]) -> Read:
    settled = [(key, part if render else _unescaped(part), render) for key, part, render in fields]
    return lambda scope: {key: part if render is None else render(scope) for key, part, render in settled}


def _render_parts(parts: list[tuple[object, Read | None]]) -> Read:
    settled = [(part if render else _unescaped(part), render) for part, render in parts]
    return lambda scope: [part if render is None else render(scope) for part, render in settled]


def _unescaped(value: object) -> object:
    """A constant value with each `$${` as `${`."""
    if isinstance(value, str):
        return value.replace("$${", "${") if "$${" in value else value
    if isinstance(value, Mapping):
        return {key: _unescaped(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unescaped(part) for part in value]
    return value
