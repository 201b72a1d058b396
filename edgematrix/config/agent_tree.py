"""The agents of a matrix by path, with the ports that each has, and what a reference from one to another means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

import msgspec

from edgematrix.agents.onnx_spec import ONNX_OUTPUTS
from edgematrix.agents.spec import DeviceSpec
from edgematrix.agents.voice_spec import VOICE_INPUTS, VOICE_OUTPUTS
from edgematrix.composition.llm_spec import fields_of_answer
from edgematrix.config.finding import Finding, error
from edgematrix.config.places import EVERYTHING_HERE, Places
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.config.yaml_position import Key
from edgematrix.errors import PathError
from edgematrix.protocol.path import AgentPath, join, parent_of, resolve
from edgematrix.protocol.topic import Kind

if TYPE_CHECKING:
    from edgematrix.protocol.compatibility import JsonSchema

__all__ = [
    "COMPOSITIONS",
    "DEFAULT_INPUT",
    "DEFAULT_OUTPUT",
    "FAILURE_OUTPUT",
    "QUESTION_OUTPUT",
    "AgentNode",
    "AgentTree",
    "CodeTypes",
    "Ports",
    "Target",
]

DEFAULT_OUTPUT, DEFAULT_INPUT = "out", "in"
"""The ports that a reference without one means."""

FAILURE_OUTPUT = "error"
"""The port on which a composition tells why a run failed."""

QUESTION_OUTPUT = "ask"
"""The port on which a question to a person is put out."""

COMPOSITIONS = ("flow", "chat", "switch", "pool", "human", "llm", "sentences")
"""Kinds of agents whose runs are courses: they let other agents work, a person, or a model."""

_OUTPUTS_OF_KIND = {
    "flow": (FAILURE_OUTPUT,),
    "chat": (DEFAULT_OUTPUT, "transcript", "ended", FAILURE_OUTPUT),
    "switch": (DEFAULT_OUTPUT, FAILURE_OUTPUT),
    "pool": (DEFAULT_OUTPUT, FAILURE_OUTPUT),
    "human": (DEFAULT_OUTPUT, "ask", FAILURE_OUTPUT),
    "llm": (DEFAULT_OUTPUT, FAILURE_OUTPUT),
    "sentences": (DEFAULT_OUTPUT, "unknown", FAILURE_OUTPUT),
}
_COPIES_MAX = 10_000
"""Agents that all pools of a matrix may make: a few nested pools can ask for billions."""


class AgentNode(msgspec.Struct, frozen=True):
    """One agent of the tree. `where` is its place in the document, `is_elsewhere` tells that it does not run on this host."""

    path: AgentPath
    where: tuple[Key, ...]
    spec: AgentSpec
    is_elsewhere: bool

    @property
    def name(self) -> str:
        """The last segment of its path."""
        return self.path.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """Which of `COMPOSITIONS` it is; the empty text for none."""
        return _kind_of(self.spec)

    @property
    def has_code(self) -> bool:
        """Whether it may put out, and take in, more than its definition names."""
        return self.spec.python is not None

    @property
    def is_board(self) -> bool:
        """Whether it speaks for itself, as a board does: it names a host and has nothing that a host of ours would run."""
        return _is_board(self.spec)

    def emitted(self) -> dict[str, tuple[Key, ...]]:
        """The ports that actions of this agent emit on, each with the place of its first action."""
        found: dict[str, tuple[Key, ...]] = {}
        for name, group in self.spec.triggers.items():
            for index, action in enumerate(group.do):
                for port in action.emit or ():
                    if port not in found:
                        found[port] = (*self.where, "triggers", name, "do", index, "emit", port)
        return found


class Ports(msgspec.Struct, frozen=True):
    """The ports that an agent's definition names. `fed` are the outputs that something is known to put values on."""

    inputs: frozenset[str]
    outputs: frozenset[str]
    fed: frozenset[str]

    @classmethod
    def of(cls, node: AgentNode) -> Ports:
        """The ports of an agent."""
        spec, kind = node.spec, node.kind
        if kind:
            return cls._of_composition(spec, kind)
        reads = _outputs_of(spec.device) if spec.device else ()
        writes = spec.device.writes if spec.device else ()
        own_inputs, own_outputs = _own_ports(spec)
        first = {
            name
            for name, port in spec.outputs.items()
            if node.has_code or node.is_board or port.from_ is not None or port.initial is not None
        }
        fed = frozenset((*first, *node.emitted(), *reads, *own_outputs))
        inputs = frozenset((*spec.inputs, *writes, *own_inputs))
        if not inputs and not spec.triggers and (spec.python is not None or (spec.onnx is not None and not spec.onnx.on)):
            inputs = frozenset((DEFAULT_INPUT,))
        return cls(inputs, fed | spec.outputs.keys(), fed)

    @classmethod
    def _of_composition(cls, spec: AgentSpec, kind: str) -> Ports:
        inputs = frozenset(spec.inputs or ("say" if kind == "sentences" else DEFAULT_INPUT,))
        own = frozenset(_OUTPUTS_OF_KIND[kind])
        if kind == "flow":
            own |= frozenset(spec.outputs or (DEFAULT_OUTPUT,))
        if spec.llm is not None and spec.llm.output is not None:
            own |= frozenset(fields_of_answer(spec.llm))
        return cls(inputs, own | spec.outputs.keys(), own)


