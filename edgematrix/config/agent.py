"""An agent with code, as Python sees it: what it gives is a source for others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, overload

from pydantic import TypeAdapter

from edgematrix.config.group import Group
from edgematrix.config.source import Source, altered, schema_of
from edgematrix.config.spec import AgentSpec
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.code import Code
from edgematrix.runtime.context import Context
from edgematrix.runtime.firing import Firing
from edgematrix.triggers.spec import SourceSpec

__all__ = ["Agent", "FiringDecorator", "ValueDecorator"]

T = TypeVar("T")
R = TypeVar("R")


class Agent(Source[T], Generic[T]):
    """A defined agent whose code gives a T on its port `out`. Where a source is expected, it stands for that output."""

    def __init__(self, path: AgentPath, spec: AgentSpec, code: Code, group: Group) -> None:
        name = path.rpartition("/")[2]
        output = altered(SourceSpec(), from_=f"/{path}")
        super().__init__(name.replace("-", "_"), output, object if code.output_type is None else code.output_type)
        self.path = path
        self.agent_spec = spec
        self.code = code
        self.group = group

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """Reads a value as T."""
        return TypeAdapter(self._kind)

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema of T."""
        return schema_of(self._kind)

    def __call__(self, argument: object, context: Context) -> object:
        """Call the function itself, as a unit test does."""
        return self.code.function(argument, context)

    def __repr__(self) -> str:
        return f"<agent {self.path}>"


class ValueDecorator(Generic[T]):
    """Makes an agent of a function that takes the value of one source."""

    def __init__(self, define: Callable[[Callable[..., Any]], Agent[Any]]) -> None:
        self._define = define

    @overload
    def __call__(self, function: Callable[[T, Context], Awaitable[R]]) -> Agent[R]: ...
    @overload
    def __call__(self, function: Callable[[T, Context], R]) -> Agent[R]: ...
    def __call__(self, function: Callable[..., Any]) -> Agent[Any]:
        """Define the agent."""
        return self._define(function)


class FiringDecorator:
    """Makes an agent of a function that takes the whole firing of a group."""

    def __init__(self, define: Callable[[Callable[..., Any]], Agent[Any]]) -> None:
        self._define = define

    @overload
    def __call__(self, function: Callable[[Firing, Context], Awaitable[R]]) -> Agent[R]: ...
    @overload
    def __call__(self, function: Callable[[Firing, Context], R]) -> Agent[R]: ...
    def __call__(self, function: Callable[..., Any]) -> Agent[Any]:
        """Define the agent."""
        return self._define(function)
