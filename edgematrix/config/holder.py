"""What stands in the tree with agents in it: it keeps them, and makes one definition of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from edgematrix.agents.spec import PortSpec
from edgematrix.config.agent import Agent, make_agent
from edgematrix.config.end import End
from edgematrix.config.group import Group, make_group
from edgematrix.config.language_model import LanguageModel
from edgematrix.config.placed import Placed
from edgematrix.config.source import Source, port_of
from edgematrix.config.spec import AgentSpec
from edgematrix.errors import UsageError
from edgematrix.protocol.path import AgentPath, check_name, join

__all__ = ["Function", "Holder", "Inputs", "group_of", "ports_of"]

Inputs = Mapping[str, Any]
"""Input ports by name, each with the type of its values."""
Function = Callable[..., Any]


def ports_of(inputs: Inputs | None) -> dict[str, PortSpec]:
    """Input ports as a definition has them.

    Raises:
        PathError: a name breaks the grammar.
        UsageError: a type has no form in JSON.
    """
    return {check_name(name, "port"): port_of(kind) for name, kind in (inputs or {}).items()}


def group_of(when: Source[Any] | Group | None) -> Group | None:
    """What starts runs, as a group; a source alone is a group of one."""
    return make_group([when], "all", {}) if isinstance(when, Source) else when


class Holder(End[Any, Any]):
    """A place in the tree that holds agents; to whoever stands outside it is an agent like any other."""

    def __init__(self, path: AgentPath, inputs: Inputs | None = None, when: Source[Any] | Group | None = None) -> None:
        self.path = path
        self._children: dict[str, Agent[Any, Any] | Holder | LanguageModel[Any] | Placed] = {}
        self._inputs = ports_of(inputs)
        self._group = group_of(when)

    def definition(self) -> AgentSpec:
        """The definition of all that it holds."""
        return self._defined()

    def code(self, path: AgentPath | None = None) -> dict[AgentPath, Agent[Any, Any]]:
        """Every agent with code below here, by its path; `path` is where this composite stands."""
        found: dict[AgentPath, Agent[Any, Any]] = {}
        for name, child in self._children.items():
            for place in self._places(name):
                where = AgentPath(f"{path or self.path}/{place}")
                if isinstance(child, Holder):
                    found |= child.code(where)
                elif isinstance(child, Agent):
                    found[where] = child
        return found

    def take_in(self, member: Agent[Any, Any] | Function | str) -> str:
        """The name of a member: of an agent below, of one that comes to stand here, or of one made from a function.

        Raises:
            UsageError: there is an agent of that name already.
        """
        if isinstance(member, str):
            return check_name(member)
        if not isinstance(member, Agent):
            return self._put(make_agent(self.path, member, None, {})).station
        if self._children.get(member.station) is member:
            return member.station
        path = join(self.path, member.station)
        if member.station in self._children:
            raise UsageError(f"there is an agent {member.station!r} already", where=self.path)
        if isinstance(member.holder, Holder):
            del member.holder._children[member.station]  # noqa: SLF001 - of this class
        member.move(path)
        return self._put(member).station

    def _places(self, name: str) -> Sequence[str]:
        """The names under which a child runs."""
        return (name,)

    def _defined(self, **kind: Any) -> AgentSpec:
        triggers = {} if self._group is None else {"when": self._group.spec}
        return AgentSpec(agents=self._agents(), inputs=dict(self._inputs), triggers=triggers, **kind)

    def _put(self, child: Child) -> Child:
        name = child.station
        if name in self._children:
            raise UsageError(f"there is an agent {name!r} already", where=self.path)
        self._children[name] = child
        child.holder = self
        return child

    def _agents(self) -> dict[str, AgentSpec]:
        return {name: child.definition() for name, child in self._children.items()}


Child = TypeVar("Child", bound=Agent[Any, Any] | Holder | LanguageModel[Any] | Placed)
