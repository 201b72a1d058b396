"""Edits of a definition: an agent more, an agent less, a copy, an edge of a flow. Each gives another definition; none is checked here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from itertools import pairwise, product

from edgematrix.composition.spec import EdgeSpec, FlowSpec
from edgematrix.config.agent_tree import DEFAULT_OUTPUT, AgentNode, AgentTree
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import AgentPath, parent_of, parse_path

__all__ = ["connect", "create", "disconnect", "duplicate", "remove"]

_EDGES_SHOWN = 10


def create(spec: MatrixSpec, path: AgentPath, agent: AgentSpec) -> MatrixSpec:
    """With a new agent.

    Raises:
        PathError: there is one of that path already, or nothing that it could be in.
    """
    names = _names(spec, path)
    parent = parent_of(path)
    assert parent is not None  # noqa: S101 - there is a name below the matrix
    if parent != spec.matrix:
        _find(spec, parent)
    if names[-1] in _agents_of(spec, parent):
        raise PathError(f"there is an agent {path} already", remedy="choose another name, or remove that one first")
    return _with(spec, names, agent)


def remove(spec: MatrixSpec, path: AgentPath) -> MatrixSpec:
    """Without an agent, and all below it.

    Raises:
        PathError: there is none of that path.
        UsageError: edges of a flow join it to others.
    """
    _find(spec, path)
    _refuse_joined(spec, path)
    return _with(spec, _names(spec, path), None)


def _refuse_joined(spec: MatrixSpec, path: AgentPath) -> None:
    parent, name = parent_of(path), path.rpartition("/")[2]
    if parent is None or parent == spec.matrix:
        return
    flow = _find(spec, parent).flow
    joined = [pair for edge in flow.edges for pair in _pairs(edge) if name in (end.partition(".")[0] for end in pair)] if flow else []
    if joined:
        shown = ", ".join(f"{tail} -> {head}" for tail, head in joined[:_EDGES_SHOWN])
        raise UsageError(f"edges of the flow {parent} join it to others: {shown}", where=path, remedy="disconnect it first")


def duplicate(spec: MatrixSpec, path: AgentPath, to: str) -> MatrixSpec:
    """With a copy of an agent, and of all below it, at the path `to`.

    Raises:
        PathError: there is no such agent, or the copy cannot be there.
    """
    return create(spec, parse_path(to), _find(spec, path))


def connect(spec: MatrixSpec, path: AgentPath, start: str, end: str, when: str | None = None, *, loop: bool = False) -> MatrixSpec:
    """With one more edge in a flow.

    Raises:
        PathError: there is no such agent.
        UsageError: it is no flow.
    """
    agent, flow = _flow(spec, path, f"{start} -> {end}")
    edges = [*flow.edges, EdgeSpec(stations=[[start], [end]], when=when, loop=loop)]
    return _with(spec, _names(spec, path), replace(agent, flow=replace(flow, edges=edges)))


def disconnect(spec: MatrixSpec, path: AgentPath, start: str, end: str) -> MatrixSpec:
    """Without an edge of a flow. One that stands there for several is written out, but for this one.

    Raises:
        PathError: there is no such agent.
        UsageError: it is no flow, has no such edge, or no other.
    """
    agent, flow = _flow(spec, path, f"{start} -> {end}")
    edges: list[EdgeSpec] = []
    found = False
    for edge in flow.edges:
        kept = [pair for pair in _pairs(edge) if not _is_meant(pair, start, end)]
        if len(kept) == len(list(_pairs(edge))):
            edges.append(edge)
        else:
            found = True
            edges += (EdgeSpec(stations=[[tail], [head]], when=edge.when, loop=edge.loop) for tail, head in kept)
    if not found:
        known = [pair for edge in flow.edges for pair in _pairs(edge)]
        near = [pair for pair in known if start in pair or end in pair] or known
        remedy = f"there is {', '.join(f'{tail} -> {head}' for tail, head in near[:_EDGES_SHOWN])}"
        raise UsageError(f"there is no edge {start} -> {end}", where=path, remedy=remedy)
    if not edges:
        raise UsageError(f"{start} -> {end} is the flow's only edge", where=path, remedy="connect another one first, or remove the flow")
    return _with(spec, _names(spec, path), replace(agent, flow=replace(flow, edges=edges)))


def _names(spec: MatrixSpec, path: AgentPath) -> list[str]:
    """The names that lead to an agent, without that of the matrix."""
    matrix, *names = parse_path(path).split("/")
    if matrix != spec.matrix:
        raise PathError(f"{path} is in no matrix {spec.matrix}", remedy=f"a path begins with {spec.matrix}/")
    if not names:
        raise PathError(f"{path} is the matrix itself", remedy=f"name an agent, {spec.matrix}/…")
    return names


def _agents_of(spec: MatrixSpec, path: AgentPath) -> dict[str, AgentSpec]:
    agents = spec.agents
    for name in path.split("/")[1:]:
        agents = agents[name].agents
    return agents


def _find(spec: MatrixSpec, path: AgentPath) -> AgentSpec:
    """The definition of an agent.

    Raises:
        PathError: there is none of that path; the remedy has the nearest.
    """
    agents, found = spec.agents, None
    for name in _names(spec, path):
        found = agents.get(name)
        if found is None:
            break
        agents = found.agents
    else:
        assert found is not None  # noqa: S101 - there is one name at least
        return found
    tree = AgentTree.of(spec)
    if path in tree.nodes:
        pool = next(node for node in _above(tree, path) if node.spec.pool is not None)
        raise PathError(f"{path} is one of the replicas of {pool.path}", remedy=f"what they all are is defined in {pool.path}")
    near = get_close_matches(path, tree.nodes, n=1, cutoff=0.5)
    raise PathError(f"there is no agent {path}", remedy=f"did you mean {near[0]}?" if near else "")


def _above(tree: AgentTree, path: AgentPath) -> Iterator[AgentNode]:
    above = parent_of(path)
    while above is not None and above in tree.nodes:
        yield tree.nodes[above]
        above = parent_of(above)


def _with(spec: MatrixSpec, names: list[str], agent: AgentSpec | None) -> MatrixSpec:
    return replace(spec, agents=_put(spec.agents, names, agent))


def _put(agents: dict[str, AgentSpec], names: list[str], agent: AgentSpec | None) -> dict[str, AgentSpec]:
    """The agents with another definition of the one that `names` lead to; None takes it out."""
    name, *rest = names
    if rest:
        return agents | {name: replace(agents[name], agents=_put(agents[name].agents, rest, agent))}
    return {key: known for key, known in agents.items() if key != name} if agent is None else agents | {name: agent}


def _flow(spec: MatrixSpec, path: AgentPath, edge: str) -> tuple[AgentSpec, FlowSpec]:
    agent = _find(spec, path)
    if agent.flow is None:
        remedy = (
            "agents outside a flow hear one another by the `from:` of their sources: remove the one that is to hear, and create it anew"
        )
        raise UsageError(f"it is no flow, so it has no edges such as {edge}", where=path, remedy=remedy)
    return agent, agent.flow


def _pairs(edge: EdgeSpec) -> Iterator[tuple[str, str]]:
    """The edges that stand in one definition, each from one end to one other."""
    for tails, heads in pairwise(edge.stations):
        yield from product(tails, heads)


def _is_meant(pair: tuple[str, str], start: str, end: str) -> bool:
    return pair[1] == end and pair[0].removesuffix(f".{DEFAULT_OUTPUT}") == start.removesuffix(f".{DEFAULT_OUTPUT}")
