"""The CEL library behind a narrow door; it is loaded when the first expression needs it (27 ms, 6 MB).

`cel-expr-python` wraps Google's CEL in C++. Four things are done here that it leaves open:

- *Numbers mix.* Comparisons mix in the library already. For `+ - * / %` an extension adds the overloads of int with
  double, which the library asks for only where the operands differ: the whole number becomes a double, as in every
  comparison. So `v + 1` stays a whole number for 2 and holds for 1.5; whole numbers divide as in standard CEL
  (`1/2` is 0, `1/2.0` is 0.5). Binding all numbers as doubles instead would have lost `list[0]`, `%` and whole
  results. The checker still refuses what mixes only in literals or in `size(x) > 1.5`, and branches of two types in
  `c ? 1 : null`; such a finding is dropped, as the evaluation knows how to do it. So programs are evaluated
  unchecked, after the check.
- *Timestamps.* A variable of no type takes none, so a program has a variant for each set of variables that are one.
- *Cost.* The library stops after 10,000 turns of macros, but a turn may copy or search a large input (9,000 turns
  were seen to take 35 s and 11 GB), and `map` and `filter` copy their list in each turn. So turns and sizes that an
  input can bring are estimated before, and too much is refused.
- *Errors* are values there; here they are raised.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from edgematrix.errors import ExpressionError
from edgematrix.expression.source import PATHS_MAX, VARIABLE, Effort
from edgematrix.expression.values import Extent, Timestamp, admit, to_datetime

__all__ = ["PROGRAMS_MAX", "Program", "Refusal", "program"]

PROGRAMS_MAX = 1_024
"""Compiled programs that are kept for sharing."""
_COST_MAX = 100_000_000
_BUILD_MAX = 2_000_000
"""Turns times elements of macros that make lists: a list of 1,400, or nested ones of 200."""
_TURNS_MAX = 10_000
_RESULT_MAX = 262_144
_TIME = "em__t"

_FINDING = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_NO_OVERLOAD = re.compile(r"found no matching overload for '(\S+)' applied to '(?:\S+\.)?\((.*)\)'")
_NO_OVERLOAD_RUN = re.compile(r"No matching overloads found : (\S+?)\((.*)\)")
_CODES = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$| \(in container ''\)")
_EXPECTING = re.compile(r" expecting \{.*\}")
_UNBOUND = re.compile(rf'No value with name "(?:{VARIABLE}|{_TIME})(\d+)"')
_NUMERIC = frozenset({"int", "uint", "double", "dyn"})
_COMPARING = frozenset({"_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_", "@in"})
_ARITHMETIC = frozenset({"_+_", "_-_", "_*_", "_/_", "_%_"})


class Refusal(Exception):  # noqa: N818  a finding, which its catcher turns into an ExpressionError with its place
    """What the library's parser or checker says, and the offset in the canonical text."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


class Program:
    """A compiled canonical text."""

    __slots__ = ("_effort", "_text", "_variants", "gives")

    def __init__(self, text: str, gives: str, effort: Effort) -> None:
        self._text = text
        self._effort = effort
        self._variants: dict[int, Any] = {0: _library().compile(text, disable_check=True)}
        self.gives = gives
        """The type that the checker found: `bool`, `int`, … or `dyn`."""

    def run(self, values: dict[int, object]) -> object:
        """Evaluate with these variables; one that is missing is an error only where it is needed.

        Raises:
            KeyError: a missing variable was needed; the key is its number.
            ExpressionError: the evaluation failed, or would cost too much.
        """
        data: dict[str, object] = {}
        times = 0
        whole, inner = Extent(), Extent()
        for number, value in values.items():
            if type(value) is Timestamp:
                times |= 1 << number
                data[f"{_TIME}{number}"] = to_datetime(value)
            elif number in self._effort.inner:
                data[f"{VARIABLE}{number}"] = admit(value, inner)
            else:
                data[f"{VARIABLE}{number}"] = admit(value, whole)
        _check_cost(self._effort, whole, inner)
        variant = self._variants.get(times)
        if variant is None:
            variant = self._variants[times] = _library().compile(_with_times(self._text, times), disable_check=True)
        try:
            return _plain(variant.eval(data=data), [_RESULT_MAX])
        except RuntimeError as error:
            raise ExpressionError(_told(str(error))) from None


@lru_cache(PROGRAMS_MAX)
def program(text: str, effort: Effort) -> Program:
    """Check and compile a canonical text.

    Raises:
        Refusal: its syntax, a function or a type is wrong.
    """
    library = _library()
    try:
        checked = library.compile(text)
    except RuntimeError as error:
        finding = _first_finding(str(error), text)
        if finding is not None:
            raise finding from None
        gives = "dyn"
    else:
        gives = checked.return_type().name().lower()
    try:
        return Program(text, gives, effort)
    except RuntimeError as error:
        raise Refusal(_told(str(error)), 0) from None


