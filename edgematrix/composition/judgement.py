"""CEL over one value: the conditions of edges and cases, the key of a pool, the end of a chat."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from edgematrix.expression import ANY, Condition, Expression, Shape, free_names

__all__ = ["Judgement"]

_WHOLE: Final = "value"
_NOTHING: Final[Mapping[str, Shape]] = {}
_NO_FIELDS: Final[Mapping[str, object]] = {}


class Judgement:
    """An expression that names the fields of a value, `value` for the whole of it, and what else its place offers.

    A field that the value lacks is null, and so is each where the value is no object. `value` and what the place offers
    hide fields of the same name.
    """

    __slots__ = ("_condition", "_expression", "_fields", "_whole")

    def __init__(self, expression: Expression, offered: Collection[str]) -> None:
        self._expression = expression
        self._condition = Condition(expression)
        self._whole = _WHOLE in expression.roots
        self._fields = tuple(sorted(expression.roots - {_WHOLE, *offered}))

    @classmethod
    def compile(cls, text: str, fields: Collection[str] | None, extra: Mapping[str, Shape] = _NOTHING) -> Judgement:
        """Compile an expression of any type.

        Args:
            text: CEL.
            fields: the fields of the value; None where they are not known, then any name is one of them.
            extra: what the expression may name besides, by name; the values are given when it is judged.

        Raises:
            ExpressionError: its syntax, a name, a function or a type is wrong; `where` is `line:column` in it.
        """
        known = free_names(text) if fields is None else fields
        names: dict[str, Shape] = dict.fromkeys(sorted(known), ANY)
        names |= {_WHOLE: ANY, **extra}
        return cls(Expression.compile(text, names), extra)

    @classmethod
    def condition(cls, text: str, fields: Collection[str] | None, extra: Mapping[str, Shape] = _NOTHING) -> Judgement:
        """Compile an expression that is to give true or false.

        Raises:
            ExpressionError: as `compile`, and where it is known to give anything else.
        """
        found = cls.compile(text, fields, extra)
        Condition.of(found._expression, text)  # noqa: SLF001 - of this class
        return found

    @property
    def text(self) -> str:
        """As written."""
        return self._expression.text

    def holds(self, value: object, **extra: object) -> bool:
        """Whether it is true of a value.

        Raises:
            ExpressionError: the evaluation failed, or gave neither true nor false.
        """
        return self._condition.holds(self._scope(value, extra))

    def evaluate(self, value: object, **extra: object) -> object:
        """What it gives for a value, in JSON's types.

        Raises:
            ExpressionError: the evaluation failed.
        """
        return self._expression.evaluate(self._scope(value, extra))

    def _scope(self, value: object, extra: dict[str, object]) -> dict[str, object]:
        scope = extra
        if self._fields:
            whole = value if isinstance(value, Mapping) else _NO_FIELDS
            for name in self._fields:
                scope[name] = whole.get(name)
        if self._whole:
            scope[_WHOLE] = value
        return scope