class Target(msgspec.Struct, frozen=True):
    """What a reference means: an input or an output port of an agent."""

    kind: Kind
    node: AgentNode
    port: str


class CodeTypes(Protocol):
    """What is known of agents' functions, as JSON Schemas; None where any value may be, or nothing is known."""

    def input_type(self, node: AgentNode) -> JsonSchema | None:
        """What an agent's function takes as its first parameter."""

    def output_type(self, node: AgentNode) -> JsonSchema | None:
        """What an agent's function gives, if it gives anything."""


class AgentTree(msgspec.Struct):
    """All agents of a matrix, in written order, composites before what they hold."""

    matrix: MatrixSpec
    nodes: dict[str, AgentNode] = {}
    compositions: list[AgentNode] = []
    """Those of a kind of `COMPOSITIONS`."""
    findings: list[Finding] = []
    """What is wrong with the paths themselves."""
    code: CodeTypes | None = None
    """The types of agents' code; None where they are not asked for, or no agent has code."""
    places: Places = EVERYTHING_HERE
    _ports: dict[str, Ports] = {}
    _copies: int = 0

    @classmethod
    def of(cls, matrix: MatrixSpec, places: Places = EVERYTHING_HERE) -> AgentTree:
        """The tree of a matrix, as the host sees it that `places` calls its own."""
        tree = cls(matrix, places=places)
        tree._grow(AgentPath(matrix.matrix), (), matrix.agents)
        return tree

    def _grow(self, parent: AgentPath, where: tuple[Key, ...], agents: dict[str, AgentSpec], *, copied: bool = False) -> None:
        for name, spec in agents.items():
            self._add(parent, (*where, "agents", name), name, spec, copied=copied)

    def _add(self, parent: AgentPath, place: tuple[Key, ...], name: str, spec: AgentSpec, *, copied: bool) -> None:
        try:
            path = join(parent, name)
        except PathError as problem:
            self.findings.append(error(place, problem.what, at_key=True))
            return
        node = self.nodes[path] = AgentNode(path, place, spec, _is_board(spec) or not self.places.runs_here(path))
        self._copies += copied
        if _kind_of(spec):
            self.compositions.append(node)
        if spec.agents:
            if _is_replicated(spec):
                self._replicate(node)
            else:
                self._grow(path, place, spec.agents, copied=copied)

    def _replicate(self, pool: AgentNode) -> None:
        """Add the replicas of a pool's one child in its stead."""
        ((name, worker),) = pool.spec.agents.items()
        for replica in _replicas(pool.spec):
            if self._copies >= _COPIES_MAX:
                self.findings.append(error((*pool.where, "pool", "replicas"), f"the pools make more than {_COPIES_MAX} agents"))
                return
            self._add(pool.path, (*pool.where, "agents", name), replica, worker, copied=True)

    def members(self, node: AgentNode) -> dict[str, AgentNode]:
        """The agents directly below one, by name; of a pool the replicas."""
        found = ((name, self.nodes.get(f"{node.path}/{name}")) for name in _children(node.spec))
        return {name: member for name, member in found if member is not None}

    def ports(self, node: AgentNode) -> Ports:
        """The ports of an agent; kept, for one agent may be named ten thousand times."""
        found = self._ports.get(node.path)
        if found is None:
            found = self._ports[node.path] = Ports.of(node)
        return found

    def __iter__(self) -> Iterator[AgentNode]:
        return iter(self.nodes.values())

    def source(self, reference: str, agent: AgentPath) -> Target:
        """What a `from:` in the definition of `agent` means: an output, or with `parent.x` and `self.x` an input of these.

        Raises:
            PathError: there is no such agent or port; the remedy has the nearest known name.
        """
        path, port = resolve(reference, agent, DEFAULT_OUTPUT)
        node = self._node(path, reference, agent)
        name, dot, _ = reference.partition(".")
        if name in ("parent", "self"):
            return self.input(node, port if dot else "")
        return self.output(node, port)

    def destination(self, reference: str, agent: AgentPath) -> Target:
        """What a `to:` in the definition of `agent` means: an input port.

        Raises:
            PathError: there is no such agent or port; the remedy has the nearest known name.
        """
        path, port = resolve(reference, agent, DEFAULT_INPUT)
        node = self._node(path, reference, agent)
        return self.input(node, port if "." in reference else "")

    def receiver(self, reference: str, agent: AgentPath) -> tuple[AgentPath, str]:
        """The same as a path and a port.

        Raises:
            PathError: as above.
        """
        target = self.destination(reference, agent)
        return target.node.path, target.port

    def default_input(self, node: AgentNode) -> str:
        """The input that a reference without a port means: the only one that is named, else `in`.

        Raises:
            PathError: there are several, and none of them is `in`; the remedy names them.
        """
        port = self.implied_input(node)
        if not port:
            raise PathError(f"{node.path} has no input {DEFAULT_INPUT!r}", remedy=_names(self.ports(node).inputs, "inputs"))
        return port

    def implied_input(self, node: AgentNode) -> str:
        """The same; the empty text where a reference has to name the port."""
        inputs = self.ports(node).inputs
        if not inputs or DEFAULT_INPUT in inputs:
            return DEFAULT_INPUT
        return next(iter(inputs)) if len(inputs) == 1 else ""

    def child_output(self, reference: str, composite: AgentNode) -> Target:
        """What the `from:` of a composite's own output means: an output of one of its children.

        Raises:
            PathError: there is no such child or port; the remedy has the nearest known name.
        """
        inside = AgentPath(f"{composite.path}/{DEFAULT_OUTPUT}")
        path, port = resolve(reference, inside, DEFAULT_OUTPUT)
        return self.output(self._node(path, reference, inside), port)

    def output(self, node: AgentNode, port: str) -> Target:
        """An output of an agent.

        Raises:
            PathError: it has none of this name; the remedy has the nearest.
        """
        ports = self.ports(node)
        if port in ports.outputs or node.has_code:
            return Target(Kind.OUT, node, port)
        what = f"{port!r} is an input of {node.path}, expected an output" if port in ports.inputs else f"{node.path} has no output {port!r}"
        raise PathError(what, remedy=_near_port(port, ports.outputs, "outputs"))

    def input(self, node: AgentNode, port: str = "") -> Target:
        """An input of an agent; without a name its default one.

        Raises:
            PathError: it has none of this name; the remedy has the nearest.
        """
        port = port or self.default_input(node)
        ports = self.ports(node)
        if port in ports.inputs or (not ports.inputs and node.has_code):
            return Target(Kind.IN, node, port)
        what = f"{port!r} is an output of {node.path}, expected an input" if port in ports.outputs else f"{node.path} has no input {port!r}"
        raise PathError(what, remedy=_near_port(port, ports.inputs, "inputs"))

    def _node(self, path: AgentPath, reference: str, agent: AgentPath) -> AgentNode:
        node = self.nodes.get(path)
        if node is not None:
            return node
        if path == self.matrix.matrix:
            raise PathError(f"{reference!r} names the matrix itself, which has no ports")
        self._refuse_replicated(path)
        raise PathError(f"there is no agent {path}", remedy=self._near_agent(path, reference, agent))

    def _refuse_replicated(self, path: AgentPath) -> None:
        head, _, name = path.rpartition("/")
        while head and head not in self.nodes:
            head, _, name = head.rpartition("/")
        pool = self.nodes.get(head)
        if pool is not None and _is_replicated(pool.spec) and name in pool.spec.agents:
            last = _replicas(pool.spec)[-1]
            raise PathError(
                f"{name!r} is replicated by the pool {pool.path}: there are {name}-1 to {last}", remedy=f"name the pool, /{pool.path}"
            )

    def _near_agent(self, path: AgentPath, reference: str, agent: AgentPath) -> str:
        """The nearest neighbour by its name, else an agent elsewhere by its absolute path."""
        name, dot, port = reference.partition(".")
        home = f"{parent_of(agent)}/"
        if not name.startswith("/"):
            neighbours = [known.removeprefix(home) for known in self.nodes if known.startswith(home)]
            near = get_close_matches(name, neighbours, n=1)
            if near:
                return f"did you mean {near[0]}{dot}{port}?"
        last = path.rpartition("/")[2]
        same = next((known for known in self.nodes if known.rpartition("/")[2] == last), None)
        near = [same] if same else get_close_matches(path, self.nodes, n=1, cutoff=0.7)
        return f"did you mean /{near[0]}{dot}{port}?" if near else "name a neighbour, or an agent anywhere as /matrix/path.port"


