"""An agent with code, as Python sees it: what it gives is a source for others, and it may stand at the ends of a flow's edges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypedDict, TypeVar, overload

from pydantic import TypeAdapter

from edgematrix.agents.spec import PortSpec
from edgematrix.config.end import End
from edgematrix.config.group import Group, make_group
from edgematrix.config.retry import Retry
from edgematrix.config.source import Source, altered, port_of, schema_of
from edgematrix.config.spec import AgentSpec
from edgematrix.errors import UsageError
from edgematrix.protocol.fields import read_duration
from edgematrix.protocol.path import AgentPath, join
from edgematrix.runtime.code import Code
from edgematrix.runtime.context import Context
from edgematrix.runtime.firing import Firing
from edgematrix.triggers.spec import SourceSpec

__all__ = ["Agent", "AgentOptions", "FiringDecorator", "RequestDecorator", "ValueDecorator", "make_agent"]

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Agent(Source[R_co], End[A_contra, R_co], Generic[A_contra, R_co]):
    """A defined agent whose code takes an A and gives an R on its port `out`.

    Where a source is expected, it stands for that output. In a flow, edges lead to it and from it.
    """

    def __init__(self, path: AgentPath, spec: AgentSpec, code: Code, group: Group | None) -> None:
        name = path.rpartition("/")[2]
        super().__init__(name.replace("-", "_"), _output(path), code.given_type)
        self.path = path
        self.agent_spec = spec
        self.code = code
        self.group = group

    @property
    def names(self) -> Mapping[int, str]:
        """The name of each source of its group, by the id of its origin."""
        return {} if self.group is None else self.group.names

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """Reads a value as R."""
        return TypeAdapter(self._kind)

    @property
    def kind(self) -> Any:
        """The type R at run time."""
        return self._kind

    @property
    def given(self) -> dict[str, Any] | None:
        """The JSON Schema of what it gives."""
        return schema_of(self._kind, "serialization")

    @property
    def taken(self) -> dict[str, Any] | None:
        """The JSON Schema of what it takes on its input `in`; None where it has groups of its own, or takes the firing."""
        return None if self.group is not None or self.code.input_type is Firing else schema_of(self.code.input_type)

    @property
    def hears_input(self) -> bool:
        """Whether what is sent to it makes it work."""
        return self.group is None or any((source.from_ or "").startswith("self.") for source in self.group.spec.on.values())

    def definition(self) -> AgentSpec:
        """Its definition."""
        return self.agent_spec

    def move(self, path: AgentPath) -> None:
        """Let it stand elsewhere in the tree."""
        self.path = path
        self._spec = _output(path)
        self.code = replace(self.code, name=path)

    def __call__(self, argument: A_contra, context: Context) -> object:
        """Call the function itself, as a unit test does."""
        return self.code.function(argument, context)

    def __repr__(self) -> str:
        return f"<agent {self.path}>"


class ValueDecorator(Generic[T]):
    """Makes an agent of a function that takes the value of one source."""

    def __init__(self, define: Callable[[Callable[..., Any]], Agent[Any, Any]]) -> None:
        self._define = define

    @overload
    def __call__(self, function: Callable[[T, Context], Awaitable[R]]) -> Agent[T, R]: ...
    @overload
    def __call__(self, function: Callable[[T, Context], R]) -> Agent[T, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Agent[Any, Any]:
        """Define the agent."""
        return self._define(function)


class FiringDecorator:
    """Makes an agent of a function that takes the whole firing of a group."""

    def __init__(self, define: Callable[[Callable[..., Any]], Agent[Any, Any]]) -> None:
        self._define = define

    @overload
    def __call__(self, function: Callable[[Firing, Context], Awaitable[R]]) -> Agent[Firing, R]: ...
    @overload
    def __call__(self, function: Callable[[Firing, Context], R]) -> Agent[Firing, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Agent[Any, Any]:
        """Define the agent."""
        return self._define(function)


class RequestDecorator:
    """Makes an agent of a function that takes what comes on its input `in`."""

    def __init__(self, define: Callable[[Callable[..., Any]], Agent[Any, Any]]) -> None:
        self._define = define

    @overload
    def __call__(self, function: Callable[[A, Context], Awaitable[R]]) -> Agent[A, R]: ...
    @overload
    def __call__(self, function: Callable[[A, Context], R]) -> Agent[A, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Agent[Any, Any]:
        """Define the agent."""
        return self._define(function)


class AgentOptions(TypedDict, total=False):
    """What an agent may say beside what makes it work."""

    name: str
    sends: Sequence[str]
    secrets: Sequence[str]
    retry: Retry
    deadline: str | float
    durable: bool


def make_agent(parent: AgentPath, function: Callable[..., Any], when: Source[Any] | Group | None, options: AgentOptions) -> Agent[Any, Any]:
    """Make an agent of a function.

    Raises:
        PathError: the name breaks the grammar.
        UsageError: the signature does not fit, or a type has no form in JSON.
    """
    path = join(parent, options.get("name", getattr(function, "__name__", "")))
    code = Code.of(function, path)
    takes_firing = code.input_type is Firing
    if when is not None and takes_firing != isinstance(when, Group):
        expected = "the value of the source, for `when` is a single source" if takes_firing else "an em.Firing, for `when` is a group"
        raise UsageError(f"the function's first parameter must be {expected}", where=path)
    group = when if when is None or isinstance(when, Group) else make_group([when], "all", {})
    own = ("retry", "deadline", "durable")
    said: dict[str, Any] = {key: value for key, value in options.items() if key in own}
    if "retry" in options:
        said["retry"] = options["retry"].spec
    if "deadline" in options:
        said["deadline"] = read_duration(options["deadline"])
    spec = AgentSpec(
        python=f"{function.__module__}:{function.__qualname__}",
        triggers={} if group is None else {"when": group.spec},
        inputs={} if group is not None else {"in": PortSpec(type="any") if takes_firing else port_of(code.input_type)},
        outputs={} if code.output_type is None else {"out": port_of(code.given_type, "serialization")},
        **said | {"sends": list(options.get("sends", ())), "secrets": list(options.get("secrets", ()))},
    )
    return Agent(path, spec, code, group)


def _output(path: AgentPath) -> SourceSpec:
    return altered(SourceSpec(), from_=f"/{path}")