@lru_cache(1)
def _library() -> Any:
    from cel_expr_python import cel  # noqa: PLC0415  loaded when the first expression needs it

    kinds = cel.Type

    def mixed(sign: str, compute: Callable[[float, float], float], *, doubles: bool = False) -> Any:
        pairs = [(kinds.INT, kinds.DOUBLE), (kinds.DOUBLE, kinds.INT)] + ([(kinds.DOUBLE, kinds.DOUBLE)] if doubles else [])
        overloads = [
            cel.Overload(f"mixed{sign}{number}", return_type=kinds.DOUBLE, parameters=list(pair), impl=compute)
            for number, pair in enumerate(pairs)
        ]
        return cel.FunctionDecl(sign, overloads)

    arithmetic = [
        mixed("_+_", operator.add),
        mixed("_-_", operator.sub),
        mixed("_*_", operator.mul),
        mixed("_/_", _divide),
        mixed("_%_", _remainder, doubles=True),
    ]
    variables = {f"{VARIABLE}{number}": kinds.DYN for number in range(PATHS_MAX)}
    variables.update({f"{_TIME}{number}": kinds.TIMESTAMP for number in range(PATHS_MAX)})
    return cel.NewEnv(variables=variables, extensions=[cel.CelExtension("mixed numbers", arithmetic)])


def _divide(a: float, b: float) -> float:
    """Divide as doubles do (IEEE 754): by zero an infinity, or NaN."""
    if b:
        return a / b
    return math.nan if not a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _remainder(a: float, b: float) -> float:
    """The remainder with the sign of the dividend, as `%` of whole numbers in CEL."""
    return math.fmod(a, b) if b else math.nan


def _check_cost(effort: Effort, whole: Extent, inner: Extent) -> None:
    """Refuse what could take longer than about a second, or more than about 100 MB: turns, times tokens, times size."""
    longest = max(whole.longest, inner.longest) + effort.length
    turns = min(longest**effort.depth, _TURNS_MAX)
    again = inner.weight + (whole.weight if effort.reuses else 0)
    remedy = "name a smaller part of the payload in it"
    if effort.length * (turns * again + whole.weight) > _COST_MAX:
        what = "a macro over values of this size" if effort.depth else "an expression over values of this size"
        raise ExpressionError(f"{what} could take too long", remedy=remedy)
    if effort.builds and turns * longest > _BUILD_MAX:
        raise ExpressionError("`map` and `filter` over a list of this length could take too long", remedy=remedy)


def _with_times(text: str, times: int) -> str:
    def named(match: re.Match[str]) -> str:
        return f"{_TIME}{match[1]}" if times >> int(match[1]) & 1 else match[0]

    return re.sub(rf"\b{VARIABLE}(\d+)\b", named, text)


def _plain(value: Any, room: list[int]) -> object:
    raw = value.value()
    kind = type(raw)
    if kind is bool or kind is int or kind is float or raw is None:
        return raw
    if kind is str and value.type().name() == "ERROR":
        unbound = _UNBOUND.search(raw)
        if unbound is not None:
            raise KeyError(int(unbound[1]))
        raise ExpressionError(_told(raw))
    if kind is str or kind is bytearray:
        _take(room, len(raw))
        return raw if kind is str else bytes(raw)
    if kind is list:
        _take(room, len(raw))
        return [_plain(part, room) for part in raw]
    if kind is dict:
        _take(room, len(raw))
        return {key: _plain(part, room) for key, part in raw.items()}
    return raw


def _take(room: list[int], amount: int) -> None:
    room[0] -= amount
    if room[0] < 0:
        raise ExpressionError(f"the result is larger than {_RESULT_MAX} elements and characters")


def _first_finding(text: str, canonical: str) -> Refusal | None:
    """The first finding of the checker that is a fault; None if numbers and branches mix, and nothing else."""
    found = _FINDING.findall(text)
    if not found:
        return Refusal(_told(text), 0)
    for line, column, what in found:
        if not _is_mixture(what):
            return Refusal(_told(what), _offset(canonical, int(line), int(column)))
    return None


def _is_mixture(what: str) -> bool:
    """Whether the checker refuses what the evaluation can do: numbers of two kinds, or branches of two types."""
    match = _NO_OVERLOAD.match(what)
    if match is None:
        return False
    sign, kinds = match[1], match[2].split(", ")
    if sign == "_?_:_":
        return kinds[0] in ("bool", "dyn")
    if sign == "@in":
        kinds[1] = kinds[1].removeprefix("list(").removesuffix(")")
    if sign in _COMPARING:
        return _NUMERIC.issuperset(kinds)
    return sign in _ARITHMETIC and {"int", "double", "dyn"}.issuperset(kinds)


def _offset(text: str, line: int, column: int) -> int:
    if line < 1:
        return 0
    lines = text.splitlines(keepends=True)
    return min(sum(map(len, lines[: line - 1])) + max(column - 1, 0), len(text))


def _told(text: str) -> str:
    """A message of the library in our words."""
    text = _CODES.sub("", text.split("\n", maxsplit=1)[0]).removeprefix("Syntax error: ")
    if "mismatched input '<EOF>'" in text:
        return "the expression ends too early"
    for pattern in (_NO_OVERLOAD, _NO_OVERLOAD_RUN):
        match = pattern.search(text)
        if match is not None:
            sign = "? :" if match[1] == "_?_:_" else match[1].strip("_@")
            return f"`{sign}` does not take ({match[2].replace('int64', 'int').replace('null_type', 'null')})"
    return _EXPECTING.sub("", text).replace("undeclared reference to", "unknown function or type")
