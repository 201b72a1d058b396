"""What an agent's definition says of the hosts that it may run on (docs/spec/matrix.md, "Hosts"). Read-only once made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema

from edgematrix.protocol.fields import PART, Name, Whole

__all__ = ["Failover", "FailoverSpec", "NeedsSpec"]

_NEEDS_MAX = 100
_HOSTS_MAX = 100
_MEMORY_MB_MAX = 1 << 30

Wanted = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class NeedsSpec:
    """What a host must have so that an agent may run on it: every one of these."""

    labels: list[Name] = Field(default_factory=list, max_length=_NEEDS_MAX)
    """Labels that its operator gave it."""
    memory_mb: Annotated[Whole, Field(ge=1, le=_MEMORY_MB_MAX)] | None = None
    """Memory that is to be kept for the agent, and all that goes with it."""
    packages: list[Wanted] = Field(default_factory=list, max_length=_NEEDS_MAX)
    """Python packages that are installed there, by the names that they are imported by."""
    devices: list[Wanted] = Field(default_factory=list, max_length=_NEEDS_MAX)
    """What is plugged into it, by the names that its operator gave."""
    modules: list[Wanted] = Field(default_factory=list, max_length=_NEEDS_MAX)
    """Modules with agents' code that it allows."""


@dataclass(frozen=True, slots=True, kw_only=True, config=PART)
class FailoverSpec:
    """That an agent moves to another host when its own is gone.

    `hosts` are the candidates in order; without any it is every host that fits. `failback` tells whether it comes back by itself
    (`auto`), or stays where it is until it is deployed anew, or that host goes too (`manual`).
    """

    hosts: list[Name] = Field(default_factory=list, max_length=_HOSTS_MAX)
    failback: Literal["manual", "auto"] = "manual"


def _failover(value: object) -> object:
    """`true` and a list of hosts, as the mapping that `FailoverSpec` reads; `false` is none."""
    if value is True:
        return {}
    if value is False:
        return None
    if isinstance(value, (str, int, float)):
        raise ValueError(f"expected true, a list of hosts, or {{hosts: […], failback: manual}}, found {str(value)[:80]!r}")
    return value if isinstance(value, (Mapping, FailoverSpec)) or not isinstance(value, list) else {"hosts": value}


class _ShortForms:
    """Tells editors the short forms of `failover`."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The forms that `_failover` reads."""
        hosts = {"type": "array", "items": {"type": "string"}, "maxItems": _HOSTS_MAX}
        return {"anyOf": [{"type": "boolean"}, hosts, handler(schema)]}


Failover = Annotated[FailoverSpec | None, BeforeValidator(_failover), _ShortForms()]