def _near_port(port: str, known: frozenset[str], what: str) -> str:
    near = get_close_matches(port, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return _names(known, what)


def _names(known: frozenset[str], what: str) -> str:
    return f"its {what} are {', '.join(sorted(known)[:20])}" if known else f"it has no {what}"


def _outputs_of(device: DeviceSpec) -> tuple[str, ...]:
    """The outputs of a device's agent: what it reads, and the questions about its critical writes."""
    asks = any(write.approval is not None for write in device.writes.values())
    return (*device.reads, QUESTION_OUTPUT) if asks else tuple(device.reads)


def _own_ports(spec: AgentSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The inputs and outputs that an agent has by what it is."""
    if spec.onnx is not None:
        return (), ONNX_OUTPUTS if spec.onnx.on else (DEFAULT_OUTPUT, *ONNX_OUTPUTS)
    if spec.voice is not None:
        return VOICE_INPUTS, VOICE_OUTPUTS
    return (), ()


def _is_board(spec: AgentSpec) -> bool:
    works = spec.agents or spec.device or spec.triggers or spec.python or spec.onnx or spec.voice or _kind_of(spec)
    return spec.host is not None and not bool(works)


def _kind_of(spec: AgentSpec) -> str:
    if not (spec.flow or spec.chat or spec.switch or spec.pool or spec.human or spec.llm or spec.sentences):
        return ""
    return next(kind for kind in COMPOSITIONS if getattr(spec, kind) is not None)


def _is_replicated(spec: AgentSpec) -> bool:
    return spec.pool is not None and len(spec.agents) == 1


def _replicas(spec: AgentSpec) -> tuple[str, ...]:
    """The names of the replicas of a pool's one child."""
    from edgematrix.composition.pool import replica_names  # noqa: PLC0415 - few matrices have a pool

    assert spec.pool is not None  # noqa: S101 - whoever asks knows
    (name,) = spec.agents
    return replica_names(name, spec.pool.replicas)


def _children(spec: AgentSpec) -> Iterable[str]:
    return _replicas(spec) if _is_replicated(spec) else spec.agents
