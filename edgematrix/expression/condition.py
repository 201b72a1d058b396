"""Expressions and conditions: compiled once, evaluated in a scope."""

from __future__ import annotations

from collections.abc import Mapping

from edgematrix.errors import ExpressionError
from edgematrix.expression.fast import quick
from edgematrix.expression.library import Program, Refusal, program
from edgematrix.expression.names import Key, Read, Scope, Shape, key_of, reader
from edgematrix.expression.source import VARIABLE, read_source
from edgematrix.expression.values import finished

__all__ = ["Condition", "Expression"]

_SHARED_MAX = 1_024
"""Expressions that are kept for sharing."""


class Expression:
    """One CEL expression over named values.

    `gives` is the type that it is known to give (`bool`, `int`, `double`, `string`, …), `dyn` where only the run
    tells. `constant` is True where it is a literal. `roots` are the names of the scope that it reads.
    """

    __slots__ = ("_run", "constant", "gives", "roots", "text")

    def __init__(self, text: str, run: Read, gives: str, *, constant: bool, roots: frozenset[str]) -> None:
        self.text = text
        self._run = run
        self.gives = gives
        self.constant = constant
        self.roots = roots

    @classmethod
    def compile(cls, text: str, names: Mapping[str, Shape], *, whole: str | None = None, start: int = 0) -> Expression:
        """Compile an expression that stands at `start` of the text `whole` (by default it is the whole).

        Rules with the same text over the same names share one expression.

        Raises:
            ExpressionError: its syntax, a name, a function or a type is wrong; `where` is `line:column` in `whole`.
        """
        key = (text, key_of(names))
        found = _shared.get(key)
        if found is None:
            found = cls._compile(text, names, whole, start)
            if len(_shared) >= _SHARED_MAX:
                _shared.clear()
            _shared[key] = found
        return found

    @classmethod
    def _compile(cls, text: str, names: Mapping[str, Shape], whole: str | None, start: int) -> Expression:
        source = read_source(text, names, whole, start)
        roots = frozenset(path[0] for path in source.paths)
        simple = quick(source)
        if simple is not None:
            return cls(text, simple.evaluate, simple.gives, constant=simple.constant, roots=roots)
        try:
            compiled = program(source.canonical, source.effort)
        except Refusal as refusal:
            raise source.error(_renamed(refusal.what, source.paths), source.original(refusal.offset)) from None
        return cls(text, _runner(source.paths, compiled), compiled.gives, constant=False, roots=roots)

    def evaluate(self, scope: Scope) -> object:
        """The value in this scope, in JSON's types; timestamps as RFC 3339 text, durations as text such as `90s`.

        Raises:
            ExpressionError: something that it needs is missing, a type does not fit, or it would cost too much.
        """
        return finished(self._run(scope))


_shared: dict[tuple[str, Key], Expression] = {}


class Condition:
    """An expression that gives true or false."""

    __slots__ = ("_expression",)

    def __init__(self, expression: Expression) -> None:
        self._expression = expression

    @classmethod
    def compile(cls, text: str, names: Mapping[str, Shape]) -> Condition:
        """Compile a condition.

        Raises:
            ExpressionError: as `Expression.compile`, and where it is known to give anything but true or false.
        """
        return cls.of(Expression.compile(text, names), text)

    @classmethod
    def of(cls, expression: Expression, whole: str) -> Condition:
        """Take an expression that stands in the text `whole` as a condition.

        Raises:
            ExpressionError: it is known to give anything but true or false.
        """
        if expression.gives not in ("bool", "dyn"):
            raise ExpressionError(f"a condition gives true or false, {whole[:80]!r} gives {expression.gives}", where="1:1")
        return cls(expression)

    @property
    def text(self) -> str:
        """As written."""
        return self._expression.text

    def evaluate(self, scope: Scope) -> object:
        """What the expression gives, whatever its type.

        Raises:
            ExpressionError: the evaluation failed.
        """
        return self._expression.evaluate(scope)

    def holds(self, scope: Scope) -> bool:
        """Whether the condition holds.

        Raises:
            ExpressionError: the evaluation failed, or gave neither true nor false.
        """
        found = self._expression._run(scope)  # noqa: SLF001  one module; a bool needs no conversion
        if found is True or found is False:
            return found
        raise ExpressionError(f"{self.text[:80]!r} gave {_shown(found)}, expected true or false")


def _runner(paths: tuple[tuple[str, ...], ...], compiled: Program) -> Read:
    reads = tuple(reader(path) for path in paths)

    def run(scope: Scope) -> object:
        values: dict[int, object] = {}
        for number, read in enumerate(reads):
            try:
                values[number] = read(scope)
            except ExpressionError:
                continue  # an error only where the value is needed: `has(a.b) || true`
        try:
            return compiled.run(values)
        except KeyError as missing:
            reads[missing.args[0]](scope)
            raise
        except ExpressionError as error:
            raise ExpressionError(_renamed(error.what, paths), remedy=error.remedy) from None

    return run


def _renamed(what: str, paths: tuple[tuple[str, ...], ...]) -> str:
    """Put the paths back where a message names a variable."""
    for number in range(len(paths) - 1, -1, -1):
        what = what.replace(f"{VARIABLE}{number}", ".".join(paths[number]))
    return what


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)[:60]
