"""Places in the tree that hold agents, written in Python. They make the same definitions as a file does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Unpack, overload

from edgematrix.agents.spec import PortSpec
from edgematrix.composition.spec import CaseSpec, ChatSpec, FlowSpec, HumanSpec, PoolSpec, SwitchSpec
from edgematrix.config.agent import Agent, AgentOptions, FiringDecorator, RequestDecorator, ValueDecorator, make_agent
from edgematrix.config.end import End
from edgematrix.config.flow_edges import FlowEdges, Inlet, output_port
from edgematrix.config.group import Group
from edgematrix.config.holder import Function, Holder, Inputs, group_of, ports_of
from edgematrix.config.language_model import LanguageModel, ModelOptions, make_model
from edgematrix.config.placed import Placed
from edgematrix.config.source import Source, altered
from edgematrix.config.spec import AgentSpec
from edgematrix.errors import UsageError
from edgematrix.expression.names import nearest
from edgematrix.protocol.fields import read_duration
from edgematrix.protocol.path import AgentPath, check_name, join
from edgematrix.triggers.spec import SourceSpec

__all__ = ["Chat", "Composite", "Flow", "Pool", "Switch"]

T = TypeVar("T")
Duration = str | float
Speaker = Literal["round_robin", "addressed", "llm"] | Mapping[str, Any]


class Composite(Holder):
    """A place in the tree, with all that may be put there."""

    # Agents below

    def composite(self, name: str) -> Composite:
        """A composite below this one.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: there is an agent of that name.
        """
        return self._put(Composite(join(self.path, name)))

    def add(self, name: str, spec: AgentSpec) -> Placed:
        """Add an agent by its definition, such as a device.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: there is an agent of that name.
        """
        return self._put(Placed(join(self.path, name), spec))

    @overload
    def agent(self, *, when: Source[T], **options: Unpack[AgentOptions]) -> ValueDecorator[T]: ...
    @overload
    def agent(self, *, when: Group, **options: Unpack[AgentOptions]) -> FiringDecorator: ...
    @overload
    def agent(self, **options: Unpack[AgentOptions]) -> RequestDecorator: ...
    def agent(self, *, when: Source[Any] | Group | None = None, **options: Unpack[AgentOptions]) -> Any:
        """Make an agent of the function below.

        It is called with the value of the source (or with the firing of the group), or without `when` with what comes on its
        input `in`, and a `Context`. What it returns leaves on the port `out`. A coroutine function runs on the event loop,
        a plain one in a thread.

        Args:
            when: what makes it work.
            options: `name`, by default the function's; `sends`, input ports elsewhere that it may send to, such as `lamp.set`;
                `secrets`, names of those that it may ask for; `retry` and `deadline` of each of its runs; `durable`.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: there is an agent of that name, or the function's signature does not fit.
        """

        def define(function: Function) -> Agent[Any, Any]:
            return self._put(make_agent(self.path, function, when, options))

        if when is None:
            return RequestDecorator(define)
        return FiringDecorator(define) if isinstance(when, Group) else ValueDecorator(define)

    def flow(
        self,
        name: str,
        *,
        inputs: Inputs | None = None,
        max_steps: int | None = None,
        deadline: Duration | None = None,
        when: Source[Any] | Group | None = None,
    ) -> Flow:
        """A flow below this one.

        Args:
            inputs: its input ports, each with the type of its values; without any it has `in`.
            max_steps: the most steps that one run may take; needed where there is a cycle.
            deadline: how long one run may take.
            when: what starts a run, besides what is sent to its inputs.

        Raises:
            PathError: a name breaks the grammar.
            UsageError: there is an agent of that name, or a type has no form in JSON.
        """
        path = join(self.path, name)
        return self._put(Flow(path, inputs, when, {"max_steps": max_steps, "deadline": _duration(deadline)}))

    def chat(
        self,
        name: str,
        *,
        members: Sequence[Agent[Any, Any] | Function | str] = (),
        speaker: Speaker = "round_robin",
        until: str | None = None,
        max_turns: int = 10,
        deadline: Duration | None = None,
        on_error: Literal["fail", "skip"] = "fail",
    ) -> Chat:
        """A chat below this one.

        Args:
            members: who speaks, in this order: agents, which come to stand below the chat, functions of which it makes agents,
                or names of agents that follow. Agents that are defined with `@chat.agent()` speak after them.
            speaker: who speaks next: `round_robin`, `addressed`, `llm`, or `{"rule": CEL}`.
            until: CEL over the last reply; once it holds, the chat ends.
            max_turns: the most turns of one run.
            deadline: how long one run may take.
            on_error: what a member that fails does to the chat.

        Raises:
            PathError: a name breaks the grammar.
            UsageError: there is an agent of that name.
        """
        said: dict[str, Any] = {"speaker": speaker, "until": until, "max_turns": max_turns, "on_error": on_error}
        chat = self._put(Chat(join(self.path, name), said | {"deadline": _duration(deadline)}))
        chat.members += [chat.take_in(member) for member in members]
        return chat

    def switch(
        self,
        name: str,
        *,
        cases: Sequence[tuple[str, Agent[Any, Any] | Function | str]],
        default: Agent[Any, Any] | Function | str | None = None,
        inputs: Inputs | None = None,
        when: Source[Any] | Group | None = None,
    ) -> Switch:
        """A switch below this one: the first of `cases`, CEL over the request, gives it to its member, else `default` gets it.

        Members are given as those of a chat are.

        Raises:
            PathError: a name breaks the grammar.
            UsageError: there is an agent of that name, or a type has no form in JSON.
        """
        switch = self._put(Switch(join(self.path, name), inputs, when))
        switch.cases += [CaseSpec(when=condition, to=switch.take_in(member)) for condition, member in cases]
        switch.default = None if default is None else switch.take_in(default)
        return switch

    def pool(
        self,
        name: str,
        *,
        replicas: int,
        key: str | None = None,
        busy_max: int = 1,
        waiting_max: int = 1_000,
        inputs: Inputs | None = None,
        when: Source[Any] | Group | None = None,
    ) -> Pool:
        """A pool below this one: replicas of the one agent that is defined in it. Work of one `key`, CEL over the request, goes to one.

        Raises:
            PathError: a name breaks the grammar.
            UsageError: there is an agent of that name, or a type has no form in JSON.
            pydantic.ValidationError: a number is out of bounds.
        """
        spec = PoolSpec(replicas=replicas, key=key, busy_max=busy_max, waiting_max=waiting_max)
        return self._put(Pool(join(self.path, name), inputs, when, spec))

    def human(
        self,
        name: str,
        *,
        ask: str,
        choices: Sequence[str] | None = None,
        timeout: Duration = "5m",
        default: object = None,
        notify: str | None = None,
        answers: str | None = None,
    ) -> Placed:
        """A person who is asked `ask`, a text with `${…}` over the request. The answer goes on as `{answer, by, default}`.

        Args:
            ask: the question.
            choices: what may be answered.
            timeout: how long it waits; then the answer is `default`, or the run fails where there is none.
            default: the answer where nobody answers in time.
            notify: a foreign topic that gets each question.
            answers: a foreign topic on which answers may come.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: there is an agent of that name.
            ValueError: the time-out is no duration, or there are no choices in `choices`.
        """
        listed = None if choices is None else list(choices)
        spec = HumanSpec(ask=ask, choices=listed, timeout=read_duration(timeout), default=default, notify=notify, answers=answers)
        return self.add(name, AgentSpec(human=spec))

    @overload
    def llm(
        self,
        name: str,
        *,
        prompt: str = "${value}",
        tools: Sequence[End[Any, Any] | str] = (),
        fallback: str | None = None,
        inputs: Inputs | None = None,
        when: Source[Any] | Group | None = None,
        **options: Unpack[ModelOptions],
    ) -> LanguageModel[str]: ...
    @overload
    def llm(
        self,
        name: str,
        *,
        output: type[T],
        prompt: str = "${value}",
        tools: Sequence[End[Any, Any] | str] = (),
        fallback: T | None = None,
        inputs: Inputs | None = None,
        when: Source[Any] | Group | None = None,
        **options: Unpack[ModelOptions],
    ) -> LanguageModel[T]: ...
    def llm(
        self,
        name: str,
        *,
        output: type[Any] = str,
        prompt: str = "${value}",
        tools: Sequence[End[Any, Any] | str] = (),
        fallback: Any = None,
        inputs: Inputs | None = None,
        when: Source[Any] | Group | None = None,
        **options: Unpack[ModelOptions],
    ) -> LanguageModel[Any]:
        """A language model below this one.

        Args:
            output: the type of its answer: a text, or whatever pydantic reads, such as a model.
            prompt: what it is asked, with `${…}` over the inputs and the fields of the request.
            tools: agents that it may call, or inputs of agents, such as `lamp.set`.
            fallback: the answer where there is none; without it the run fails.
            inputs: its input ports, each with the type of its values; without any it has `in`.
            when: what starts a run, besides what is sent to its inputs.
            options: `provider`, `model`, `url`, `system`, … as a file says them under `llm:`.

        Raises:
            PathError: a name breaks the grammar.
            UsageError: there is an agent of that name, or a type has no form in JSON.
            ValueError: an option is wrong.
        """
        path = join(self.path, name)
        return self._put(make_model(path, output, prompt, tools, fallback, ports_of(inputs), group_of(when), options))


class Flow(Composite):
    """Agents, joined by edges: `flow.input("request") >> first >> [second, third] >> last`."""

    def __init__(self, path: AgentPath, inputs: Inputs | None, when: Source[Any] | Group | None, bounds: Mapping[str, Any]) -> None:
        super().__init__(path, inputs, when)
        self._bounds = bounds
        self._edges = FlowEdges()
        self._outputs: dict[str, PortSpec] = {}

    def input(self, name: str = "in") -> End[Any, Any]:
        """One of the flow's inputs, as the origin of edges.

        Raises:
            UsageError: it has no such input.
        """
        known = self._inputs or {"in": PortSpec()}
        if name not in known:
            near = nearest(name, known)
            remedy = f"did you mean {near!r}?" if near else f"its inputs are {', '.join(known)}"
            raise UsageError(f"the flow has no input {name!r}", where=self.path, remedy=remedy)
        return Inlet(name, self.path, self, known[name])

    def output(self, name: str, from_: End[Any, T], *, port: str = "out", retain: bool = False, initial: object = None) -> Source[T]:
        """Declare an output of the flow: what `from_` last gave on its port when the run ends. What is returned is a source for others.

        Raises:
            PathError: the name breaks the grammar.
            UsageError: it is declared already, or `from_` is not in this flow.
        """
        if check_name(name, "port") in self._outputs:
            raise UsageError(f"there is an output {name!r} already", where=self.path)
        if from_.holder is not self or isinstance(from_, Inlet):
            raise UsageError(f"{from_.path} is no agent of this flow, so it gives no output of it", where=self.path)
        self._outputs[name], kind = output_port(from_, check_name(port, "port"), retain=retain, initial=initial)
        return Source(name.replace("-", "_"), altered(SourceSpec(), from_=f"/{self.path}.{name}"), kind)

    def create_edge(
        self,
        origins: End[Any, Any] | str | Sequence[End[Any, Any] | str],
        targets: End[Any, Any] | str | Sequence[End[Any, Any] | str],
        *,
        when: str | None = None,
        loop: bool = False,
    ) -> None:
        """Add edges from each of the origins to each of the targets.

        Args:
            origins: agents of this flow, or their names, or `name.port` for another output than `out`.
            targets: the same, for inputs.
            when: CEL over the fields of what the origin gives; the edge is taken only where it holds.
            loop: it leads back.

        Raises:
            UsageError: an end is not in this flow, the types do not fit, or the condition is wrong.
        """
        origins, targets = ([ends] if isinstance(ends, End | str) else ends for ends in (origins, targets))
        self.link(origins, targets, when, loop=loop)

    def link(self, origins: Sequence[End[Any, Any] | str], targets: Sequence[End[Any, Any] | str], when: str | None, *, loop: bool) -> None:
        """As `create_edge`, for lists."""
        for end in (*origins, *targets):
            if isinstance(end, End) and end.holder is not self:
                raise UsageError(f"{end.path} is not in this flow, so no edge of it leads there", where=self.path)
        self._edges.add(origins, targets, when, loop=loop)

    def definition(self) -> AgentSpec:
        """The definition of the flow.

        Raises:
            UsageError: it has no edges.
            pydantic.ValidationError: `max_steps` is out of bounds.
        """
        if not self._edges.specs:
            raise UsageError("the flow has no edges", where=self.path, remedy="flow.input() >> agent")
        return self._defined(flow=FlowSpec(edges=list(self._edges.specs), **self._bounds), outputs=dict(self._outputs))


class Chat(Composite):
    """Agents that speak in turns. `members` are their names, in the order in which they speak."""

    def __init__(self, path: AgentPath, said: Mapping[str, Any]) -> None:
        super().__init__(path)
        self._said = said
        self.members: list[str] = []

    def definition(self) -> AgentSpec:
        """The definition of the chat.

        Raises:
            pydantic.ValidationError: it has no members, or a value is out of bounds.
        """
        members = dict.fromkeys((*self.members, *self._children))
        return self._defined(chat=ChatSpec(members=list(members), **self._said))


class Switch(Composite):
    """Agents of which each request goes to one."""

    def __init__(self, path: AgentPath, inputs: Inputs | None, when: Source[Any] | Group | None) -> None:
        super().__init__(path, inputs, when)
        self.cases: list[CaseSpec] = []
        self.default: str | None = None

    def definition(self) -> AgentSpec:
        """The definition of the switch.

        Raises:
            pydantic.ValidationError: it has no cases.
        """
        return self._defined(switch=SwitchSpec(cases=list(self.cases), default=self.default))


class Pool(Composite):
    """Replicas of the one agent that is defined in it."""

    def __init__(self, path: AgentPath, inputs: Inputs | None, when: Source[Any] | Group | None, spec: PoolSpec) -> None:
        super().__init__(path, inputs, when)
        self._pool = spec

    def definition(self) -> AgentSpec:
        """The definition of the pool."""
        return self._defined(pool=self._pool)

    def _places(self, name: str) -> Sequence[str]:
        return [f"{name}-{number}" for number in range(1, self._pool.replicas + 1)]


def _duration(value: Duration | None) -> int | None:
    return None if value is None else read_duration(value)
