"""A matrix, written in Python. It makes the same `MatrixSpec` as a file does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, overload

from edgematrix.agents.spec import PortSpec
from edgematrix.config.agent import Agent, FiringDecorator, ValueDecorator
from edgematrix.config.group import Group, make_group
from edgematrix.config.source import Source, schema_of
from edgematrix.config.spec import AgentSpec, LocationSpec, MatrixSpec
from edgematrix.errors import UsageError
from edgematrix.protocol.path import AgentPath, check_name, join, parse_path
from edgematrix.protocol.topic import DEFAULT_ROOT
from edgematrix.runtime.code import Code
from edgematrix.runtime.firing import Firing

__all__ = ["Composite", "Matrix"]

T = TypeVar("T")


class Composite:
    """A place in the tree that holds agents; to whoever stands outside it is an agent like any other."""

    def __init__(self, path: AgentPath) -> None:
        self.path = path
        self._children: dict[str, Agent[Any] | Composite | AgentSpec] = {}

    def composite(self, name: str) -> Composite:
        """A composite below this one.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: there is an agent of that name.
        """
        child = Composite(join(self.path, name))
        self._add(name, child)
        return child

    def add(self, name: str, spec: AgentSpec) -> None:
        """Add an agent by its definition, such as a device.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: there is an agent of that name.
        """
        join(self.path, name)
        self._add(name, spec)

    @overload
    def agent(self, *, when: Source[T], name: str | None = None, sends: Sequence[str] = ()) -> ValueDecorator[T]: ...
    @overload
    def agent(self, *, when: Group, name: str | None = None, sends: Sequence[str] = ()) -> FiringDecorator: ...
    def agent(self, *, when: Source[Any] | Group, name: str | None = None, sends: Sequence[str] = ()) -> Any:
        """Make an agent of the function below.

        It is called with the value of the source (or with the firing of the group) and a `Context`. What it returns leaves on
        the port `out`. A coroutine function runs on the event loop, a plain one in a thread.

        Args:
            when: what makes it work.
            name: its name; by default the function's.
            sends: input ports elsewhere that it may send to, such as `lamp.set`.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: there is an agent of that name, or the function's signature does not fit.
        """

        def define(function: Callable[..., Any]) -> Agent[Any]:
            group = when if isinstance(when, Group) else make_group([when], "all", {})
            return self._define(function, group, name or function.__name__, sends, takes_firing=isinstance(when, Group))

        return FiringDecorator(define) if isinstance(when, Group) else ValueDecorator(define)

    def definition(self) -> AgentSpec:
        """The definition of the composite."""
        return AgentSpec(agents=self._agents())

    def code(self) -> dict[AgentPath, Agent[Any]]:
        """Every agent with code below here, by its path."""
        found: dict[AgentPath, Agent[Any]] = {}
        for child in self._children.values():
            if isinstance(child, Composite):
                found |= child.code()
            elif isinstance(child, Agent):
                found[child.path] = child
        return found

    def _define(self, function: Callable[..., Any], group: Group, name: str, sends: Sequence[str], *, takes_firing: bool) -> Agent[Any]:
        path = join(self.path, name)
        code = Code.of(function, path)
        if takes_firing != (code.input_type is Firing):
            expected = "an em.Firing, for `when` is a group" if takes_firing else "the value of the source, for `when` is a single source"
            raise UsageError(f"the function's first parameter must be {expected}", where=path)
        outputs = {} if code.output_type is None else {"out": PortSpec(schema=schema_of(code.output_type))}
        place = f"{function.__module__}:{function.__qualname__}"
        spec = AgentSpec(python=place, triggers={"when": group.spec}, outputs=outputs, sends=list(sends))
        agent: Agent[Any] = Agent(path, spec, code, group)
        self._add(name, agent)
        return agent

    def _add(self, name: str, child: Agent[Any] | Composite | AgentSpec) -> None:
        if name in self._children:
            raise UsageError(f"there is an agent {name!r} already", where=self.path)
        self._children[name] = child

    def _agents(self) -> dict[str, AgentSpec]:
        return {name: _spec_of(child) for name, child in self._children.items()}


class Matrix(Composite):
    """The root of a tree of agents.

    Args:
        name: the matrix's name, the first segment of every path in it.
        broker: `embedded`, `mqtt://…`, `mqtts://…`, or the name of a profile.
        timezone: in which times of day are meant.
        location: latitude and longitude in degrees, for sun events.
        root: what stands first in every topic of the bus.

    Raises:
        PathError: the name breaks the grammar.
        pydantic.ValidationError: another argument is wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        broker: str = "embedded",
        timezone: str = "UTC",
        location: tuple[float, float] | None = None,
        root: str = DEFAULT_ROOT,
    ) -> None:
        super().__init__(parse_path(check_name(name, "matrix")))
        place = None if location is None else LocationSpec(lat=location[0], lon=location[1])
        self._head = MatrixSpec(matrix=name, broker=broker, timezone=timezone, location=place, root=root)

    def spec(self) -> MatrixSpec:
        """The matrix as data, as a file would give it."""
        return replace(self._head, agents=self._agents())

    def run(self) -> None:
        """Run it here until interrupted, with an embedded broker if it asks for one.

        Raises:
            ConfigError: the matrix is wrong; every finding names its place in the tree.
            BusError: the broker does not start, or refuses this host.
        """
        import asyncio  # noqa: PLC0415 - defining a matrix needs no event loop and no transport

        from edgematrix.config.code_loader import CodeLoader  # noqa: PLC0415
        from edgematrix.config.launch import STATE_FOLDER, Launch, local_name, run_here  # noqa: PLC0415
        from edgematrix.config.opened import Opened  # noqa: PLC0415
        from edgematrix.config.reading import checked  # noqa: PLC0415

        reading = checked(self.spec())
        opened = Opened(reading.spec, reading.warnings, CodeLoader(defined=self.code()))
        asyncio.run(run_here(opened, Launch(name=local_name(), folder=Path(STATE_FOLDER))))


def _spec_of(child: Agent[Any] | Composite | AgentSpec) -> AgentSpec:
    if isinstance(child, Agent):
        return child.agent_spec
    return child.definition() if isinstance(child, Composite) else child
