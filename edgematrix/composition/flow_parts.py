"""What a flow is compiled to: members and the ways between them, as runs follow them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from edgematrix.composition.course import Note
from edgematrix.composition.join import Join
from edgematrix.composition.judgement import Judgement

__all__ = ["Loop", "Plan", "Port", "Station", "Way"]


@dataclass(frozen=True, slots=True)
class Way:
    """One edge, seen from where it begins.

    `number` is the edge's own. `port` is the one that it takes a value from. `target` is the member that it leads to, -1
    where that is the flow's own `output`. `slot` is its place in the target's join, -1 where there is none. `keeps`
    tells that a later round may need its last value. The notes tell why nothing went along it.
    """

    number: int
    port: str
    target: int
    output: str
    slot: int
    back: bool
    keeps: bool
    when: Judgement | None
    name: str
    nothing: Note
    refused: Note


class Port(NamedTuple):
    """An input port of a member, and the edges that feed it, each with its key in the object that several of them make.

    `plain` tells that there is one edge only, whose value is the port's.
    """

    name: str
    edges: tuple[tuple[int, str], ...]
    plain: bool


@dataclass(frozen=True, slots=True)
class Station:
    """One member. `ways` leave it: forwards first, then back, inner loops before outer ones.

    `only` is the port of its only edge, None where it has several. `results` are the flow's outputs that it feeds, each
    with the port that has the value. `edges` are the numbers of all edges into it.
    """

    name: str
    ways: tuple[Way, ...]
    wanted: frozenset[str]
    results: tuple[tuple[str, str], ...]
    ports: tuple[Port, ...]
    only: str | None
    join: Join | None
    edges: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """What a new round does.

    `members` is the mask of those in the loop. `inside` are the edges within it, but for those to its start; `outside` has,
    for each join in it but its start, the slots of edges from outside.
    """

    members: int
    inside: tuple[int, ...]
    outside: dict[int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled flow. `starts` are the ways from the flow's inputs, `ranks` the places of the members in topological order."""

    stations: tuple[Station, ...]
    starts: tuple[Way, ...]
    ranks: tuple[int, ...]
    loops: dict[int, Loop]
    outputs: tuple[str, ...]
    max_steps: int | None
    deadline_us: int | None
