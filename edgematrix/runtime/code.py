"""An agent's code: a Python function, what it takes, and what it gives."""

from __future__ import annotations

import dis
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgematrix.errors import RunError, UsageError
from edgematrix.runtime.failure import reason_of
from edgematrix.runtime.plain import plain

__all__ = ["Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """A function of an agent, read once.

    `input_type` is the type of its first parameter: `Firing` for the whole firing, else what the value of the only regular
    source is read as. `output_type` is the type that it returns, None for nothing.
    """

    function: Callable[..., Any]
    name: str
    input_type: Any
    output_type: Any
    is_async: bool
    waits: bool = True
    """Whether it may wait for anything; a coroutine function without a single `await` is as quick as a call."""

    @classmethod
    def of(cls, function: Callable[..., Any], name: str) -> Code:
        """Read the signature of a function `(value or firing, context)`.

        Raises:
            UsageError: it does not take two parameters, or a parameter has no type.
        """
        parameters = [p for p in inspect.signature(function).parameters.values() if p.kind in _POSITIONAL]
        if len(parameters) != _PARAMETERS:
            raise UsageError(
                f"the agent's function takes {len(parameters)} parameters, expected two: the value or the firing, and the context",
                where=name,
            )
        try:
            hints = typing.get_type_hints(function)
        except NameError as error:
            remedy = "define the type at the top of the module"
            raise UsageError(f"a type of the agent's function is not known: {error}", where=name, remedy=remedy) from None
        first = parameters[0].name
        if first not in hints:
            raise UsageError(f"the parameter {first!r} of the agent's function has no type", where=name)
        returned = hints.get("return", type(None))
        output = None if returned is type(None) else returned
        is_async = inspect.iscoroutinefunction(function)
        return cls(function, name, hints[first], output, is_async, not is_async or _waits(function))

    @property
    def given_type(self) -> Any:
        """The type of what it puts out: None stands for nothing, and never leaves; `object` where it promises nothing."""
        kind = object if self.output_type is None else self.output_type
        parts = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else ()
        return reduce(or_, (part for part in parts if part is not type(None))) if type(None) in parts else kind

    def read(self, value: object) -> Any:
        """Read a source's value as the first parameter's type.

        Raises:
            RunError: it is not of that type; the field is named.
        """
        try:
            return _reader(self.input_type)(value)
        except ValidationError as error:
            raise RunError(f"the value is no {_type_name(self.input_type)}: {_first(error)}", where=self.name) from None
        except Exception as error:  # noqa: BLE001 - a type of an agent's has code of its own
            raise RunError(f"the value is no {_type_name(self.input_type)}: {reason_of(error)}", where=self.name) from None

    def write(self, result: object) -> object:
        """Write what the function returned as a JSON value; None for nothing.

        Raises:
            RunError: it is not of the declared type, or has no JSON form.
        """
        if result is None:
            return None
        if self.output_type is None:
            raise RunError(f"the function returned {type(result).__name__}, but its signature promises nothing", where=self.name)
        try:
            return plain(_writer(self.output_type)(_reader(self.output_type)(result), mode="json"))
        except ValidationError as error:
            raise RunError(f"the result is no {_type_name(self.output_type)}: {_first(error)}", where=self.name) from None
        except RunError:
            raise
        except Exception as error:  # noqa: BLE001 - what code returns may be anything, with code of its own
            raise RunError(f"the result has no JSON form: {reason_of(error)}", where=self.name) from None


_PARAMETERS = 2
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """One adapter for a type: making one costs a millisecond. Bounded by the types that a program has."""
    adapter = _adapters.get(kind)
    if adapter is None:
        adapter = _adapters[kind] = TypeAdapter(kind)
    return adapter


@cache
def _reader(kind: Any) -> Callable[..., Any]:
    """What makes a value one of the type; pydantic's own, for each call of its wrapper costs as much again."""
    return _adapter(kind).validator.validate_python


@cache
def _writer(kind: Any) -> Callable[..., Any]:
    """What makes a value of the type plain."""
    return _adapter(kind).serializer.to_python


def _waits(function: Callable[..., Any]) -> bool:
    """Whether a coroutine function has an `await`, an `async for` or an `async with` in it; of what is wrapped, nobody knows."""
    code = getattr(function, "__code__", None)
    return code is None or any(step.opname in _AWAITING for step in dis.get_instructions(code))


_AWAITING = frozenset({"GET_AWAITABLE", "GET_AITER", "BEFORE_ASYNC_WITH"})


def _type_name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}" if place else str(found["msg"])
