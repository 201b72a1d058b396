"""`access:` of a matrix file: who there is besides its devices (docs/spec/matrix.md, "Access"). Read-only once made."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema

from edgematrix.protocol.fields import PART, Flag, Name

__all__ = ["AccessSpec", "ClientAccess", "HostAccess", "OperatorAccess"]

_PRINCIPALS_MAX = 10_000
_FILTERS_MAX = 1_000

Filter = Annotated[str, Field(min_length=1, max_length=1_000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class HostAccess:
    """A host. `labels` are those it may have: agents that need others are never given to it, whatever it says; without, it may have any.

    `deploys` lets it publish definitions, so that it can remind a broker of them that forgot; whoever may do that decides what runs.
    """

    labels: Annotated[list[Name], Field(max_length=100)] | None = None
    deploys: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class OperatorAccess:
    """A person, or a program that acts for one.

    `paths` are the agents, with all below them, that are shown and may be ordered about; without, all. `verbs` are the orders that may be
    given; without, all, but `create` and `duplicate` where there are `paths`: these reach beyond them.
    None is a reader. `reads` are topics of other systems. `deploys` lets `edgematrix deploy` be used.
    """

    paths: Annotated[list[str], Field(max_length=100)] | None = None
    verbs: Annotated[list[Name], Field(max_length=50)] | None = None
    reads: Annotated[list[Filter], Field(max_length=_FILTERS_MAX)] = Field(default_factory=list)
    deploys: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class ClientAccess:
    """A program of another system, as Zigbee2MQTT: it has no part in the matrix, and topics of its own."""

    publishes: Annotated[list[Filter], Field(max_length=_FILTERS_MAX)] = Field(default_factory=list)
    reads: Annotated[list[Filter], Field(max_length=_FILTERS_MAX)] = Field(default_factory=list)


def _by_name(value: object) -> object:
    """A list of names, as the mapping that is meant; `name:` with nothing after it means the defaults."""
    if isinstance(value, list):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("expected names, or a mapping of names")
        if len(set(value)) < len(value):
            raise ValueError("a name stands there twice")
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if about is None else about for name, about in value.items()}
    return value


class _ShortForms:
    """Tells editors the list of names."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The forms that `_by_name` reads."""
        return {"anyOf": [{"type": "array", "items": {"type": "string"}}, handler(schema)]}


Hosts = Annotated[dict[Name, HostAccess], Field(max_length=_PRINCIPALS_MAX), BeforeValidator(_by_name), _ShortForms()]
Operators = Annotated[dict[Name, OperatorAccess], Field(max_length=_PRINCIPALS_MAX), BeforeValidator(_by_name), _ShortForms()]
Clients = Annotated[dict[Name, ClientAccess], Field(max_length=_PRINCIPALS_MAX), BeforeValidator(_by_name), _ShortForms()]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class AccessSpec:
    """Who there is on the bus besides devices, which the tree names. Hosts that agents name need not be said again."""

    hosts: Hosts = Field(default_factory=dict)
    operators: Operators = Field(default_factory=dict)
    clients: Clients = Field(default_factory=dict)
