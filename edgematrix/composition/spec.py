"""Definitions of agents that are made of agents (docs/spec/matrix.md, "Flows" and "Composites"). Read-only once made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic.dataclasses import dataclass

from edgematrix.protocol.fields import PART, Duration, Flag, Microseconds, Name, Number, Whole

__all__ = [
    "CaseSpec",
    "ChatSpec",
    "EdgeSpec",
    "EscalateSpec",
    "FlowSpec",
    "HumanSpec",
    "ModelSpeaker",
    "PoolSpec",
    "RetrySpec",
    "RuleSpeaker",
    "SpeakerModel",
    "SwitchSpec",
]

_ARROW = re.compile(r"\s*->\s*")
_COMMA = re.compile(r"\s*,\s*")
_PLAIN_END = re.compile(r"[\w./-]*\w")
"""A name that a text of several is split into again."""


def _edge(value: object) -> object:
    """An edge as text, `a, b -> c` (or a chain of them, `a -> b -> c`), as the mapping that `EdgeSpec` reads."""
    if isinstance(value, str):
        stations = [_COMMA.split(station) for station in _ARROW.split(value.strip())]
        if len(stations) < 2 or any(not name for station in stations for name in station):  # noqa: PLR2004 - an edge has two ends
            raise ValueError(f"expected an edge such as `a -> b` or `a, b -> c`, found {value[:80]!r}")
        return {"stations": stations}
    if isinstance(value, Mapping) and "stations" not in value and {"from", "to"} <= value.keys():
        ends = [_names(value["from"], "from"), _names(value["to"], "to")]
        return {"stations": ends, **{key: part for key, part in value.items() if key not in ("from", "to")}}
    if isinstance(value, Mapping) and "stations" not in value:
        found = ", ".join(map(repr, value)) or "none"
        raise ValueError(f"an edge has the keys 'from' and 'to', found {found[:120]}; such as {{from: a, to: b}}, or `a -> b`")
    return value


def _names(value: object, end: str) -> list[str]:
    if isinstance(value, str):
        return _COMMA.split(value.strip())
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return value
    raise ValueError(f"`{end}` of an edge is a name, or a list of names")


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class EdgeSpec:
    """Edges between what stands in `stations`: each name of one station to each name of the next.

    A name is a member, `member.port`, or at the ends a port of the flow itself. `when` is CEL over the fields of what the
    member put out. `loop` declares a back edge.
    """

    stations: Annotated[list[Annotated[list[str], Field(min_length=1, max_length=100)]], Field(min_length=2, max_length=100)]
    when: str | None = None
    loop: Flag = False


_EDGE_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": "->", "examples": ["request -> collect", "analyse, photo -> summarise"]},
        {
            "type": "object",
            "properties": {
                "from": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                "to": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                "when": {"type": "string"},
                "loop": {"type": "boolean"},
            },
            "required": ["from", "to"],
            "additionalProperties": False,
        },
    ]
}


def _written(edge: EdgeSpec) -> object:
    """An edge as a file has it; a chain with a condition, which only Python can make, by its stations."""
    said: dict[str, object] = {}
    if edge.when is not None:
        said["when"] = edge.when
    if edge.loop:
        said["loop"] = True
    if not said and all(_PLAIN_END.fullmatch(name) for station in edge.stations for name in station):
        return " -> ".join(", ".join(station) for station in edge.stations)
    if len(edge.stations) > 2:  # noqa: PLR2004 - an edge has two ends
        return {"stations": edge.stations, **said}
    return {"from": edge.stations[0], "to": edge.stations[1], **said}


Edge = Annotated[EdgeSpec, BeforeValidator(_edge), PlainSerializer(_written), WithJsonSchema(_EDGE_SCHEMA)]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class FlowSpec:
    """Agents below, joined by edges. `max_steps` bounds the steps of one run and must be given where there is a cycle."""

    edges: Annotated[list[Edge], Field(min_length=1, max_length=10_000)]
    max_steps: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    deadline: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class RuleSpeaker:
    """`rule:` CEL over `turn`, `last`, `speaker`, `members` and `transcript`: who speaks next, by name, or the empty text for the end."""

    rule: str


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class SpeakerModel:
    """`llm:` the model that picks the next speaker, or the end, from the names alone."""

    provider: Literal["llama_cpp", "fake"] = "llama_cpp"
    model: str = "smollm2-135m"
    script: list[str] = Field(default_factory=list)
    """What the provider `fake` picks, turn by turn; for tests."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class ModelSpeaker:
    """The long form of `speaker: llm`."""

    llm: SpeakerModel


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class ChatSpec:
    """Agents below that speak in turns on a transcript that all of them see.

    `until` is CEL over the fields of the last reply, `reply`, `speaker`, `turn` and `transcript`.
    """

    members: Annotated[list[Name], Field(min_length=1, max_length=64)]
    speaker: Literal["round_robin", "addressed", "llm"] | RuleSpeaker | ModelSpeaker = "round_robin"
    until: str | None = None
    max_turns: Annotated[Whole, Field(ge=1, le=10_000)] = 10
    deadline: Duration | None = None
    on_error: Literal["fail", "skip"] = "fail"
    """What a member that fails does to the chat: it fails too, or the turn passes, which is told to whoever watches."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class CaseSpec:
    """One case of a switch: CEL over the fields of the request, and the member that gets it."""

    when: str
    to: Name


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class SwitchSpec:
    """The first case that holds gets the request, else `default`."""

    cases: Annotated[list[CaseSpec], Field(min_length=1, max_length=1_000)]
    default: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class PoolSpec:
    """Replicas of the one agent below, behind the pool's path: `worker` becomes `worker-1` … `worker-N`.

    `key` is CEL over the fields of the request: work of one key goes to one replica as long as that lives. Without it, the replica
    with the least work gets it. `waiting_max` bounds what waits while each replica has `busy_max` runs under way.
    """

    replicas: Annotated[Whole, Field(ge=1, le=1_000)]
    key: str | None = None
    busy_max: Annotated[Whole, Field(ge=1, le=10_000)] = 1
    waiting_max: Annotated[Whole, Field(ge=0, le=100_000)] = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class HumanSpec:
    """Asks a person and waits.

    `ask` is text with `${…}` over the fields of the request. The answer is one of `choices`, if there are any. After `timeout` it is
    `default`, or the run fails where there is none. `notify` is a foreign topic that gets each question, `answers` one on which
    answers may come.
    """

    ask: str
    choices: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    timeout: Duration = Microseconds(300_000_000)
    default: Any = None
    notify: str | None = None
    answers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class RetrySpec:
    """How often, and when, an agent that failed works again on the same; the terms are those of the library stamina.

    The n-th wait is `wait_initial * wait_exp_base ** (n - 1)` plus up to `wait_jitter`, at most `wait_max`. No attempt begins after
    `timeout`.
    """

    attempts: Annotated[Whole, Field(ge=1, le=100)] = 3
    timeout: Duration = Microseconds(45_000_000)
    wait_initial: Duration = Microseconds(100_000)
    wait_max: Duration = Microseconds(5_000_000)
    wait_jitter: Duration = Microseconds(1_000_000)
    wait_exp_base: Annotated[Number, Field(ge=1, le=10)] = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class EscalateSpec:
    """`escalate:` the agent that gets the request in place of an answer that `when` is true of.

    `when` is CEL over `confidence`, from 0 to 1, and `reason`, why it is not more; it is judged before anything is carried out.
    """

    to: str
    when: Annotated[str, Field(min_length=1, max_length=2_000)] = "confidence < 0.6"
