"""Expressions that need no CEL library: a path, a literal, and the comparison of a path with a literal or another path.

They mean exactly what CEL means (cel-spec, "Equality" and "Ordering"); a property test holds them against the library.
A path alone gives its value as it is, also where CEL could not hold it (a whole number beyond 64 bits).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import msgspec

from edgematrix.errors import ExpressionError
from edgematrix.expression.lexer import Kind, Token, scan
from edgematrix.expression.names import Read, Scope, reader
from edgematrix.expression.source import VARIABLE, Source
from edgematrix.expression.values import INT_LEAST, INT_MOST, Timestamp

__all__ = ["Quick", "quick"]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_SIGN_STARTS = frozenset("<>=!")
_SIGNS_OF_TWO = frozenset({"<=", ">=", "==", "!="})
_TOKENS_MAX = 80
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_INT64_MOST = 2**63 - 1
_WORDS = {"true": True, "false": False, "null": None}


class Quick(msgspec.Struct, frozen=True):
    """An expression that is judged without the library. `gives` is its CEL type, `dyn` where only the run tells."""

    evaluate: Read
    gives: str
    constant: bool = False


class _Literal(msgspec.Struct, frozen=True):
    value: object


_Side = _Literal | Read


def quick(source: Source) -> Quick | None:
    """The expression as closures, if it is simple enough; None if the library must judge it."""
    sides = _split(source)
    if sides is None:
        return None
    left, sign, right = sides
    if not sign:
        return _alone(left)
    if isinstance(left, _Literal):
        left, sign, right = right, _FLIPPED[sign], left
    run: Read | None = None
    if isinstance(left, _Literal):
        pass
    elif not isinstance(right, _Literal):
        run = _order_paths(left, right, sign) if sign in _ORDER else None
    elif sign in _ORDER:
        run = _order_literal(left, sign, right.value)
    else:
        run = _equality(left, right.value, negated=sign == "!=")
    return None if run is None else Quick(run, "bool")


def _alone(side: _Side) -> Quick:
    if isinstance(side, _Literal):
        value = side.value
        return Quick(lambda _scope: value, _type_of(value), constant=True)
    return Quick(side, "dyn")


def _split(source: Source) -> tuple[_Side, str, _Side] | None:
    """The expression as a side, a sign and a side; the sign is empty if there is one side only."""
    if len(source.tokens) > _TOKENS_MAX:
        return None
    tokens = list(scan(source.canonical))
    for position, token in enumerate(tokens):
        if token.text in _SIGN_STARTS:
            length = 2 if "".join(part.text for part in tokens[position : position + 2]) in _SIGNS_OF_TWO else 1
            sign = source.canonical[token.start : tokens[min(position + length, len(tokens)) - 1].end]
            left, right = _side(tokens[:position], source), _side(tokens[position + length :], source)
            return None if left is None or right is None or sign not in _FLIPPED else (left, sign, right)
    side = _side(tokens, source)
    return None if side is None else (side, "", side)


def _side(tokens: list[Token], source: Source) -> _Side | None:
    minus = len(tokens) == 2 and tokens[0].text == "-"  # noqa: PLR2004  a sign and a number
    if not tokens or (len(tokens) > 1 and not minus):
        return None
    token = tokens[-1]
    if token.kind is Kind.NUMBER:
        return _number(token.text, negative=minus)
    if minus:
        return None
    if token.kind is Kind.TEXT:
        simple = token.text[0] in "\"'" and token.text[:3] not in ('"""', "'''") and "\\" not in token.text
        return _Literal(token.text[1:-1]) if simple else None
    if token.text in _WORDS:
        return _Literal(_WORDS[token.text])
    return reader(source.paths[int(token.text[len(VARIABLE) :])]) if token.text.startswith(VARIABLE) else None


def _number(text: str, *, negative: bool) -> _Literal | None:
    if text.isdigit():
        whole = int(text)
        return _Literal(-whole if negative else whole) if whole <= _INT64_MOST else None
    try:
        number = float(text)
    except ValueError:
        return None
    return _Literal(-number if negative else number) if number - number == 0.0 else None


def _type_of(value: object) -> str:
    return "null" if value is None else {bool: "bool", int: "int", float: "double"}.get(type(value), "string")


def _equality(read: Read, literal: object, *, negated: bool) -> Read:
    if type(literal) is int or type(literal) is float:
        as_float = float(literal)

        def same(value: object) -> bool:
            if type(value) is int:
                _check_range(value)
                return value == literal if type(literal) is int else float(value) == as_float
            return type(value) is float and value == as_float
    elif literal is None or type(literal) is bool:

        def same(value: object) -> bool:
            return value is literal or _unlike(value)
    else:

        def same(value: object) -> bool:
            return value == literal if type(value) is str else _unlike(value)

    if negated:
        return lambda scope: not same(read(scope))
    return lambda scope: same(read(scope))


def _order_literal(read: Read, sign: str, literal: object) -> Read | None:
    order = _ORDER[sign]
    if type(literal) is int or type(literal) is float:
        as_float = float(literal)
        whole = type(literal) is int

        def judge(scope: Scope) -> bool:
            value = read(scope)
            if type(value) is float:
                return order(value, as_float)
            if type(value) is not int:
                raise _no_order(sign, value, literal)
            _check_range(value)
            return order(value, literal) if whole else order(float(value), as_float)
    elif literal is None:
        return None
    else:
        wanted = type(literal)

        def judge(scope: Scope) -> bool:
            value = read(scope)
            if type(value) is not wanted:
                raise _no_order(sign, value, literal)
            return order(value, literal)

    return judge


def _order_paths(left: Read, right: Read, sign: str) -> Read:
    order = _ORDER[sign]

    def judge(scope: Scope) -> bool:
        a, b = left(scope), right(scope)
        kind = type(a)
        if kind is type(b):
            if kind is int:
                _check_range(a)  # type: ignore[arg-type]  # kind is int
                _check_range(b)  # type: ignore[arg-type]  # kind is int
            elif kind not in (float, str, bool, bytes, Timestamp):
                raise _no_order(sign, a, b)
            return order(a, b)
        if {kind, type(b)} != {int, float}:
            raise _no_order(sign, a, b)
        for number in (a, b):
            if type(number) is int:
                _check_range(number)
        return order(float(a), float(b))  # type: ignore[arg-type]  # both are numbers

    return judge


def _unlike(value: object) -> bool:
    """A value of another type: unequal, unless CEL could not hold it."""
    if type(value) is int:
        _check_range(value)
    return False


def _check_range(value: int) -> None:
    if not INT_LEAST <= value <= INT_MOST:
        raise ExpressionError("a whole number is beyond 64 bits, which CEL cannot hold")


def _no_order(sign: str, left: object, right: object) -> ExpressionError:
    return ExpressionError(f"`{sign}` does not take ({_name_of(left)}, {_name_of(right)})")


def _name_of(value: object) -> str:
    if value is None or type(value) in (bool, int, float, str):
        return _type_of(value)
    return {list: "list", dict: "map", bytes: "bytes", Timestamp: "timestamp"}.get(type(value), "dyn")
